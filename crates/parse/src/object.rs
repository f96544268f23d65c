//! One flat JSON object, written key by key.

/// Writes the fields of a line.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn with_capacity(bytes: usize) -> Object {
        let mut out = String::with_capacity(bytes);
        out.push('{');
        Object(out)
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.string(key);
        self.0.push(':');
    }

    fn string(&mut self, text: &str) {
        if needs_escape(text) {
            self.0 += &serde_json::to_string(text).expect("memory takes everything");
        } else {
            self.plain(text);
        }
    }

    fn plain(&mut self, text: &str) {
        self.0.push('"');
        self.0 += text;
        self.0.push('"');
    }

    /// Any text.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    /// A text of which the caller knows that it has no escapes.
    pub(crate) fn plain_text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.plain(text);
    }

    /// Digits as they stand, checked by the caller.
    pub(crate) fn number(&mut self, key: &str, number: &str) {
        self.key(key);
        self.0 += number;
    }

    /// JSON as it stands.
    pub(crate) fn json(&mut self, key: &str, json: &str) {
        self.key(key);
        self.0 += json;
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.key(key);
        self.0 += "null";
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Whether JSON writes a byte of the text in another way. All bytes at once are looked at quicker than one by one.
fn needs_escape(text: &str) -> bool {
    has_backslash_or_control(text) || has_quote(text)
}

/// Half of what [`Object::plain_text`] needs to know.
pub(crate) fn has_backslash_or_control(text: &str) -> bool {
    text.bytes().fold(0, |any, byte| any | u8::from(byte < b' ') | u8::from(byte == b'\\')) != 0
}

/// The other half.
pub(crate) fn has_quote(text: &str) -> bool {
    text.bytes().fold(0, |any, byte| any | u8::from(byte == b'"')) != 0
}
