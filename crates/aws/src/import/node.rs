//! A document as a tree, whatever it was written in.

use std::collections::BTreeMap;

/// A value in a document. Numbers and truth values are texts: CloudFormation takes either spelling of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Nothing: as good as absent.
    Null,
    /// A text, a number, `true` or `false`, as written.
    Text(String),
    /// Some values in order.
    List(Vec<Node>),
    /// Values by name.
    Map(Map),
    /// What these files do not tell, and why. No reader gives it; resolving does.
    Unknown(String),
}

/// Values by name.
pub(super) type Map = BTreeMap<String, Node>;

impl Node {
    /// Whether it says no more than if it were absent, as the empty lists that the AWS CLI prints.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Node::Null => true,
            Node::Text(_) | Node::Unknown(_) => false,
            Node::List(items) => items.is_empty(),
            Node::Map(map) => map.is_empty(),
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_map(&self) -> Option<&Map> {
        match self {
            Node::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items of a list; of anything else but nothing, itself.
    pub(super) fn items(&self) -> &[Node] {
        match self {
            Node::List(items) => items,
            Node::Null => &[],
            other => std::slice::from_ref(other),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The name and argument of an intrinsic function, or of `Ref` or `Condition`: a map with this one key.
    pub(super) fn function(&self) -> Option<(&str, &Node)> {
        let map = self.as_map().filter(|map| map.len() == 1)?;
        let (name, argument) = map.first_key_value()?;
        (name.starts_with("Fn::") || name == "Ref").then_some((name.as_str(), argument))
    }

    /// Bytes of text and count of values in it, roughly what it takes in memory.
    pub(super) fn weight(&self) -> usize {
        1 + match self {
            Node::Null => 0,
            Node::Text(text) | Node::Unknown(text) => text.len(),
            Node::List(items) => items.iter().map(Node::weight).sum(),
            Node::Map(map) => map.iter().map(|(key, value)| key.len() + value.weight()).sum(),
        }
    }
}
