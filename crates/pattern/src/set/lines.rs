//! The lines of a batch: one text, and where each line ends in it.

use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Lines<'m, 'e> {
    pub(super) text: &'m str,
    ends: &'e [u32],
}

impl<'m, 'e> Lines<'m, 'e> {
    pub(super) fn new(text: &'m str, ends: &'e [u32]) -> Self {
        Self { text, ends }
    }

    pub(super) fn len(self) -> usize {
        self.ends.len()
    }

    pub(super) fn span(self, line: usize) -> Range<usize> {
        let start = if line == 0 { 0 } else { self.ends[line - 1] as usize + 1 };
        start..self.ends[line] as usize
    }

    pub(super) fn message(self, line: usize) -> &'m str {
        &self.text[self.span(line)]
    }

    /// The line in which `span` lies, looked for from line `near` on in both directions; `None` if it is in no single
    /// one. Hits come nearly in order, so the walk costs about a step for each line of the batch.
    #[inline]
    pub(super) fn line_of(self, span: &Range<usize>, near: &mut usize) -> Option<usize> {
        while *near > 0 && self.ends[*near - 1] as usize >= span.start {
            *near -= 1;
        }
        while (*self.ends.get(*near)? as usize) < span.start {
            *near += 1;
        }
        (self.span(*near).start <= span.start && span.end <= self.ends[*near] as usize).then_some(*near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_in_one_line_or_in_none() {
        let lines = Lines::new("ab\n\nc\nd\n", &[2, 3, 7]);
        assert_eq!((0..3).map(|line| lines.message(line)).collect::<Vec<_>>(), ["ab", "", "c\nd"]);
        let mut near = 0;
        for (span, line) in [
            (4..5, Some(2)),
            (0..2, Some(0)),
            (1..4, None),
            (4..7, Some(2)),
            (2..3, None),
            (3..4, None),
            (7..8, None),
            (0..1, Some(0)),
        ] {
            assert_eq!(lines.line_of(&span, &mut near), line, "{span:?}");
        }
        assert_eq!(Lines::new("ab", &[]).line_of(&(0..2), &mut 0), None);
    }
}
