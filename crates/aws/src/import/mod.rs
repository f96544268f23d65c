//! Metric filters and alarms of others, from CloudFormation templates and from what the AWS CLI prints, as a
//! `watchbell.toml`.
//!
//! Promise: the text passes `watchbell_config::check`; whatever of an alarm, a metric filter, a mute rule, a topic or a
//! log group is not taken over is among the [`Remark`]s. No text overflows the stack or keeps this busy for long.
//! Not here: reading files, asking AWS.
//!
//! ```text
//! document (JSON, YAML) → Node → template or description → Found → Items → text
//! ```

mod alarm;
mod composite;
mod describe;
mod document;
mod found;
mod insights;
mod items;
mod json;
mod metric_filter;
mod mute_rule;
mod node;
mod resolve;
mod template;
mod text;
mod topic;
mod yaml;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use watchbell_config::{Level, Source, check};

pub use document::{DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX};
use items::Items;
pub use resolve::Parameters;

/// Most metric filters, alarms, mute rules and topics of all documents together.
pub const IMPORTED_MAX: usize = 10_000;

/// A file to import from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// As the user named it; stands in remarks.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Something that is not as it was found, or is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// The file.
    pub file: String,
    /// What it is about, as its file calls it: `alarm HighCpu`.
    pub what: String,
    /// What is different and why, with the way out if there is one.
    pub message: String,
    /// Whether something of it is not taken over; else it only has another name, or a value was assumed.
    pub is_lost: bool,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.what, self.message)
    }
}

/// How much of each kind was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that a metric filter or an alarm names.
    pub log_groups: usize,
    /// Metric filters.
    pub metric_filters: usize,
    /// Alarms of all kinds.
    pub alarms: usize,
    /// Mute rules.
    pub mute_rules: usize,
    /// Those that an alarm tells.
    pub topics: usize,
}

impl Counts {
    /// Whether there is something that does anything.
    pub fn is_nothing(self) -> bool {
        self.metric_filters + self.alarms == 0
    }
}

/// What was made of some documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The text of a `watchbell.toml`.
    pub text: String,
    /// What is in it.
    pub counts: Counts,
    /// What is not in it, or is otherwise: in the order of files and names.
    pub remarks: Vec<Remark>,
    /// Parameters that were given, and that nothing in the documents asks for.
    pub unasked: BTreeSet<String>,
}

/// Why nothing can be made of the documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// A document cannot be read.
    Malformed {
        /// The document.
        file: String,
        /// Where, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A document is nothing that can be imported from.
    Unknown {
        /// The document.
        file: String,
    },
    /// There is more than [`IMPORTED_MAX`].
    TooMuch,
    /// What was made is not good: a defect.
    Defect {
        /// What `check` says.
        reason: String,
    },
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::Malformed { file, line, reason } => write!(f, "{file}:{line}: {reason}"),
            ImportError::Unknown { file } => {
                write!(f, "{file}: neither a CloudFormation template nor what the AWS CLI describes")
            }
            ImportError::TooMuch => write!(f, "more than {IMPORTED_MAX} metric filters, alarms and topics"),
            ImportError::Defect { reason } => write!(f, "what was made of these files is not good: {reason}"),
        }
    }
}

impl std::error::Error for ImportError {}

/// Puts the documents together into one file; `given` are values that they do not tell.
///
/// # Errors
/// If a document cannot be read at all; what is wrong with single things in it is a [`Remark`].
pub fn import(documents: &[Document], given: &Parameters) -> Result<Imported, ImportError> {
    let (mut found, mut remarks) = (Vec::new(), Vec::new());
    let mut unasked: BTreeSet<String> = given.keys().cloned().collect();
    for Document { name, text } in documents {
        let malformed = |error: document::Malformed| ImportError::Malformed {
            file: name.clone(),
            line: error.line,
            reason: error.reason,
        };
        let node = document::read(text).map_err(malformed)?;
        let (here, said) = if node.get("Resources").is_some() {
            template::read(name, &node, given, &mut unasked)
        } else if describe::is_one(&node) {
            describe::read(name, &node)
        } else {
            return Err(ImportError::Unknown { file: name.clone() });
        };
        found.extend(here);
        remarks.extend(said);
        if found.len() > IMPORTED_MAX {
            return Err(ImportError::TooMuch);
        }
    }
    let files: Vec<&str> = documents.iter().map(|document| document.name.as_str()).collect();
    let mut items = Items::new(found);
    loop {
        items.settle();
        let written = text::write(&files, &items, &remarks);
        let source = Source { name: "watchbell.toml", text: &written.text, folder: Path::new("/") };
        let problems = check(&source).problems;
        let errors: Vec<_> = problems.into_iter().filter(|problem| problem.level == Level::Error).collect();
        let Some(first) = errors.first() else {
            remarks.extend(items.remarks());
            remarks.extend(written.assumed);
            remarks.sort();
            remarks.dedup();
            return Ok(Imported { text: written.text, counts: items.counts(), remarks, unasked });
        };
        // What we do not take of it, `check` says in its own words; the rest is settled anew without it.
        let mut is_less = false;
        for error in &errors {
            if let Some(key) = written.key_at(error.span.start) {
                is_less |= items.lose(key, &error.message);
            }
        }
        if !is_less {
            return Err(ImportError::Defect { reason: first.message.clone() });
        }
    }
}
