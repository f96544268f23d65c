//! The members at the top of a JSON object, for those who want a few of them and no check of the rest.
//!
//! Promise: of JSON these are its members, in order, repeated ones too. Of anything else these are the members in front
//! of the place where it stops looking like JSON, each followed by its comma or brace: a number that was cut is none.
//! Not here: whether values are sound; nesting is only counted, so that no depth can overflow the stack.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// A name and its value.
pub(crate) struct Member<'a> {
    /// What it means: without quotes and escapes.
    pub(crate) key: Cow<'a, str>,
    /// As it is written.
    pub(crate) value: &'a str,
}

/// Walks over one object.
pub(crate) struct Members<'a> {
    text: &'a str,
    /// Behind the last member's comma, or at the end once there is no other.
    at: usize,
}

impl<'a> Members<'a> {
    /// The members of the object that `text` begins with; none if it begins with something else.
    pub(crate) fn of(text: &'a str) -> Members<'a> {
        let at = skip_spaces(text.as_bytes(), 0);
        let is_object = text.as_bytes().get(at) == Some(&b'{');
        Members { text, at: if is_object { at + 1 } else { text.len() } }
    }

    /// What follows the members that were taken.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self) -> Option<Member<'a>> {
        let bytes = self.text.as_bytes();
        let open = skip_spaces(bytes, self.at);
        let close = string_end(bytes, open)?;
        let key = &self.text[open..close];
        let colon = skip_spaces(bytes, close);
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        let start = skip_spaces(bytes, colon + 1);
        let end = value_end(bytes, start)?;
        let after = skip_spaces(bytes, end);
        self.at = match bytes.get(after)? {
            b',' => after + 1,
            b'}' => bytes.len(),
            _ => return None,
        };
        Some(Member { key: meaning(key)?, value: &self.text[start..end] })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let member = self.take();
        if member.is_none() {
            self.at = self.text.len();
        }
        member
    }
}

/// What a JSON string means; `None` if it has escapes that do not exist.
pub(crate) fn meaning(string: &str) -> Option<Cow<'_, str>> {
    let inner = string.strip_prefix('"')?.strip_suffix('"')?;
    match memchr(b'\\', inner.as_bytes()) {
        Some(_) => serde_json::from_str(string).ok().map(Cow::Owned),
        None => Some(Cow::Borrowed(inner)),
    }
}

fn skip_spaces(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Behind the string that opens at `open`; `None` if there is none or it does not close.
fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut at = open + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the value that begins at `start`; `None` if there is none or it does not end.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => string_end(bytes, start),
        b'{' | b'[' => nested_end(bytes, start),
        _ => {
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            let length = bytes[start..].iter().position(is_end)?;
            (length > 0).then_some(start + length)
        }
    }
}

/// Behind the object or array that opens at `open`.
fn nested_end(bytes: &[u8], open: usize) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, open);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn members(text: &str) -> Vec<(String, &str)> {
        Members::of(text).map(|member| (member.key.into_owned(), member.value)).collect()
    }

    #[test]
    fn members_in_front_of_a_break_are_told() {
        for text in [
            r#"{"a":1,"b":2"#,
            r#"{"a":1,"b":"2}"#,
            r#"{"a":1,"b":[2}"#,
            r#"{"a":1,"b" 2}"#,
            r#"{"a":1,"b":}"#,
            r#"{"a":1,"b":2]"#,
            r#"{"a":1,b:2}"#,
            r#"{"a":1,"\ud800":2}"#,
            r#"{"a":1,"\"#,
            r#"{"a":1,}"#,
            r#"{"a":1} "b":2}"#,
        ] {
            assert_eq!(members(text), [("a".to_owned(), "1")], "{text}");
        }
        for none in ["", "1", r#"["a",1]"#, r#""a":1}"#, "{}", "{", r#"x{"a":1}"#] {
            assert!(members(none).is_empty(), "{none}");
        }
    }

    /// JSON objects with spaces, nesting, escapes and repeated keys; keys and leaves as the caller wants them, or any.
    pub(crate) fn object(key: &'static str, leaf: &'static str) -> impl Strategy<Value = String> {
        const STRING: &str = r#""([a-c:,\{\}\[\] é]|\\["\\/bn]|\\u0061|\\ud83d\\ude00){0,4}""#;
        const NUMBER: &str = r"-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,3})?(e[+-]?[0-9])?|true|false|null";
        const SPACE: &str = "[ \t\r\n]{0,2}";
        let spaced = |value: BoxedStrategy<String>| {
            (SPACE, value, SPACE).prop_map(|(before, value, after)| before + &value + &after).boxed()
        };
        let object_of = move |value: BoxedStrategy<String>| {
            let member = (spaced(prop_oneof![key, STRING].boxed()), spaced(value));
            let member = member.prop_map(|(key, value)| key + ":" + &value);
            prop::collection::vec(member, 0..5).prop_map(|all| format!("{{{}}}", all.join(",")))
        };
        let value = prop_oneof![leaf, STRING, NUMBER].prop_recursive(3, 24, 4, move |inner| {
            let array = prop::collection::vec(spaced(inner.clone().boxed()), 0..4);
            let array = array.prop_map(|all| format!("[{}]", all.join(",")));
            prop_oneof![array, object_of(inner.boxed())]
        });
        spaced(object_of(value.boxed()).boxed())
    }

    proptest! {
        #[test]
        fn of_json_these_are_its_members(text in object("\"a\"", "1")) {
            let expected: BTreeMap<String, &RawValue> = serde_json::from_str(&text).unwrap();
            let expected: BTreeMap<String, &str> =
                expected.into_iter().map(|(key, value)| (key, value.get())).collect();
            // Of a repeated key both keep the last.
            prop_assert_eq!(members(&text).into_iter().collect::<BTreeMap<_, _>>(), expected);
        }

        #[test]
        fn of_cut_json_these_are_the_members_before_the_cut(text in object("\"a\"", "1"), cut in any::<prop::sample::Index>()) {
            let all = members(&text);
            let cut = text.floor_char_boundary(cut.index(text.len() + 1));
            let before = members(&text[..cut]);
            prop_assert!(all.starts_with(&before), "{:?} of {:?}", before, all);
        }

        #[test]
        fn any_text_has_an_end(text in "[\\{\\}\\[\\]\",:\\\\ 0-9a-u.-]{0,40}") {
            for member in Members::of(&text) {
                prop_assert!(text.contains(member.value));
            }
        }
    }
}
