//! One flat JSON object, written key by key.

use memchr::memchr2;

/// Writes the fields of a line.
pub(crate) struct Object(Vec<u8>);

impl Object {
    pub(crate) fn with_capacity(bytes: usize) -> Object {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        Object(out)
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.string(key);
        self.0.push(b':');
    }

    fn string(&mut self, text: &str) {
        if needs_escape(text) {
            serde_json::to_writer(&mut self.0, text).expect("memory takes everything");
        } else {
            self.0.push(b'"');
            self.0.extend(text.as_bytes());
            self.0.push(b'"');
        }
    }

    /// Any text.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    /// Digits as they stand, checked by the caller.
    pub(crate) fn number(&mut self, key: &str, number: &str) {
        self.key(key);
        self.0.extend(number.as_bytes());
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.key(key);
        self.0.extend(b"null");
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).expect("made of texts")
    }
}

/// Whether JSON writes a byte of the text in another way. The least byte is found quicker than the first that is small.
fn needs_escape(text: &str) -> bool {
    let least = text.bytes().fold(u8::MAX, u8::min);
    least < b' ' || memchr2(b'"', b'\\', text.as_bytes()).is_some()
}
