//! The same rules in mtail, where it is installed: <https://google.github.io/mtail/>.

use std::process::{Command, Stdio};

use watchbell_corpus::Corpus;

use super::{cpu, matching, place::Place};
use crate::{ExitStatus, Failure};

/// What it gets: so many bytes for one rule, fewer for more.
const BYTES: usize = 200_000_000;

/// And never fewer than these.
const BYTES_MIN: usize = 100_000;

/// With more rules it takes minutes to start.
const RULES_MAX: usize = 1000;

/// The slice, how many lines each rule matched, and the seconds of processor time.
type Outcome = (Corpus, Vec<u64>, f64);

/// What is installed says what it is.
pub(super) fn version() -> Option<String> {
    let output = Command::new("mtail").arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.split(" git ").next().unwrap_or_default().trim().to_owned())
}

/// Lets it read a slice; its start, measured on an empty log, does not count. None for patterns that have no counterpart
/// in its language: those over fields and JSON.
pub(super) fn measure(
    patterns: &[String],
    corpus: &Corpus,
    place: &Place,
) -> Result<Option<Outcome>, Failure> {
    let rules: Option<Vec<String>> =
        patterns.iter().enumerate().map(|(index, text)| rule(index, text)).collect();
    let Some(rules) = rules.filter(|rules| rules.len() <= RULES_MAX) else { return Ok(None) };
    let slice = matching::slice(corpus, (BYTES / rules.len()).max(BYTES_MIN));
    let place = place.part("mtail")?;
    let programs = place.part("programs")?;
    programs.write("rules.mtail", rules.iter())?;
    let nothing = place.write("nothing.log", std::iter::empty::<&str>())?;
    let log = place.write("slice.log", slice.batches.iter().map(|batch| &batch.text))?;
    let run = |log: &std::path::Path| {
        let before = cpu::of_children()?;
        let mut command = Command::new("mtail");
        command.args([
            "--one_shot",
            "--one_shot_format",
            "prometheus",
            "--address",
            "127.0.0.1",
            "--port",
            "0",
        ]);
        command.arg("--progs").arg(programs.path("")).arg("--logs").arg(log);
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(|error| Failure::io("mtail", &error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::new(
                ExitStatus::Unavailable,
                format!("mtail ended with {}:\n{said}", output.status),
            ));
        }
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), cpu::of_children()? - before))
    };
    let (_, start) = run(&nothing)?;
    let (said, seconds) = run(&log)?;
    Ok(Some((slice, counts(&said, rules.len()), seconds - start)))
}

/// A rule that counts the lines which hold the quoted texts and the regex of `pattern`, and not those with a hyphen.
fn rule(index: usize, pattern: &str) -> Option<String> {
    let mut parts: Vec<(bool, String)> = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        let (excluded, term) = rest.strip_prefix('-').map_or((false, rest), |term| (true, term));
        let quote = term.chars().next().filter(|quote| matches!(quote, '"' | '%'))?;
        let (text, after) = term[1..].split_once(quote)?;
        parts.push((excluded, if quote == '%' { text.replace('/', "\\/") } else { literal(text) }));
        rest = after.trim_start();
    }
    let counted = format!("m{index}++\n");
    let nested = parts.iter().rev().fold(counted, |inner, (excluded, regex)| {
        if *excluded {
            format!("/{regex}/ {{\n}} else {{\n{inner}}}\n")
        } else {
            format!("/{regex}/ {{\n{inner}}}\n")
        }
    });
    Some(format!("counter m{index}\n{nested}"))
}

/// The regex of a text.
fn literal(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b' ' | b'_' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    text.bytes().map(escaped).collect()
}

/// The counters of its exposition, by their index; what never counted is not told.
fn counts(said: &str, rules: usize) -> Vec<u64> {
    let mut counts = vec![0; rules];
    for line in said.lines() {
        let told = line.strip_prefix('m').and_then(|line| {
            let (index, rest) = line.split_once('{')?;
            let (_, count) = rest.rsplit_once(' ')?;
            Some((index.parse::<usize>().ok()?, count.parse::<u64>().ok()?))
        });
        if let Some((index, count)) = told {
            counts[index] = count;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_terms_becomes_a_rule_and_others_do_not() {
        assert_eq!(
            rule(4, r#""a.b" -"c d" %x/[0-9]%"#).unwrap(),
            "counter m4\n/a\\x2eb/ {\n/c d/ {\n} else {\n/x\\/[0-9]/ {\nm4++\n}\n}\n}\n"
        );
        assert_eq!(rule(0, "{ $.a = 1 }"), None);
        assert_eq!(rule(0, "[a, b]"), None);
    }

    #[test]
    fn counters_are_read_from_the_exposition() {
        let said = "# TYPE m1 counter\nm1{prog=\"rules.mtail\"} 7\nm0{prog=\"rules.mtail\"} 2\n";
        assert_eq!(counts(said, 3), [2, 7, 0]);
    }
}
