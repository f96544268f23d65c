//! Which lines may match which patterns: what the indexes hand to the exact check.

/// Pairs of a line and a pattern, gathered in any order, read in order and once.
#[derive(Default)]
pub(super) struct Candidates {
    /// Line, pattern, and whether the pattern still has to be checked, from the highest bit down: they sort by line.
    pairs: Vec<u64>,
}

/// One candidate.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) line: usize,
    pub(super) pattern: usize,
    /// The index cannot tell whether the pattern matches.
    pub(super) unsure: bool,
}

const LINE_SHIFT: u32 = 32;
const PATTERN_MASK: u64 = (1 << 31) - 1;

impl Candidates {
    pub(super) fn clear(&mut self) {
        self.pairs.clear();
    }

    #[inline]
    pub(super) fn push(&mut self, line: usize, pattern: u32, unsure: bool) {
        self.pairs.push((line as u64) << LINE_SHIFT | u64::from(pattern) << 1 | u64::from(unsure));
    }

    /// All of `patterns` for a line, if there is one.
    pub(super) fn push_all(&mut self, line: Option<usize>, patterns: &[u32], unsure: bool) {
        if let Some(line) = line {
            for &pattern in patterns {
                self.push(line, pattern, unsure);
            }
        }
    }

    /// Brings them in order of line and pattern, each once. An index either always knows a pattern or never does.
    pub(super) fn sort(&mut self) {
        if !self.pairs.is_sorted() {
            self.pairs.sort_unstable();
        }
        self.pairs.dedup();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Candidate> {
        self.pairs.iter().map(|&pair| Candidate {
            line: (pair >> LINE_SHIFT) as usize,
            pattern: (pair >> 1 & PATTERN_MASK) as usize,
            unsure: pair & 1 == 1,
        })
    }
}
