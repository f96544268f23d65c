//! One event read as a JSON object, in one pass, without recursion.
//!
//! Why a reader of our own: comparisons need numbers as they are spelled (`1`, `1.0` and `1e0` differ).
//! `serde_json` keeps the spelling only with `arbitrary_precision`, which would change every crate of the
//! workspace, or level by level with `RawValue`, which reads nested events again for every step. It also limits
//! the depth and refuses lone surrogates, so whoever controls one field of an event could hide the event from
//! every pattern. Apart from those two points this accepts exactly what `serde_json` accepts: a test holds it to it.
//!
//! All nodes lie in one list in the order of the text; a container is followed by its descendants.

use std::borrow::Cow;
use std::collections::BTreeMap;

pub(crate) struct Document<'m> {
    nodes: Vec<Node<'m>>,
}

/// Where a node is in its document.
pub(crate) type NodeIndex = usize;

/// The object that is the whole event.
pub(crate) const ROOT: NodeIndex = 0;

struct Node<'m> {
    /// The member's key as it stands between its quotes, escapes included; empty for elements and the root.
    key: &'m str,
    value: Json<'m>,
    /// One past the last descendant: where the next sibling is.
    end: NodeIndex,
}

/// A value; strings as they stand between their quotes, numbers as spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Json<'m> {
    Null,
    True,
    False,
    Number(&'m str),
    String(&'m str),
    Array,
    Object,
}

impl<'m> Document<'m> {
    /// Reads `text`; `None` unless it is exactly one valid JSON object, white space around it aside.
    pub(crate) fn read(text: &'m str) -> Option<Self> {
        let mut reader = Reader { text, at: 0, nodes: Vec::new(), open: Vec::new() };
        reader.skip_white_space();
        if reader.peek() != Some(b'{') {
            return None;
        }
        reader.value("")?;
        while let Some(&container) = reader.open.last() {
            reader.next_in(container)?;
        }
        reader.skip_white_space();
        (reader.at == text.len()).then_some(Self { nodes: reader.nodes })
    }

    pub(crate) fn value(&self, node: NodeIndex) -> Json<'m> {
        self.nodes[node].value
    }

    /// The member of an object; of a repeated key the last.
    pub(crate) fn member(&self, node: NodeIndex, key: &str) -> Option<NodeIndex> {
        let of_object = self.value(node) == Json::Object;
        self.children(node).filter(|&child| of_object && unescape(self.nodes[child].key) == key).last()
    }

    pub(crate) fn element(&self, node: NodeIndex, index: usize) -> Option<NodeIndex> {
        let of_array = self.value(node) == Json::Array;
        self.children(node).filter(|_| of_array).nth(index)
    }

    /// Every element of an array or member of an object; of a repeated key only the last.
    pub(crate) fn every_child(&self, node: NodeIndex) -> Vec<NodeIndex> {
        match self.value(node) {
            Json::Object => {
                let keyed = self.children(node).map(|child| (unescape(self.nodes[child].key), child));
                keyed.collect::<BTreeMap<_, _>>().into_values().collect()
            }
            _ => self.children(node).collect(),
        }
    }

    fn children(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        let end = self.nodes[node].end;
        let within = move |child: NodeIndex| (child < end).then_some(child);
        std::iter::successors(within(node + 1), move |&child| within(self.nodes[child].end))
    }
}

/// The text a string stands for. Half of a surrogate pair alone becomes U+FFFD.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut units = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        let (length, unit) = match rest.as_bytes() {
            [b'\\', b'u', hex @ ..] => (6, code_unit(hex)),
            [b'\\', b'b', ..] => (2, 0x08),
            [b'\\', b'f', ..] => (2, 0x0C),
            [b'\\', b'n', ..] => (2, 0x0A),
            [b'\\', b'r', ..] => (2, 0x0D),
            [b'\\', b't', ..] => (2, 0x09),
            [b'\\', other, ..] => (2, u16::from(*other)),
            _ => {
                units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        units.push(unit);
        rest = &rest[length..];
    }
    Cow::Owned(String::from_utf16_lossy(&units))
}

/// The number in four hexadecimal digits, which the reader has checked.
fn code_unit(hex: &[u8]) -> u16 {
    hex.iter().take(4).fold(0, |unit, &digit| {
        let value = char::from(digit).to_digit(16).unwrap_or_default();
        unit << 4 | u16::try_from(value).unwrap_or_default()
    })
}

struct Reader<'m> {
    text: &'m str,
    at: usize,
    nodes: Vec<Node<'m>>,
    /// The containers that are not closed yet, outermost first.
    open: Vec<NodeIndex>,
}

impl<'m> Reader<'m> {
    /// Reads the end of `container`, the innermost open one, or its next child.
    fn next_in(&mut self, container: NodeIndex) -> Option<()> {
        let is_object = self.nodes[container].value == Json::Object;
        let is_first = self.nodes.len() == container + 1;
        self.skip_white_space();
        if self.eat(if is_object { "}" } else { "]" }).is_some() {
            self.nodes[container].end = self.nodes.len();
            self.open.pop();
            return Some(());
        }
        if !is_first {
            self.eat(",")?;
            self.skip_white_space();
        }
        let key = if is_object { self.key()? } else { "" };
        self.value(key)
    }

