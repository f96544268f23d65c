//! "Did you mean": the known word that a wrong one probably stands for.

/// Longest word, in bytes, that is compared; nobody mistypes longer ones, and comparing costs the square of it.
const WORD_BYTES_MAX: usize = 64;

/// The word of `known` nearest to `wrong`, if one is near: at most a third of its characters wrong.
/// Among equally near words the first.
pub(crate) fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = wrong.to_lowercase();
    let mut best = None;
    for word in known {
        let allowed = word.chars().count().max(3) / 3;
        let comparable = wrong.len().max(word.len()) <= WORD_BYTES_MAX
            && wrong.len().abs_diff(word.len()) <= WORD_BYTES_MAX / 3;
        if !comparable || wrong == word {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&lower, &word.to_lowercase());
        if distance <= allowed && distance < word.len() && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, word));
        }
    }
    best.map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("erors", ["errors", "error-rate"]), Some("errors"));
        assert_eq!(nearest("Sums", ["Sum", "Minimum"]), Some("Sum"));
        assert_eq!(nearest("sum", ["Sum"]), Some("Sum"));
        assert_eq!(nearest("tiemstamp", ["timestamp"]), Some("timestamp"));
        assert_eq!(nearest("banana", ["apple", "cherry"]), None);
        assert_eq!(nearest("", ["a"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), ["xx"]), None);
    }
}
