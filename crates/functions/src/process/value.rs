//! Values of fields, borrowed from the event's text or from the function where they stand there.
//!
//! A function makes values out of every event and gives most of them up again at once, so they are kept in lists that
//! are used again, and texts are not copied. `serde_json::Value` would own each text and each name.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// What JSON can say.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Fields<'a>),
}

/// Values by name, in the order of the names; each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Fields<'a> {
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name))
    }

    /// The value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.place(name).ok().map(|at| &self.0[at].1)
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Value<'a>> {
        self.place(name).ok().map(|at| &mut self.0[at].1)
    }

    /// The value of this name; `null`, put there now, if there was none.
    pub(super) fn entry(&mut self, name: &'a str) -> &mut Value<'a> {
        let at = self.place(name).unwrap_or_else(|at| {
            self.0.insert(at, (Cow::Borrowed(name), Value::Null));
            at
        });
        &mut self.0[at].1
    }

    /// Takes the value of this name away.
    pub(super) fn remove(&mut self, name: &str) -> Option<Value<'a>> {
        self.place(name).ok().map(|at| self.0.remove(at).1)
    }

    /// Takes all away; what they took of memory is kept for the next ones.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// Puts the members of a JSON object beside what is there; those that come later count.
    ///
    /// # Errors
    /// The text is no JSON object. Some of its members may be there now.
    pub(super) fn read(&mut self, json: &'a str) -> serde_json::Result<()> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let read = Members(self).deserialize(&mut reader).and_then(|()| reader.end());
        self.put_in_order();
        read
    }

    /// Puts members that stand in a text which goes away beside what is there; those that come later count.
    pub(super) fn extend(&mut self, others: Fields<'a>) {
        self.0.extend(others.0);
        self.put_in_order();
    }

    fn put_in_order(&mut self) {
        if self.0.is_sorted_by(|(before, _), (after, _)| before < after) {
            return;
        }
        self.0.sort_by(|(before, _), (after, _)| before.cmp(after));
        self.0.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
    }

    /// The same, borrowed.
    pub(super) fn view(&self) -> Fields<'_> {
        Fields(self.0.iter().map(|(name, value)| (Cow::Borrowed(name.as_ref()), value.view())).collect())
    }

    /// The same, with texts of its own.
    pub(super) fn into_owned(self) -> Fields<'static> {
        let own =
            |(name, value): (Cow<'a, str>, Value<'a>)| (Cow::Owned(name.into_owned()), value.into_owned());
        Fields(self.0.into_iter().map(own).collect())
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Value<'a>)> for Fields<'a> {
    fn from_iter<T: IntoIterator<Item = (Cow<'a, str>, Value<'a>)>>(members: T) -> Self {
        let mut fields = Fields(members.into_iter().collect());
        fields.put_in_order();
        fields
    }
}

impl Value<'_> {
    /// The same, borrowed.
    pub(super) fn view(&self) -> Value<'_> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Number(number) => Value::Number(number.clone()),
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::Array(values) => Value::Array(values.iter().map(Value::view).collect()),
            Value::Object(fields) => Value::Object(fields.view()),
        }
    }

    /// The same, with texts of its own.
    pub(super) fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(value),
            Value::Number(number) => Value::Number(number),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Array(values) => Value::Array(values.into_iter().map(Value::into_owned).collect()),
            Value::Object(fields) => Value::Object(fields.into_owned()),
        }
    }

    /// What it holds, as text: a string without quotes, a number, `true` or `false`; `None` for anything else.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Value::Text(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl From<serde_json::Value> for Value<'static> {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(number) => Value::Number(number),
            serde_json::Value::String(text) => Value::Text(Cow::Owned(text)),
            serde_json::Value::Array(values) => Value::Array(values.into_iter().map(Value::from).collect()),
            serde_json::Value::Object(members) => Value::Object(Fields::from(members)),
        }
    }
}

impl From<serde_json::Map<String, serde_json::Value>> for Fields<'static> {
    fn from(members: serde_json::Map<String, serde_json::Value>) -> Self {
        members.into_iter().map(|(name, value)| (Cow::Owned(name), Value::from(value))).collect()
    }
}

