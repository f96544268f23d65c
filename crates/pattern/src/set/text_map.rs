//! Texts of patterns, looked up by texts of events.
//!
//! The standard library's map is seeded at random, which this crate keeps out, and hashes every byte of the text that is
//! looked up. Here a lookup takes the length and up to 16 bytes, then compares with the one or two texts in that
//! place. Texts of events cannot make places collide: only those of patterns are in the map.

pub(super) struct TextMap {
    /// A power of two, at least twice the entries.
    places: Vec<Place>,
    entries: Vec<(Box<str>, Vec<u32>)>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    /// Half of the text's hash: nearly all texts of events that lead to another one's place end here.
    mark: u32,
    /// One more than an entry's number; 0 for an empty place.
    number: u32,
}

impl TextMap {
    /// A map from texts, which differ, to numbers.
    pub(super) fn new(entries: impl IntoIterator<Item = (String, Vec<u32>)>) -> Self {
        let entries: Vec<(Box<str>, Vec<u32>)> =
            entries.into_iter().map(|(text, numbers)| (text.into(), numbers)).collect();
        let mut map =
            Self { places: vec![Place::default(); (entries.len() * 2).next_power_of_two().max(2)], entries };
        for (number, (text, _)) in (1..).zip(&map.entries) {
            let (mut place, mark) = map.first_place(text);
            while map.places[place].number != 0 {
                place = map.next_place(place);
            }
            map.places[place] = Place { mark, number };
        }
        map
    }

    #[inline]
    pub(super) fn get(&self, text: &str) -> &[u32] {
        if self.entries.is_empty() {
            return &[];
        }
        let (mut place, mark) = self.first_place(text);
        while let Some(entry) = self.places[place].number.checked_sub(1) {
            if self.places[place].mark == mark {
                let (key, numbers) = &self.entries[entry as usize];
                if **key == *text {
                    return numbers;
                }
            }
            place = self.next_place(place);
        }
        &[]
    }

    /// The place where the search for a text begins, and its mark.
    #[inline]
    fn first_place(&self, text: &str) -> (usize, u32) {
        let hash = hash(text.as_bytes());
        let place = hash >> (u64::BITS - self.places.len().ilog2());
        let mark = u32::try_from(hash & u64::from(u32::MAX)).expect("32 bits");
        (usize::try_from(place).expect("fewer bits than the number of places has"), mark)
    }

    fn next_place(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }
}

#[inline]
fn hash(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(head), Some(tail)) => {
                (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)))
            }
            _ => bytes.iter().fold((0, 0), |(head, tail), &byte| (head << 8 | u64::from(byte), tail)),
        },
    };
    let mixed = (head ^ bytes.len() as u64).wrapping_mul(ODD);
    (mixed ^ mixed >> 32 ^ tail).wrapping_mul(ODD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_lengths_are_found_and_others_are_not() {
        let texts: Vec<String> =
            (0..40).flat_map(|length| (0..9).map(move |i| format!("{i}{}", "x".repeat(length)))).collect();
        let map = TextMap::new((0..).zip(&texts).map(|(number, text)| (text.clone(), vec![number])));
        for (number, text) in (0..).zip(&texts) {
            assert_eq!(map.get(text), [number]);
            assert_eq!(map.get(&format!("{text}y")), [0u32; 0]);
        }
        assert_eq!(map.get(""), [0u32; 0]);
        assert_eq!(TextMap::new([]).get("a"), [0u32; 0]);
        assert_eq!(TextMap::new([(String::new(), vec![3])]).get(""), [3]);
    }
}
