//! An event on its way through a function.

use std::borrow::Cow;

use super::value::{Fields, Value};

/// An event as the steps so far have left it. It is used for one event after another, so that what fields take of memory
/// is taken once.
#[derive(Default)]
pub(super) struct Event<'a> {
    text: &'a str,
    fields: Fields<'a>,
    has_fields: bool,
}

impl<'a> Event<'a> {
    /// Begins anew with an event as it came.
    pub(super) fn begin(&mut self, text: &'a str) {
        self.text = text;
        self.fields.clear();
        self.has_fields = false;
    }

    /// The text that it came with.
    pub(super) fn original(&self) -> &'a str {
        self.text
    }

    /// Whether some step has read or made fields.
    pub(super) fn has_fields(&self) -> bool {
        self.has_fields
    }

    /// Its fields, to look at and to change. An event that has none yet gets its text as `message`.
    pub(super) fn fields_mut(&mut self) -> &mut Fields<'a> {
        if !self.has_fields {
            self.has_fields = true;
            *self.fields.entry("message") = Value::Text(Cow::Borrowed(self.text));
        }
        &mut self.fields
    }

    /// Its fields, to put others beside them that were read out of the text.
    pub(super) fn fields_read(&mut self) -> &mut Fields<'a> {
        self.has_fields = true;
        &mut self.fields
    }

    /// Writes what it is now: its fields as a JSON object, or the text it came with if it has none.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.has_fields {
            self.fields.write(out);
        } else {
            out.extend_from_slice(self.text.as_bytes());
        }
    }
}
