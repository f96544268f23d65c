//! Numbers that look random and are the same in every run (splitmix64).

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        let choices_len = choices.len() as u64;
        choices[usize::try_from(self.below(choices_len)).expect("below a length")]
    }

    /// Letters, digits and hyphens that stand in no log.
    pub(crate) fn identifier(&mut self, bytes: u64) -> String {
        (0..bytes)
            .map(|_| {
                char::from(
                    *self
                        .of(&[
                            b"q", b"z", b"x", b"k", b"v", b"w", b"j", b"y", b"b", b"g", b"a", b"e", b"o",
                            b"r", b"t", b"n", b"7", b"3", b"_",
                        ])
                        .first()
                        .expect("one byte"),
                )
            })
            .collect()
    }
}
