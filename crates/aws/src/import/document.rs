//! A file's text as a tree: JSON if it begins as JSON does, else YAML.

use super::node::Node;
use super::{json, yaml};

/// Longest document, in bytes. A template has at most 1 MiB; ten thousand described alarms have about 15.
///
/// Source: AWS CloudFormation User Guide, "Understand CloudFormation quotas", template body size in S3.
pub const DOCUMENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How deep values may be nested in each other.
pub const DOCUMENT_DEPTH_MAX: usize = 100;

/// What is wrong with a document: the line, from 1, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) reason: String,
}

pub(super) fn read(text: &str) -> Result<Node, Malformed> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let reason = format!("{} bytes are more than the {DOCUMENT_BYTES_MAX} that are read", text.len());
        return Err(Malformed { line: 1, reason });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '[']) {
        // A YAML document may begin with a brace, too, but who writes one does not write templates.
        return json::read(text);
    }
    yaml::read(text)
}

pub(super) fn too_deep() -> String {
    format!("values are nested deeper than {DOCUMENT_DEPTH_MAX}")
}
