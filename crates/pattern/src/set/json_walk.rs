//! One forward walk over a JSON event that finds what stands at all paths of a tree.
//!
//! Promise: the walk accepts exactly the events that a [`Document`](crate::document::Document) accepts, and finds the
//! values that [`Path::select`](crate::path::Path::select) finds in it. Where that would take looking back (a key with
//! an escape that may be a wanted one, a wanted key that comes twice) it says so and the caller reads the event as a
//! document. Depth needs no stack. Not here: paths with a wildcard.

#![expect(clippy::inline_always, reason = "see `Walker`")]

use std::ops::Range;

use super::json_shape::Shape;
use super::json_trie::{Found, NOWHERE, Trie};
use super::slot_index::Value;
use super::specials::Specials;

/// What a walk found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// The values are complete.
    Whole,
    /// Not one valid JSON object.
    Invalid,
    /// It takes a document to tell.
    Unsure,
}

#[derive(Clone, Copy)]
pub(super) struct Container {
    is_object: bool,
    node: u32,
    /// Of the next element.
    index: usize,
}

/// What a walk leaves for the next one in the same tree.
#[derive(Default)]
pub(super) struct Buffers {
    /// The containers around the innermost one.
    outer: Vec<Container>,
    shape: Shape,
}

/// The walk over one event. Its parts are inlined into one function, so that the place stays in a register: as memory
/// behind a reference it was measured to cost a third of the time.
struct Walker<'t, 'f, 'm> {
    trie: &'t Trie,
    text: &'m str,
    /// Up to the end of the event.
    bytes: &'m [u8],
    specials: &'t Specials,
    found: &'f mut Found<'m>,
    buffers: &'f mut Buffers,
    /// The place of the walk.
    at: usize,
}

/// Walks over the event that stands at `span` in `text`; the values are found only if this returns [`Walk::Whole`].
/// `specials` are those of `text`.
pub(super) fn walk<'m>(
    trie: &Trie,
    text: &'m str,
    specials: &Specials,
    span: Range<usize>,
    buffers: &mut Buffers,
    found: &mut Found<'m>,
) -> Walk {
    found.begin();
    buffers.outer.clear();
    buffers.shape.begin();
    let bytes = &text.as_bytes()[..span.end];
    match (Walker { trie, text, bytes, specials, found, buffers, at: span.start }).event() {
        Ok(()) => Walk::Whole,
        Err(walk) => walk,
    }
}

/// A string between its quotes.
#[derive(Clone, Copy)]
struct Quoted {
    start: usize,
    end: usize,
    escaped: bool,
}

impl<'m> Walker<'_, '_, 'm> {
    #[inline(always)]
    fn event(mut self) -> Result<(), Walk> {
        self.skip_white_space();
        self.expect(b'{')?;
        let mut inner = Container { is_object: true, node: 0, index: 0 };
        let mut closed = self.closes_at_once(b'}');
        loop {
            while closed {
                let Some(outer) = self.buffers.outer.pop() else {
                    self.skip_white_space();
                    return if self.at == self.bytes.len() { Ok(()) } else { Err(Walk::Invalid) };
                };
                inner = outer;
                closed = self.closes_or_goes_on(inner.is_object)?;
            }
            let node = if inner.is_object { self.key(inner.node)? } else { self.element(&mut inner)? };
            if let Some(opened) = self.value(node, inner)? {
                self.buffers.outer.push(inner);
                inner = opened;
                closed = self.closes_at_once(if inner.is_object { b'}' } else { b']' });
            } else {
                closed = self.closes_or_goes_on(inner.is_object)?;
            }
        }
    }

    /// Directly behind the opening character of a container.
    #[inline(always)]
    fn closes_at_once(&mut self, closer: u8) -> bool {
        self.skip_white_space();
        let closes = self.byte() == closer;
        self.at += usize::from(closes);
        closes
    }

    /// Directly behind a value: the end of its container, or the place of the next child.
    #[inline(always)]
    fn closes_or_goes_on(&mut self, is_object: bool) -> Result<bool, Walk> {
        self.skip_white_space();
        let byte = self.byte();
        self.at += 1;
        if byte == b',' {
            self.skip_white_space();
            return Ok(false);
        }
        if byte == if is_object { b'}' } else { b']' } { Ok(true) } else { Err(Walk::Invalid) }
    }

    /// Reads a member's key; the node that stands for it.
    #[inline(always)]
    fn key(&mut self, node: u32) -> Result<u32, Walk> {
        if let Some((length, member)) = self.buffers.shape.guess(self.bytes, self.at, node) {
            self.at += length;
            self.skip_white_space();
            return self.meet(member);
        }
        let start = self.at;
        self.expect(b'"')?;
        let key = self.quoted()?;
        self.skip_white_space();
        self.expect(b':')?;
        let end = self.at;
        self.skip_white_space();
        let member = if node == NOWHERE {
            NOWHERE
        } else {
            let node = self.trie.node(node);
            if key.escaped && node.has_members() {
                return Err(Walk::Unsure);
            }
            node.member(self.bytes, key.start..key.end)
        };
        self.buffers.shape.learn(&self.bytes[start..end], node, member);
        self.meet(member)
    }

