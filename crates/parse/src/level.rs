//! Level words: the names that programs give to how grave a line is.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use watchbell_model::Severity;

/// How far into a text a level word is looked for, in bytes: a level stands at a line's head, and what follows is
/// quoted from elsewhere more and more likely.
const LEVEL_BYTES_MAX: usize = 256;

/// Keys whose value is a level, as in `level=error`.
const LEVEL_KEYS: [&[u8]; 7] =
    [b"level", b"severity", b"lvl", b"loglevel", b"log.level", b"log_level", b"log-level"];

/// Bytes of the longest level word.
const LONGEST: usize = "information".len();

/// The severity that a word names, in any case.
pub(crate) fn of_word(word: &[u8]) -> Severity {
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..word.len()) else { return Severity::Unknown };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    match &*lower {
        b"trace" => Severity::Trace,
        b"debug" => Severity::Debug,
        b"info" | b"notice" | b"information" => Severity::Info,
        b"warn" | b"warning" => Severity::Warn,
        b"error" | b"err" | b"severe" => Severity::Error,
        b"fatal" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"panic" => {
            Severity::Critical
        }
        _ => Severity::Unknown,
    }
}

/// The severity that a number names: 0 to 7 as syslog counts, 10 to 69 in tens as pino and bunyan do.
///
/// Source: RFC 5424 §6.2.1; pino's `levels`. Between two tens the lower one counts.
pub(crate) fn of_number(number: u64) -> Severity {
    match number {
        10..=19 => Severity::Trace,
        7 | 20..=29 => Severity::Debug,
        5 | 6 | 30..=39 => Severity::Info,
        4 | 40..=49 => Severity::Warn,
        3 | 50..=59 => Severity::Error,
        0..=2 | 60..=69 => Severity::Critical,
        _ => Severity::Unknown,
    }
}

/// How the level words of [`of_word`] begin. None of them holds the beginning of another, so a search for them in one
/// pass misses no word.
const BEGINNINGS: [&str; 12] =
    ["tra", "deb", "inf", "not", "war", "err", "sev", "fat", "cri", "ale", "eme", "pan"];

/// Bytes of a beginning.
const BEGINNING_BYTES: usize = 3;

/// Finds the beginnings; `None` where the processor has no packed search.
static FINDER: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(BEGINNINGS));

/// The severity that the first level word of a text names.
pub(crate) fn of_text(text: &str) -> Severity {
    let Some(finder) = &*FINDER else { return of_each_word(text) };
    let bytes = text.as_bytes();
    let mut folded = [0; LEVEL_BYTES_MAX + BEGINNING_BYTES - 1];
    let head = bytes.len().min(folded.len());
    let folded = &mut folded[..head];
    folded.copy_from_slice(&bytes[..head]);
    folded.make_ascii_lowercase();
    first_known(finder.find_iter(&*folded).map(|found| level_at(bytes, found.start())))
}

/// The same by looking at each word, which takes three times as long.
fn of_each_word(text: &str) -> Severity {
    let head = text.len().min(LEVEL_BYTES_MAX);
    first_known((0..head).map(|at| level_at(text.as_bytes(), at)))
}

fn first_known(mut levels: impl Iterator<Item = Severity>) -> Severity {
    levels.find(|level| *level != Severity::Unknown).unwrap_or(Severity::Unknown)
}

/// The level that the word at `start` is meant as, if a word starts there.
fn level_at(text: &[u8], start: usize) -> Severity {
    if start > 0 && is_word(text[start - 1]) {
        return Severity::Unknown;
    }
    let word = text[start..].iter().take(LONGEST + 1).take_while(|byte| is_word(**byte)).count();
    let severity = of_word(&text[start..start + word]);
    let is_meant = severity != Severity::Unknown && is_level(text, start, start + word);
    if is_meant { severity } else { Severity::Unknown }
}

/// Whether a byte is part of a word. Letters outside ASCII are; so are `_` and digits: `error_count` is one word.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Whether the level word at `start..end` is meant as the line's level.
fn is_level(text: &[u8], start: usize, end: usize) -> bool {
    let (before, word, after) = (&text[..start], &text[start..end], &text[end..]);
    if is_counted(before, after) {
        return false;
    }
    let capitals = word.iter().all(u8::is_ascii_uppercase) && !after.starts_with(b"=");
    capitals || is_bracketed(before, after) || is_label(after) || has_level_key(before)
}

/// `0 ERROR, 3 WARN`, `no error: `, `ERROR: 0`: the word tells how many or that there was none.
fn is_counted(before: &[u8], after: &[u8]) -> bool {
    let previous = before.trim_ascii_end();
    let previous = &previous[previous.iter().rposition(|b| *b == b' ').map_or(0, |space| space + 1)..];
    let listed = after.is_empty() || matches!(after[0], b',' | b';' | b'.' | b')');
    let number_before = !previous.is_empty() && previous.iter().all(u8::is_ascii_digit);
    let zero_after = after.strip_prefix(b":").map(<[u8]>::trim_ascii_start).is_some_and(|value| {
        value.starts_with(b"0") && !value.get(1).is_some_and(|next| is_word(*next) || *next == b'.')
    });
    (number_before && listed) || zero_after || previous.eq_ignore_ascii_case(b"no")
}

