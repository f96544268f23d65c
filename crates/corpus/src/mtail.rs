//! The same rules in mtail, where it is installed, as a yardstick from outside: <https://google.github.io/mtail/>.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Corpus, cpu};

/// What it gets: so many bytes for one rule, fewer for more.
const BYTES: usize = 200_000_000;

/// And never fewer than these.
const BYTES_MIN: usize = 100_000;

/// With more rules it takes minutes to start.
const RULES_MAX: usize = 1000;

/// What it made of a slice.
pub struct Outcome {
    /// The lines that it got.
    pub slice: Corpus,
    /// How many of them each rule matched.
    pub matched: Vec<u64>,
    /// Processor time, without that of a run on an empty log.
    pub seconds: f64,
}

/// What is installed says what it is.
pub fn version() -> Option<String> {
    let output = Command::new("mtail").arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.split(" git ").next().unwrap_or_default().trim().to_owned())
}

/// Lets it read a slice, which is written to `folder`, an empty one. None for patterns that have no counterpart in its
/// language, those over fields and JSON, and for too many of them.
///
/// # Errors
/// Of the disk, or if mtail cannot be run.
pub fn measure(patterns: &[String], corpus: &Corpus, folder: &Path) -> io::Result<Option<Outcome>> {
    let rules: Option<Vec<String>> =
        patterns.iter().enumerate().map(|(index, text)| rule(index, text)).collect();
    let Some(rules) = rules.filter(|rules| rules.len() <= RULES_MAX) else { return Ok(None) };
    let slice = corpus.slice((BYTES / rules.len()).max(BYTES_MIN));
    let programs = folder.join("programs");
    fs::create_dir(&programs)?;
    fs::write(programs.join("rules.mtail"), rules.concat())?;
    let (nothing, log) = (folder.join("nothing.log"), folder.join("slice.log"));
    fs::write(&nothing, "")?;
    fs::write(&log, slice.batches.iter().map(|batch| batch.text.as_str()).collect::<String>())?;
    let run = |log: &Path| {
        let before = cpu::of_children()?;
        let mut command = Command::new("mtail");
        command.args(["--one_shot", "--one_shot_format", "prometheus", "--address", "127.0.0.1"]);
        command.args(["--port", "0"]).arg("--log_dir").arg(folder);
        command.arg("--progs").arg(&programs).arg("--logs").arg(log);
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("mtail ended with {}:\n{said}", output.status)));
        }
        Ok((String::from_utf8_lossy(&output.stdout).into_owned(), cpu::of_children()? - before))
    };
    let (_, start) = run(&nothing)?;
    let (said, seconds) = run(&log)?;
    let matched = counts(&said, rules.len());
    Ok(Some(Outcome { slice, matched, seconds: seconds - start }))
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