    fn key(&mut self) -> Option<&'m str> {
        let key = self.string()?;
        self.skip_white_space();
        self.eat(":")?;
        self.skip_white_space();
        Some(key)
    }

    /// Reads a scalar, or opens a container.
    fn value(&mut self, key: &'m str) -> Option<()> {
        let value = match self.peek()? {
            b'{' => self.eat("{").map(|()| Json::Object)?,
            b'[' => self.eat("[").map(|()| Json::Array)?,
            b'"' => Json::String(self.string()?),
            b'n' => self.eat("null").map(|()| Json::Null)?,
            b't' => self.eat("true").map(|()| Json::True)?,
            b'f' => self.eat("false").map(|()| Json::False)?,
            _ => Json::Number(self.number()?),
        };
        let node = self.nodes.len();
        if matches!(value, Json::Object | Json::Array) {
            self.open.push(node);
        }
        self.nodes.push(Node { key, value, end: node + 1 });
        Some(())
    }

    /// Reads a string; returns what is between the quotes.
    fn string(&mut self) -> Option<&'m str> {
        self.eat("\"")?;
        let start = self.at;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(&self.text[start..self.at - 1]),
                b'\\' => self.escape()?,
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let hex = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                hex.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<&'m str> {
        let start = self.at;
        let _ = self.eat("-");
        // A leading zero stands alone: 01 is not JSON.
        if self.eat("0").is_none() {
            self.digits()?;
        }
        if self.eat(".").is_some() {
            self.digits()?;
        }
        if self.eat("e").or_else(|| self.eat("E")).is_some() {
            let _ = self.eat("+").or_else(|| self.eat("-"));
            self.digits()?;
        }
        Some(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `token` if it comes next. Compares bytes: `at` may stand inside a character after a refusal.
    fn eat(&mut self, token: &str) -> Option<()> {
        let found = self.text.as_bytes()[self.at..].starts_with(token.as_bytes());
        if found {
            self.at += token.len();
        }
        found.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The same document as `serde_json` sees it; numbers by their spelling.
    fn value(document: &Document<'_>, node: NodeIndex) -> Value {
        match document.value(node) {
            Json::Null => Value::Null,
            Json::True => true.into(),
            Json::False => false.into(),
            Json::Number(text) => serde_json::from_str(text).unwrap(),
            Json::String(raw) => unescape(raw).into(),
            Json::Array => {
                document.every_child(node).into_iter().map(|child| value(document, child)).collect()
            }
            Json::Object => {
                let key = |child: NodeIndex| unescape(document.nodes[child].key).into_owned();
                document
                    .every_child(node)
                    .into_iter()
                    .map(|child| (key(child), value(document, child)))
                    .collect()
            }
        }
    }

    fn agrees(text: &str) {
        let theirs = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
        let ours = Document::read(text).map(|document| value(&document, ROOT));
        assert_eq!(ours, theirs, "{text}");
    }

    proptest! {
        #[test]
        fn accepts_what_serde_json_accepts_and_sees_the_same(
            // Pieces of JSON in any order: nearly valid texts, some of them valid.
            pieces in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"\\u0061\"", "\"\\ud83d\\ude00\\n\"", "1", "-0.5e+3", "01",
                "true", "null", " ", "\"\t\"", "\"\\x\"", "1.", "-", "é",
            ]), 0..12),
        ) {
            agrees(&pieces.concat());
            agrees(&format!("{{\"a\":{}}}", pieces.concat()));
            agrees(&format!("{{\"a\":[{}]}}", pieces.join(",")));
            agrees(&format!("{{\"a\":1,{}:{{}}}}", pieces.concat()));
        }

        #[test]
        fn reads_whatever_serde_json_writes(
            keys in prop::collection::vec(".{0,4}", 0..5), text in ".{0,12}", float in any::<f64>()
        ) {
            let inner: Value = keys.iter().map(|key| (key.clone(), Value::from(float))).collect();
            let outer = serde_json::json!({ "text": text, "list": [inner, [], {}, text], "key": keys });
            agrees(&outer.to_string());
            agrees(&serde_json::to_string_pretty(&outer).unwrap());
        }
    }

    #[test]
    fn half_a_surrogate_pair_does_not_hide_the_event() {
        let document = Document::read(r#"{"a":"x\ud800y","b":1}"#).unwrap();
        let node = document.member(ROOT, "a").unwrap();
        assert_eq!(document.value(node), Json::String(r"x\ud800y"));
        assert_eq!(unescape(r"x\ud800y"), "x\u{FFFD}y");
        assert!(document.member(ROOT, "b").is_some());
    }

    #[test]
    fn depth_has_no_limit_and_needs_no_stack() {
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        let document = Document::read(&deep).unwrap();
        assert!(document.member(ROOT, "b").is_some());
        assert!(Document::read(&"{\"a\":".repeat(1 << 18)).is_none());
    }
}