/// `[error]`, `[core:error]`.
fn is_bracketed(before: &[u8], after: &[u8]) -> bool {
    after.starts_with(b"]") && (before.ends_with(b"[") || before.ends_with(b":"))
}

/// `error: `. Without the space it may be a path or an address: `http://alert:80`, `error::Kind`.
fn is_label(after: &[u8]) -> bool {
    after.starts_with(b":") && after.get(1).is_none_or(u8::is_ascii_whitespace)
}

/// `level=error`, `"level": "error"`.
fn has_level_key(before: &[u8]) -> bool {
    let before = before.strip_suffix(b"\"").unwrap_or(before).trim_ascii_end();
    let Some(before) = before.strip_suffix(b"=").or_else(|| before.strip_suffix(b":")) else { return false };
    let before = before.trim_ascii_end();
    let before = before.strip_suffix(b"\"").unwrap_or(before);
    let is_key = |b: &u8| is_word(*b) || matches!(b, b'.' | b'-');
    let key = &before[before.iter().rposition(|b| !is_key(b)).map_or(0, |at| at + 1)..];
    LEVEL_KEYS.iter().any(|level_key| key.eq_ignore_ascii_case(level_key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(severity: Severity, lines: &[&str]) {
        for line in lines {
            assert_eq!(of_text(line), severity, "{line}");
        }
    }

    #[test]
    fn capitals_count_anywhere_in_the_head() {
        all(
            Severity::Error,
            &[
                "ERROR",
                "2015-10-18 18:01:47,978 ERROR [main] x: y",
                "a|ERR|b",
                "(SEVERE)",
                "081109 203615 148 ERROR dfs",
            ],
        );
        all(Severity::Info, &["081109 203615 148 INFO dfs.DataNode: x", "INFO then ERROR", "NOTICE-x"]);
        all(Severity::Critical, &["FATAL x", "kernel PANIC", "EMERG", "x ALERT y"]);
    }

    #[test]
    fn other_spellings_need_their_mark() {
        all(
            Severity::Error,
            &[
                "[error] x",
                "[Error]",
                "[core:error] [pid 1] x",
                "sshd[1]: error: PAM: x",
                "Error: x",
                "error:",
            ],
        );
        all(
            Severity::Warn,
            &["ts=1 level=warn msg=x", "lvl=\"Warning\" x", "{\"level\": \"warn\", \"x", "severity = warn"],
        );
        all(
            Severity::Unknown,
            &["an error came", "error", "error.log", "debug mode on", "my_level=error", "xlevel=error"],
        );
    }

    #[test]
    fn nothing_is_invented() {
        all(
            Severity::Unknown,
            &[
                "",
                "0 errors",
                "0 ERRORS",
                "error_count=0",
                "ERROR_COUNT=0",
                "ERROR=0",
                "errors: 0",
                "error: 0, warn: 0",
                "found 0 ERROR, 3 WARN.",
                "NO ERROR",
                "no error: all good",
                "TERROR",
                "ERRORé",
                "http://alert:80/",
                "std::error::Error",
                "Failed password for root from 10.0.0.1 port 22 ssh2",
                "authentication failure; logname= uid=0",
            ],
        );
        all(Severity::Error, &["error: 0x17 is no address", "error: 0.5 s too late", "error: 404"]);
    }

    #[test]
    fn a_word_counts_if_it_begins_within_the_head() {
        let far = |spaces: usize| format!("{}ERROR", " ".repeat(spaces));
        assert_eq!(of_text(&far(LEVEL_BYTES_MAX - 1)), Severity::Error);
        assert_eq!(of_text(&far(LEVEL_BYTES_MAX)), Severity::Unknown);
        assert_eq!(of_text(&"é".repeat(4000)), Severity::Unknown);
    }

    #[test]
    fn numbers_are_syslogs_or_pinos() {
        let named: Vec<_> = [0, 3, 4, 6, 7, 8, 9, 10, 20, 30, 35, 40, 50, 60, 70, u64::MAX]
            .map(|number| of_number(number).as_str())
            .into();
        let expected = "critical error warn info debug unknown unknown trace debug info info warn error critical unknown unknown";
        assert_eq!(named.join(" "), expected);
    }

    proptest! {
        #[test]
        fn a_search_finds_what_each_word_tells(
            parts in prop::collection::vec(
                prop_oneof![
                    "(?i)(trace|debug|info|notice|information|warn|warning|error|err|severe|fatal|critical|crit|alert|emerg|emergency|panic)",
                    "(?i)(tra|inf|war|err|not|pan|level|é)",
                    "[ \\[\\]:=\",0_]{1,2}",
                ],
                0..12,
            ),
            spaces in prop_oneof![Just(0_usize), 230..260_usize],
        ) {
            let text = " ".repeat(spaces) + &parts.concat();
            prop_assert_eq!(of_text(&text), of_each_word(&text), "{:?}", text);
        }
    }

    #[test]
    fn level_words_begin_in_ways_that_do_not_overlap() {
        for (a, b) in BEGINNINGS.iter().flat_map(|a| BEGINNINGS.map(|b| (*a, b))) {
            assert_eq!(a.len(), BEGINNING_BYTES);
            assert!(a == b || !a.contains(b), "{a} {b}");
        }
    }
}
