//! YAML as a tree. The short forms of CloudFormation's functions become the long ones: `!Ref x` is `{ Ref: x }`.
//!
//! Values stay as they are written: `0123` and `yes` are texts, for CloudFormation decides by the place what a value is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::document::{DOCUMENT_DEPTH_MAX, Malformed, too_deep};
use super::node::{Map, Node};

/// What all aliases of a document may stand for together, in bytes of text and values.
const ALIASES_WEIGHT_MAX: usize = 16 * 1024 * 1024;

type TagOf<'t> = Option<Cow<'t, Tag>>;

/// A list or a map that has not ended yet.
enum Open<'t> {
    List(Vec<Node>, usize, TagOf<'t>),
    Map(Map, Option<String>, usize, TagOf<'t>),
}

pub(super) fn read(text: &str) -> Result<Node, Malformed> {
    let mut reader = Reader { open: Vec::new(), anchors: BTreeMap::new(), aliased: 0, document: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| Malformed { line: error.marker().line(), reason: error.info().to_owned() })?;
        reader.take(event).map_err(|reason| Malformed { line: span.start.line(), reason })?;
    }
    Ok(reader.document.unwrap_or(Node::Null))
}

struct Reader<'t> {
    open: Vec<Open<'t>>,
    /// Values that an alias may stand for, and their weight.
    anchors: BTreeMap<usize, (Node, usize)>,
    aliased: usize,
    document: Option<Node>,
}

