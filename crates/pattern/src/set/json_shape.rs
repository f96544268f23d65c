//! The keys of the event before, guessed again: events of one log mostly have the same members in the same order.
//!
//! A guess that holds is two comparisons of words in the place of a search for the key's end and a lookup of the key. One
//! that does not costs a compare, and what is found instead is the guess for the next event. Nothing else depends on
//! guesses: with all of them wrong a walk finds the same.

#![expect(clippy::inline_always, reason = "parts of the JSON walk: see there")]

/// What is compared of a key at once.
const WIDTH: usize = 16;
/// Of more members the later ones are not guessed.
const MEMBERS_MAX: usize = 256;

/// The keys of an event in their order, whichever object they stand in.
#[derive(Default)]
pub(super) struct Shape {
    keys: Vec<Key>,
    /// The place of the next key among them.
    next: usize,
}

/// A key with its quotes and the colon directly behind it.
#[derive(Clone, Copy)]
struct Key {
    /// The first bytes; those that `mask` takes away are no part of the key.
    head: u128,
    mask: u128,
    /// The last bytes of a key that does not fit into `head`.
    tail: u128,
    /// In bytes; more than any event has for a key that cannot be guessed.
    length: usize,
    /// The node of the object that the key stands in.
    object: u32,
    node: u32,
}

impl Shape {
    /// An event begins.
    #[inline(always)]
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// The length of the key at `at` with quotes and colon, and the node that stands for it in the object of node `object`,
    /// if the key is the guessed one.
    #[inline(always)]
    pub(super) fn guess(&mut self, bytes: &[u8], at: usize, object: u32) -> Option<(usize, u32)> {
        let key = self.keys.get(self.next)?;
        let head = u128::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        let holds = key.object == object
            && (head ^ key.head) & key.mask == 0
            && (key.length <= WIDTH || key.has_tail(bytes, at));
        if !holds {
            return None;
        }
        self.next += 1;
        Some((key.length, key.node))
    }

    /// Takes what stands where the guess was wrong or missing. `key` has its quotes and what is behind it up to the colon,
    /// and no escape.
    #[inline(never)]
    pub(super) fn learn(&mut self, key: &[u8], object: u32, node: u32) {
        let key = Key::new(key, object, node);
        match self.keys.get_mut(self.next) {
            Some(known) => *known = key,
            None if self.next < MEMBERS_MAX => self.keys.push(key),
            None => {}
        }
        self.next += 1;
    }
}

impl Key {
    fn new(key: &[u8], object: u32, node: u32) -> Self {
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u128::from(byte));
        let length = key.len();
        let head = word(&key[..length.min(WIDTH)]);
        let mask = u128::MAX >> (8 * (WIDTH - length.min(WIDTH)));
        let tail = word(&key[length.saturating_sub(WIDTH)..]);
        // A key between head and tail would not be compared.
        let length = if length <= 2 * WIDTH { length } else { usize::MAX };
        Self { head, mask, tail, length, object, node }
    }

    #[inline]
    fn has_tail(&self, bytes: &[u8], at: usize) -> bool {
        let tail = at.checked_add(self.length - WIDTH).and_then(|at| bytes.get(at..)?.first_chunk());
        tail.is_some_and(|tail| u128::from_le_bytes(*tail) == self.tail)
    }
}
