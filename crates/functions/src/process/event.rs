//! An event on its way through a function.

use std::borrow::Cow;

use serde_json::Value;
use watchbell_model::Timestamp;

use super::path::Fields;

/// An event as the steps so far have left it.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it happened.
    pub timestamp: Timestamp,
    text: String,
    fields: Option<Fields>,
}

impl Event {
    /// An event as it came.
    pub fn new(timestamp: Timestamp, text: String) -> Event {
        Event { timestamp, text, fields: None }
    }

    /// The text that it came with.
    pub(super) fn original(&self) -> &str {
        &self.text
    }

    /// Its fields, if some step has read or made any.
    pub fn fields(&self) -> Option<&serde_json::Map<String, serde_json::Value>> {
        self.fields.as_ref()
    }

    /// Its fields, to change them. An event that has none yet gets its text as `message`.
    pub(super) fn fields_mut(&mut self) -> &mut Fields {
        let text = &self.text;
        self.fields
            .get_or_insert_with(|| Fields::from_iter([("message".to_owned(), Value::String(text.clone()))]))
    }

    /// Puts fields that were read out of the text beside those that were made before.
    pub(super) fn add(&mut self, fields: Fields) {
        match &mut self.fields {
            Some(known) => known.extend(fields),
            None => self.fields = Some(fields),
        }
    }

    /// What it is now: its fields as a JSON object, or the text it came with if it has none.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.fields {
            Some(fields) => Cow::Owned(serde_json::to_string(fields).expect("fields have texts as keys")),
            None => Cow::Borrowed(&self.text),
        }
    }
}