/// For programs, which have values of their own.
#[cfg(feature = "vrl")]
impl From<Value<'_>> for serde_json::Value {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(value),
            Value::Number(number) => serde_json::Value::Number(number),
            Value::Text(text) => serde_json::Value::String(text.into_owned()),
            Value::Array(values) => values.into_iter().map(serde_json::Value::from).collect(),
            Value::Object(Fields(members)) => {
                let owned = |(name, value): (Cow<'_, str>, Value<'_>)| (name.into_owned(), Self::from(value));
                members.into_iter().map(owned).collect()
            }
        }
    }
}

impl Fields<'_> {
    /// Writes them as a JSON object, as `serde_json` does.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (number, (name, value)) in self.0.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            write_text(name, out);
            out.push(b':');
            value.write(out);
        }
        out.push(b'}');
    }
}

impl Value<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Number(number) => serde_json::to_writer(out, number).expect("memory takes all"),
            Value::Text(text) => write_text(text, out),
            Value::Array(values) => {
                out.push(b'[');
                for (number, value) in values.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
            Value::Object(fields) => fields.write(out),
        }
    }
}

/// Most texts need no escape, and all bytes at once are looked at quicker than one by one.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let is_escaped = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    if text.bytes().fold(0, |any, byte| any | is_escaped(byte)) == 0 {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("memory takes all, and a text is JSON");
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Value<'de>, A::Error> {
        let mut fields = Fields::default();
        Members(&mut fields).visit_map(members)?;
        fields.put_in_order();
        Ok(Value::Object(fields))
    }
}

/// Puts the members of an object behind those that are there.
struct Members<'f, 'a>(&'f mut Fields<'a>);

impl<'de> DeserializeSeed<'de> for Members<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = members.next_key()? {
            self.0.0.push((name, members.next_value()?));
        }
        Ok(())
    }
}

/// A name, borrowed unless it is spelt with escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string key")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Map = serde_json::Map<String, serde_json::Value>;

    fn written(fields: &Fields<'_>) -> String {
        let mut out = Vec::new();
        fields.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn json() -> impl Strategy<Value = String> {
        let number = "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?";
        let text = r#""([a-c é]|\\n|\\"|\\u00e9|\\ud83d\\ude00|\\ud83d|\\x){0,5}""#;
        let leaf = prop_oneof![number, text, "(null|true|false|nul| )"];
        let value = leaf.prop_recursive(4, 24, 4, |inner| {
            let member = (r#""[a-d]{0,2}|"\\u0061"#, inner.clone())
                .prop_map(|(name, value)| format!("{name}\" : {value}"));
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
                proptest::collection::vec(member, 0..6)
                    .prop_map(|members| format!("{{{}}}", members.join(", "))),
            ]
        });
        value.prop_map(|value| format!("{{\"b\":{value},\"a\":1}}"))
    }

    proptest! {
        #[test]
        fn fields_are_what_serde_json_reads_and_writes(text in json(), cut in 0..200_usize) {
            for text in [text.as_str(), &text[..text.floor_char_boundary(cut)]] {
                let expected = serde_json::from_str::<Map>(text);
                let mut fields = Fields::default();
                let read = fields.read(text);
                prop_assert_eq!(
                    read.as_ref().map_err(ToString::to_string),
                    expected.as_ref().map(|_| &()).map_err(ToString::to_string)
                );
                let Ok(expected) = expected else { continue };
                let spelt = serde_json::to_string(&expected).unwrap();
                prop_assert_eq!(&written(&fields), &spelt);
                prop_assert_eq!(&written(&fields.view()), &spelt);
                prop_assert_eq!(&fields.clone().into_owned(), &fields);
                prop_assert_eq!(&Fields::from(expected), &fields);
            }
        }
    }

    #[test]
    fn of_a_name_that_comes_again_the_last_value_counts() {
        let mut fields = Fields::default();
        fields.read(r#"{"b":1,"a":2,"b":3,"a":4,"a":5}"#).unwrap();
        assert_eq!(written(&fields), r#"{"a":5,"b":3}"#);
        fields.read(r#"{"c":6,"b":7}"#).unwrap();
        assert_eq!(written(&fields), r#"{"a":5,"b":7,"c":6}"#);
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let mut fields = Fields::default();
        fields.read(r#"{"a":"plain","b":"\u0065"}"#).unwrap();
        let is_borrowed = |name| matches!(fields.get(name), Some(Value::Text(Cow::Borrowed(_))));
        assert!(is_borrowed("a") && !is_borrowed("b"));
    }
}