    /// Counts an element; the node that stands for it.
    #[inline(always)]
    fn element(&mut self, array: &mut Container) -> Result<u32, Walk> {
        if array.node == NOWHERE {
            return Ok(NOWHERE);
        }
        let index = array.index;
        array.index += 1;
        self.meet(self.trie.node(array.node).element(index))
    }

    #[inline(always)]
    fn meet(&mut self, node: u32) -> Result<u32, Walk> {
        if node == NOWHERE || self.found.meet(node) { Ok(node) } else { Err(Walk::Unsure) }
    }

    /// Reads a scalar, or the beginning of a container, which it returns.
    #[inline(always)]
    fn value(&mut self, node: u32, container: Container) -> Result<Option<Container>, Walk> {
        let slot = if node == NOWHERE { None } else { self.trie.node(node).slot };
        let value = match self.byte() {
            b'"' => {
                self.at += 1;
                let Quoted { start, end, escaped } = self.quoted()?;
                if slot.is_none() {
                    return Ok(None);
                }
                let text = &self.text[start..end];
                if escaped { Value::Escaped(text) } else { Value::Text(text) }
            }
            byte @ (b'{' | b'[') => {
                self.at += 1;
                let is_object = byte == b'{';
                self.put(slot, if is_object { Value::Object } else { Value::Array { has_null: false } });
                return Ok(Some(Container { is_object, node, index: 0 }));
            }
            b'n' => {
                self.literal(b"null")?;
                self.null_in(container);
                Value::Null
            }
            b't' => {
                self.literal(b"true")?;
                Value::True
            }
            b'f' => {
                self.literal(b"false")?;
                Value::False
            }
            _ => {
                let start = self.at;
                self.number()?;
                if slot.is_none() {
                    return Ok(None);
                }
                Value::number(&self.text[start..self.at])
            }
        };
        self.put(slot, value);
        Ok(None)
    }

    #[inline(always)]
    fn put(&mut self, slot: Option<u32>, value: Value<'m>) {
        if let Some(slot) = slot {
            self.found.put(slot, value);
        }
    }

    /// An array with a null among its elements counts as null.
    #[inline(always)]
    fn null_in(&mut self, container: Container) {
        if !container.is_object
            && container.node != NOWHERE
            && let Some(slot) = self.trie.node(container.node).slot
        {
            self.found.values[slot as usize] = Value::Array { has_null: true };
        }
    }

