//! JSON as a tree. A key that stands twice in an object is an error: one of the two would be lost.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;

use super::document::{DOCUMENT_DEPTH_MAX, Malformed, too_deep};
use super::node::{Map, Node};

pub(super) fn read(text: &str) -> Result<Node, Malformed> {
    let mut deserializer = Deserializer::from_str(text);
    let node = Value { depth: 0 }.deserialize(&mut deserializer);
    node.and_then(|node| deserializer.end().map(|()| node)).map_err(|error| {
        let reason = error.to_string();
        // The line is told apart; the column says little in JSON that a program wrote.
        let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
        Malformed { line: error.line().max(1), reason }
    })
}

/// A value at some depth.
#[derive(Clone, Copy)]
struct Value {
    depth: usize,
}

impl Value {
    fn inner<E: Error>(self) -> Result<Value, E> {
        let depth = self.depth + 1;
        if depth > DOCUMENT_DEPTH_MAX { Err(E::custom(too_deep())) } else { Ok(Value { depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Node;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("key {key:?} stands twice in one object")));
            }
            let value = entries.next_value_seed(inner)?;
            map.insert(key, value);
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_as_texts() {
        let node = read(r#"{"a": [1, 0.5, true, null, "x"]}"#).unwrap();
        let text = |text: &str| Node::Text(text.to_owned());
        let list = vec![text("1"), text("0.5"), text("true"), Node::Null, text("x")];
        assert_eq!(node.get("a"), Some(&Node::List(list)));
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let error = |text: &str| read(text).unwrap_err();
        assert_eq!(error("{\n\"a\": 1,\n\"a\": 2}").line, 3);
        assert!(error("{\n\"a\": 1,\n\"a\": 2}").reason.contains("stands twice"));
        assert_eq!(error("{} x").line, 1);
        assert!(error(&"[".repeat(1_000_000)).reason.contains("nested deeper"));
        assert!(read(&("[".repeat(99) + &"]".repeat(99))).is_ok());
    }
}
