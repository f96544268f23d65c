//! What is taken out of lines before they are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What to look for, beside the values of known secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// Numbers of payment cards.
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    pub cards: bool,
    /// Credentials that show what they are: bearer tokens, JSON web tokens, keys of AWS, passwords in addresses.
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    pub tokens: bool,
    /// Addresses of electronic mail.
    #[serde(default, skip_serializing_if = "crate::skip::is_false")]
    pub emails: bool,
    /// Regular expressions by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub patterns: BTreeMap<String, String>,
}

impl Redaction {
    /// Whether nothing is looked for but secrets.
    pub fn is_empty(&self) -> bool {
        *self == Redaction::default()
    }
}
