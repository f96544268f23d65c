//! The paths of many patterns as one tree, and the values that a walk over an event puts at them.

use std::ops::Range;

use super::slot_index::Value;
use crate::document::Document;
use crate::path::{Path, Step};

/// Nothing below this is wanted.
pub(super) const NOWHERE: u32 = u32::MAX;

#[derive(Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Default)]
pub(super) struct Node {
    /// By length and text.
    members: Vec<Member>,
    /// Which combinations of length and first byte the members have: most keys of an event are not wanted.
    member_kinds: u64,
    elements: Vec<(usize, u32)>,
    pub(super) slot: Option<u32>,
}

struct Member {
    key: Box<[u8]>,
    /// The key's first eight bytes, with zeros behind a shorter one.
    head: u64,
    node: u32,
}

/// What a walk writes: the values of one event, by slot.
pub(super) struct Found<'m> {
    pub(super) values: Vec<Value<'m>>,
    /// The slots that are not absent.
    pub(super) touched: Vec<u32>,
    /// In which event a node was met last: twice in one means a repeated key.
    met: Vec<u32>,
    event: u32,
}

impl Trie {
    /// The tree of `paths`, each with its slot; they differ and have no wildcards.
    pub(super) fn new<'p>(paths: impl Iterator<Item = (&'p Path, u32)>) -> Self {
        let mut trie = Self { nodes: vec![Node::default()] };
        for (path, slot) in paths {
            let node = path.steps.iter().fold(0, |node, step| trie.child(node, step));
            trie.nodes[node as usize].slot = Some(slot);
        }
        for node in &mut trie.nodes {
            node.members.sort_by(|one, other| one.rank().cmp(&other.rank()));
            node.member_kinds = node.members.iter().fold(0, |kinds, it| kinds | kind(it.key.len(), it.head));
        }
        trie
    }

    fn child(&mut self, node: u32, step: &Step) -> u32 {
        let next = u32::try_from(self.nodes.len()).expect("paths are short");
        let Node { members, elements, .. } = &mut self.nodes[node as usize];
        let known = match step {
            Step::Member(key) => members.iter().find(|it| *it.key == *key.as_bytes()).map(|it| it.node),
            Step::Element(index) => elements.iter().find(|(it, _)| it == index).map(|it| it.1),
            Step::Every => unreachable!("the caller keeps paths with wildcards"),
        };
        if let Some(child) = known {
            return child;
        }
        match step {
            Step::Member(key) => {
                let head = head(key.as_bytes(), 0..key.len());
                members.push(Member { key: key.as_bytes().into(), head, node: next });
            }
            Step::Element(index) => elements.push((*index, next)),
            Step::Every => {}
        }
        self.nodes.push(Node::default());
        next
    }

    #[inline]
    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }
}

/// One bit for a combination of length and first byte.
#[inline]
fn kind(length: usize, head: u64) -> u64 {
    1 << ((length as u64 ^ head) & 63)
}

/// The first eight bytes of what stands at `span`, with zeros behind a shorter text.
#[inline]
fn head(bytes: &[u8], span: Range<usize>) -> u64 {
    let length = span.len();
    match bytes.get(span.start..).and_then(<[u8]>::first_chunk) {
        Some(eight) if length >= 8 => u64::from_le_bytes(*eight),
        Some(eight) => u64::from_le_bytes(*eight) & ((1 << (8 * length)) - 1),
        None => bytes[span].iter().rev().fold(0, |head, &byte| head << 8 | u64::from(byte)),
    }
}

impl Member {
    fn rank(&self) -> (usize, u64, &[u8]) {
        (self.key.len(), self.head, &self.key)
    }
}

impl Node {
    /// The node for the key at `span` of `bytes`.
    #[inline]
    pub(super) fn member(&self, bytes: &[u8], span: Range<usize>) -> u32 {
        let head = head(bytes, span.clone());
        if self.member_kinds & kind(span.len(), head) == 0 {
            NOWHERE
        } else {
            self.find_member(head, &bytes[span])
        }
    }

    fn find_member(&self, head: u64, key: &[u8]) -> u32 {
        // Keys of up to eight bytes need no look at the text.
        let is_key = |it: &&Member| {
            it.head == head && it.key.len() == key.len() && (key.len() <= 8 || *it.key == *key)
        };
        if self.members.len() <= 16 {
            return self.members.iter().find(is_key).map_or(NOWHERE, |it| it.node);
        }
        let found = self.members.binary_search_by(|it| it.rank().cmp(&(key.len(), head, key)));
        found.map_or(NOWHERE, |place| self.members[place].node)
    }

    pub(super) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    pub(super) fn element(&self, index: usize) -> u32 {
        self.elements.iter().find(|(it, _)| *it == index).map_or(NOWHERE, |it| it.1)
    }
}

impl<'m> Found<'m> {
    pub(super) fn new(trie: &Trie, slots: usize) -> Self {
        Self {
            values: vec![Value::Absent; slots],
            touched: Vec::new(),
            met: vec![0; trie.nodes.len()],
            event: 0,
        }
    }

    pub(super) fn begin(&mut self) {
        for slot in self.touched.drain(..) {
            self.values[slot as usize] = Value::Absent;
        }
        self.event += 1;
    }

    /// Whether a node is met for the first time in this event.
    #[inline]
    pub(super) fn meet(&mut self, node: u32) -> bool {
        std::mem::replace(&mut self.met[node as usize], self.event) != self.event
    }

    #[inline]
    pub(super) fn put(&mut self, slot: u32, value: Value<'m>) {
        self.values[slot as usize] = value;
        self.touched.push(slot);
    }

    /// What stands at `paths`, found in a document: the slow way.
    pub(super) fn read<'p>(&mut self, document: &Document<'m>, paths: impl Iterator<Item = (&'p Path, u32)>) {
        self.begin();
        for (path, slot) in paths {
            if let Some(&node) = path.select(document).first() {
                self.put(slot, document.slot_value(node));
            }
        }
    }
}
