//! Text in which `*` stands for any run of characters, also none.
//!
//! Everything else is literal, `?` included; there is no way to write a literal `*` (a regex has one).
//! Matching is linear: the pieces between the stars are looked for from left to right, and the leftmost place is
//! always good enough.

#[derive(Debug, Clone)]
pub(crate) struct WildcardText {
    /// What stands before the first `*`, or the whole text if there is none.
    head: String,
    /// The pieces behind each `*`; the last one must end the text.
    tail: Vec<String>,
}

impl WildcardText {
    pub(crate) fn new(text: &str) -> Self {
        let mut pieces = text.split('*').map(str::to_owned);
        Self { head: pieces.next().unwrap_or_default(), tail: pieces.collect() }
    }

    /// What stands between the stars, from left to right: one piece more than there are stars.
    pub(crate) fn pieces(&self) -> Vec<&str> {
        std::iter::once(&self.head).chain(&self.tail).map(String::as_str).collect()
    }

    /// What stands before the first star, and the pieces behind each.
    pub(crate) fn head_and_tail(&self) -> (&str, &[String]) {
        (&self.head, &self.tail)
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((last, middle)) = self.tail.split_last() else {
            return text == self.head;
        };
        let inner = text.strip_prefix(self.head.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
        let Some(mut rest) = inner else { return false };
        for piece in middle {
            let Some(found) = rest.find(piece.as_str()) else { return false };
            rest = &rest[found + piece.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, by trying every length for every star.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            [first, rest @ ..] => text.first() == Some(first) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{0,7}", text in "[ab]{0,9}") {
            prop_assert_eq!(
                WildcardText::new(&pattern).matches(&text),
                naive(pattern.as_bytes(), text.as_bytes())
            );
        }
    }

    #[test]
    fn head_and_end_may_not_share_characters() {
        assert!(!WildcardText::new("aba*aba").matches("aba"));
        assert!(!WildcardText::new("ab*b").matches("ab"));
        assert!(WildcardText::new("ab*b").matches("abb"));
    }

    #[test]
    fn many_stars_over_long_text_stay_linear() {
        let pattern = "*a".repeat(500) + "*b";
        assert!(!WildcardText::new(&pattern).matches(&"a".repeat(1 << 20)));
    }
}