impl<'t> Reader<'t> {
    fn take(&mut self, event: Event<'t>) -> Result<(), String> {
        match event {
            Event::SequenceStart(anchor, tag) => self.begin(Open::List(Vec::new(), anchor, tag)),
            Event::MappingStart(anchor, tag) => self.begin(Open::Map(Map::new(), None, anchor, tag)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(items, anchor, tag)) => self.place(Node::List(items), anchor, tag.as_deref()),
                Some(Open::Map(map, _, anchor, tag)) => self.place(Node::Map(map), anchor, tag.as_deref()),
                None => Err("something ends that did not begin".to_owned()),
            },
            Event::Scalar(text, style, anchor, tag) => {
                let is_null =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let is_text = tag.is_some();
                let node = if is_null && !is_text { Node::Null } else { Node::Text(text.into_owned()) };
                self.place(node, anchor, tag.as_deref())
            }
            Event::Alias(anchor) => {
                let (node, weight) =
                    self.anchors.get(&anchor).ok_or("an alias stands for a value that has not ended")?;
                self.aliased += weight;
                if self.aliased > ALIASES_WEIGHT_MAX {
                    return Err(format!("aliases stand for more than {ALIASES_WEIGHT_MAX} bytes"));
                }
                let node = node.clone();
                self.deep_enough(&node)?;
                self.place(node, 0, None)
            }
            Event::DocumentStart(_) if self.document.is_some() => {
                Err("a second document begins; one in a file is read".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open<'t>) -> Result<(), String> {
        self.open.push(open);
        if self.open.len() > DOCUMENT_DEPTH_MAX { Err(too_deep()) } else { Ok(()) }
    }

    /// Aliases inside of anchors could nest without end.
    fn deep_enough(&self, node: &Node) -> Result<(), String> {
        if self.open.len() + depth(node) > DOCUMENT_DEPTH_MAX { Err(too_deep()) } else { Ok(()) }
    }

    fn place(&mut self, node: Node, anchor: usize, tag: Option<&Tag>) -> Result<(), String> {
        let node = match tag {
            Some(tag) => tagged(node, tag),
            None => node,
        };
        if tag.is_some() {
            self.deep_enough(&node)?;
        }
        if anchor != 0 {
            let weight = node.weight();
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        match self.open.last_mut() {
            None => self.document = Some(node),
            Some(Open::List(items, ..)) => items.push(node),
            Some(Open::Map(map, key, ..)) => match (key.take(), node) {
                (Some(name), node) => {
                    if map.contains_key(&name) {
                        return Err(format!("key {name:?} stands twice in one map"));
                    }
                    map.insert(name, node);
                }
                (None, Node::Text(name)) => *key = Some(name),
                (None, _) => return Err("a key is not a text".to_owned()),
            },
        }
        Ok(())
    }
}

fn depth(node: &Node) -> usize {
    match node {
        Node::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Node::Map(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The long form. Tags of YAML's own say nothing that CloudFormation would not decide itself.
fn tagged(node: Node, tag: &Tag) -> Node {
    if tag.handle != "!" {
        return node;
    }
    let (name, argument) = match (tag.suffix.as_str(), node) {
        ("Ref", node) => ("Ref".to_owned(), node),
        ("Condition", node) => ("Condition".to_owned(), node),
        ("GetAtt", Node::Text(path)) => {
            let (resource, attribute) = path.split_once('.').unwrap_or((&path, ""));
            let parts = [resource, attribute].map(|part| Node::Text(part.to_owned()));
            ("Fn::GetAtt".to_owned(), Node::List(parts.into()))
        }
        (suffix, node) => (format!("Fn::{suffix}"), node),
    };
    Node::Map(Map::from([(name, argument)]))
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[track_caller]
    fn same(yaml: &str, json: &str) {
        assert_eq!(read(yaml).unwrap(), json::read(json).unwrap(), "{yaml}");
    }

    #[test]
    fn short_forms_are_the_long_ones() {
        same("a: !Ref x", r#"{"a": {"Ref": "x"}}"#);
        same("a: !GetAtt x.Arn", r#"{"a": {"Fn::GetAtt": ["x", "Arn"]}}"#);
        same("a: !GetAtt [x, Arn]", r#"{"a": {"Fn::GetAtt": ["x", "Arn"]}}"#);
        same("a: !Sub '${x}-y'", r#"{"a": {"Fn::Sub": "${x}-y"}}"#);
        same(
            "a: !If [c, !Ref x, !Ref AWS::NoValue]",
            r#"{"a": {"Fn::If": ["c", {"Ref": "x"}, {"Ref": "AWS::NoValue"}]}}"#,
        );
        same("a: !Equals\n- !Ref e\n- prod", r#"{"a": {"Fn::Equals": [{"Ref": "e"}, "prod"]}}"#);
        same(
            "a: !And [!Condition b, !Condition c]",
            r#"{"a": {"Fn::And": [{"Condition": "b"}, {"Condition": "c"}]}}"#,
        );
        same("Fn::Sub: x", r#"{"Fn::Sub": "x"}"#);
    }

    #[test]
    fn values_stay_as_they_are_written() {
        same(
            "a: [1, 010, 1.50, yes, true, '', ~, !!str 5]",
            r#"{"a": ["1", "010", "1.50", "yes", "true", "", null, "5"]}"#,
        );
        same("a: |\n  x\n  y\nb: >-\n  x\n  y\nc: \"\\u00e4\"", r#"{"a": "x\ny\n", "b": "x y", "c": "ä"}"#);
        same("a: &x {k: 1}\nb: *x", r#"{"a": {"k": 1}, "b": {"k": 1}}"#);
        same("", "null");
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let error = |text: &str| read(text).unwrap_err();
        assert_eq!(error("a: 1\nb: 2\na: 3").line, 3);
        assert_eq!(error("a: 1\n---\nb: 2").line, 2);
        assert_eq!(error("a:\n  [b").line, 3);
        assert!(error("? [a]\n: 1").reason.contains("a key is not a text"));
    }

    #[test]
    fn neither_depth_nor_aliases_nor_length_get_out_of_hand() {
        let error = |text: &str| read(text).unwrap_err().reason;
        // The parser itself has a limit for brackets.
        assert!(!error(&"[".repeat(1_000_000)).is_empty());
        assert!(error(&"- ".repeat(200_000)).contains("nested deeper"));
        assert!(
            error(&(0..2000).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>())
                .contains("nested deeper")
        );
        let chain = |of: fn(usize) -> String, count| {
            let lines = (1..count).map(|n| format!("a{n}: &a{n} [{}]", of(n - 1)));
            lines.fold("a0: &a0 x".to_owned(), |text, line| text + "\n" + &line)
        };
        let laughs = chain(|before| vec![format!("*a{before}"); 10].join(", "), 12);
        assert!(error(&laughs).contains("aliases stand for more"));
        assert!(error(&chain(|before| format!("*a{before}"), 200)).contains("nested deeper"));
        let long: Vec<String> = (0..10_000).map(|n| format!("k{n}: [a, {{b: !Ref c}}]")).collect();
        assert_eq!(read(&long.join("\n")).unwrap().as_map().unwrap().len(), 10_000);
    }
}
