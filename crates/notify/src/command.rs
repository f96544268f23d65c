//! Commands to look further with, quoted so that a shell takes log text for nothing but text.

use watchbell_model::{MatchedLine, Transition};

use crate::escape::is_visible;

/// How many commands a message has at most.
const LOOK_FURTHER_MAX: usize = 5;

/// `watchbell pattern PATTERN FILE` for each filter and each file that its lines came from.
///
/// A stream that is no absolute path was not read from a file here, so there is nothing to run on. A pattern or path
/// with control characters would have to be shown as something that no longer works: it is left out.
pub(crate) fn look_further(transition: &Transition) -> Vec<String> {
    let lines = || transition.first_lines.iter().chain(&transition.last_lines);
    let mut commands = Vec::new();
    for filter in transition.filters.iter().filter(|filter| is_visible(&filter.pattern)) {
        let of_file = |line: &&MatchedLine| line.group == filter.log_group && line.stream.starts_with('/');
        for line in lines().filter(of_file).filter(|line| is_visible(&line.stream)) {
            let command = pattern_command(&filter.pattern, &line.stream);
            if commands.len() < LOOK_FURTHER_MAX && !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
    commands
}

fn pattern_command(pattern: &str, file: &str) -> String {
    let end_of_options = if pattern.starts_with('-') { "-- " } else { "" };
    format!("watchbell pattern {end_of_options}{} {}", quoted(pattern), quoted_if_needed(file))
}

/// In single quotes, where a shell reads nothing but the closing quote.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn quoted_if_needed(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+,:@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { quoted(word) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splits a line into words as POSIX sh does for the quoting used here: single quotes, and a backslash outside.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut characters) = (Vec::new(), None::<String>, line.chars());
        while let Some(character) = characters.next() {
            match character {
                '\'' => word.get_or_insert_default().extend(characters.by_ref().take_while(|it| *it != '\'')),
                '\\' => word.get_or_insert_default().extend(characters.next()),
                ' ' => words.extend(word.take()),
                '$' | '`' | '"' | '*' | '?' | '[' | ';' | '&' | '|' | '<' | '>' | '(' | ')' | '#' | '~' => {
                    panic!("a shell would act on {character:?} in {line:?}")
                }
                _ => word.get_or_insert_default().push(character),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn a_pattern_that_looks_like_an_option_follows_two_dashes() {
        assert_eq!(pattern_command("-debug", "/var/log/a"), "watchbell pattern -- '-debug' /var/log/a");
        assert_eq!(pattern_command("it's", "/a b"), r"watchbell pattern 'it'\''s' '/a b'");
        assert_eq!(pattern_command("", "/a"), "watchbell pattern '' /a");
    }

    proptest! {
        #[test]
        fn a_shell_reads_back_exactly_the_pattern_and_the_file(pattern: String, file in "/.*") {
            let command = pattern_command(&pattern, &file);
            let words = words(&command);
            let (head, rest) = words.split_at(2);
            prop_assert_eq!(head, ["watchbell", "pattern"]);
            let rest = if pattern.starts_with('-') { &rest[1..] } else { rest };
            prop_assert_eq!(rest, [pattern, file]);
        }
    }
}