    /// Reads a string from behind its opening quote.
    #[inline(always)]
    fn quoted(&mut self) -> Result<Quoted, Walk> {
        let start = self.at;
        let mut escaped = false;
        let mut end = self.specials.first(start);
        loop {
            match self.bytes.get(end) {
                Some(b'"') => {
                    self.at = end + 1;
                    return Ok(Quoted { start, end, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    let behind = escape(self.bytes, end).ok_or(Walk::Invalid)?;
                    end = self.specials.first(behind);
                }
                _ => return Err(Walk::Invalid),
            }
        }
    }

    #[inline(always)]
    fn number(&mut self) -> Result<(), Walk> {
        self.at += usize::from(self.byte() == b'-');
        // A leading zero stands alone: 01 is not JSON.
        if self.byte() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if let b'e' | b'E' = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
            self.digits()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), Walk> {
        let start = self.at;
        // Eight at a time: how many there are is then no branch, which would go wrong for every other number.
        while let Some(eight) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            let others = not_digits(u64::from_le_bytes(*eight));
            self.at += (others.trailing_zeros() / u8::BITS) as usize;
            if others != 0 {
                return if self.at > start { Ok(()) } else { Err(Walk::Invalid) };
            }
        }
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Walk::Invalid) }
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8]) -> Result<(), Walk> {
        let found = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        if found { Ok(()) } else { Err(Walk::Invalid) }
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Result<(), Walk> {
        let found = self.byte() == byte;
        self.at += 1;
        if found { Ok(()) } else { Err(Walk::Invalid) }
    }

    #[inline(always)]
    fn skip_white_space(&mut self) {
        while self.byte() <= b' ' && matches!(self.byte(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// The byte at the place of the walk; behind the end a zero, which is nowhere valid.
    #[inline(always)]
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }
}

/// Marks the highest bit of the bytes that are no digits; the lowest mark is right, and there is one if there is any.
#[inline]
fn not_digits(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Digits become 0 to 9; adding 118 takes all larger bytes into the highest bit.
    let value = word ^ (ONES * 0x30);
    (((value & (ONES * 0x7F)) + ONES * 118) | value) & (ONES * 0x80)
}

/// Behind the escape at `at`; `None` if it is none.
#[cold]
fn escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::path::Path;
    use proptest::prelude::*;

    const PATHS: [&str; 11] = [
        "$.a",
        "$.b",
        "$.a.b",
        "$.a.b.a",
        "$.a[0]",
        "$.a[1].b",
        "$.['a b']",
        "$.b[0][1]",
        "$.['é']",
        "$.['a key of over 16']",
        "$.['a key of much more than 32 bytes']",
    ];

    fn paths() -> Vec<Path> {
        PATHS.iter().map(|text| Path::parse(&mut crate::cursor::Cursor::new(text)).unwrap()).collect()
    }

    fn walk<'m>(text: &'m str, trie: &Trie, buffers: &mut Buffers, found: &mut Found<'m>) -> Walk {
        let mut specials = Specials::default();
        specials.mark(text.as_bytes());
        super::walk(trie, text, &specials, 0..text.len(), buffers, found)
    }

    /// The values the walk finds after events that it guesses by, by way of a document where it is unsure; `None` for an
    /// event it refuses.
    fn walked<'m>(text: &'m str, before: &[&'m str], paths: &[Path]) -> Option<Vec<Value<'m>>> {
        let trie = Trie::new(paths.iter().zip(0..));
        let mut found = Found::new(&trie, paths.len());
        let mut buffers = Buffers::default();
        for text in before {
            walk(text, &trie, &mut buffers, &mut found);
        }
        match walk(text, &trie, &mut buffers, &mut found) {
            Walk::Invalid => return None,
            Walk::Unsure => found.read(&Document::read(text)?, paths.iter().zip(0..)),
            Walk::Whole => {}
        }
        Some(found.values)
    }

    fn selected<'m>(text: &'m str, paths: &[Path]) -> Option<Vec<Value<'m>>> {
        let document = Document::read(text)?;
        let value = |path: &Path| {
            path.select(&document).first().map_or(Value::Absent, |&node| document.slot_value(node))
        };
        Some(paths.iter().map(value).collect())
    }

    fn agrees(text: &str) {
        const OTHER: &str = r#"{"a":{"b":{"a":1}},"b":[[1,2]],"\u0061":0}"#;
        const LONG: &str =
            r#"{"a key of over 16":{"a key of much more than 32 bytes":1},"a":[{"a b":1},{"b":1}]}"#;
        let paths = paths();
        let selected = selected(text, &paths);
        for before in [&[][..], &[OTHER], &[text], &[LONG, text], &[text, LONG]] {
            assert_eq!(walked(text, before, &paths), selected, "{text} after {before:?}");
        }
        let valid = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
        assert_eq!(selected.is_some(), valid, "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1000), ..ProptestConfig::default() })]

        #[test]
        fn the_walk_finds_what_a_document_has(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"a b\"", "\"é\"", "\"\\u0061\"", "\"c\"", "\"a\":", "\"b\":", "\"a\":1,\"b\":", "{\"b\":{",
                "\"a key of over 16\":", "\"a key of over 17\":", "\"a key of much more than 32 bytes\":", "\"a key of much MORE than 32 bytes\":",
                "1", "-0.5e+3", "01", "true", "null", "false", " ", "\"\t\"", "\"\\x\"", "\"a\\nb\"", "1.", "-", "é", "\u{1f}",
            ]), 0..14),
        ) {
            let text = pieces.concat();
            for text in [format!("{{\"a\":{text}}}"), format!("{{\"a\":[{text}],\"b\":1}}"), format!(" {{{text}}}\n"), text] {
                agrees(&text);
            }
        }
    }

    #[test]
    fn repeated_and_escaped_keys_are_left_to_a_document() {
        let paths = paths();
        let trie = Trie::new(paths.iter().zip(0..));
        let mut found = Found::new(&trie, paths.len());
        for (text, walk) in [
            (r#"{"a":1,"b":2}"#, Walk::Whole),
            (r#"{"a":1,"a":2}"#, Walk::Unsure),
            (r#"{"a":{"b":1},"a":{"b":2}}"#, Walk::Unsure),
            (r#"{"c":1,"c":2,"a":[1,{"b":1},{"b":2}]}"#, Walk::Whole),
            (r#"{"\u0061":1}"#, Walk::Unsure),
            (r#"{"c":{"\u0061":1}}"#, Walk::Whole),
            (r#"[{"a":1}]"#, Walk::Invalid),
        ] {
            assert_eq!(super::tests::walk(text, &trie, &mut Buffers::default(), &mut found), walk, "{text}");
        }
    }

    #[test]
    fn depth_needs_no_stack() {
        let deep = format!("{{\"a\":{}{},\"b\":1}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        let values = walked(&deep, &[], &paths()).unwrap();
        assert_eq!(values[1], Value::number("1"));
        assert!(walked(&"{\"a\":".repeat(1 << 18), &[], &paths()).is_none());
    }
}
