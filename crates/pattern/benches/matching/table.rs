//! One table: a corpus, growing sets of patterns, and what each way of matching makes of them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use watchbell_corpus::{Corpus, cpu, matching, mtail};
use watchbell_pattern::{Pattern, PatternSet};

const COUNTS: [usize; 5] = [3, 10, 100, 1000, 10_000];

pub(crate) fn print(
    out: &mut impl Write,
    corpus: &Corpus,
    rules: &dyn Fn(usize, &Corpus) -> Vec<String>,
    beside_mtail: bool,
) -> io::Result<()> {
    let line_bytes = corpus.bytes() / corpus.lines();
    writeln!(
        out,
        "{}: {} MB, {} lines of {line_bytes} bytes",
        corpus.name,
        corpus.bytes() / 1_000_000,
        corpus.lines()
    )?;
    writeln!(out, "floor (memchr of a byte that is not there): {}", spell(matching::floor(corpus)))?;
    writeln!(
        out,
        "| filters | set | build ms | matches | unindexed | plain matcher (slice) | mtail (slice) |"
    )?;
    writeln!(out, "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    let mut seconds_of_ten = 0.0;
    let mut seconds_of_most = 0.0;
    for count in COUNTS {
        let texts = rules(count, corpus);
        let patterns: Vec<Pattern> = texts
            .iter()
            .map(|text| Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
            .collect();
        let mut set = None;
        let build = cpu::spent(|| set = Some(PatternSet::new(patterns.clone())));
        let set = set.expect("it was built");
        let (matched, spent) = matching::with_set(&set, corpus);
        let slice = corpus.slice(matching::PLAIN_BYTES / count);
        let (by_plain, plain_spent) = matching::plainly(&patterns, &slice);
        let (by_set, _) = matching::with_set(&set, &slice);
        assert_eq!(by_set, by_plain, "the set and the plain matcher disagree");
        writeln!(
            out,
            "| {count} | {} | {:.1} | {} | {} | {} ({} KB) | {} |",
            rate(corpus.bytes(), spent),
            build * 1e3,
            matched.iter().sum::<u64>(),
            set.unindexed().count(),
            rate(slice.bytes(), plain_spent),
            slice.bytes() / 1000,
            if beside_mtail { by_mtail(&texts, &set, corpus)? } else { String::from("–") },
        )?;
        out.flush()?;
        if count == 10 {
            seconds_of_ten = spent;
        }
        seconds_of_most = spent;
    }
    writeln!(out, "10000 filters take {:.2} times the time of 10\n", seconds_of_most / seconds_of_ten)
}

/// What `mtail` makes of a slice, for the table.
fn by_mtail(texts: &[String], set: &PatternSet, corpus: &Corpus) -> io::Result<String> {
    if mtail::version().is_none() {
        return Ok(String::from("not installed (apt-get install mtail)"));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mtail");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let Some(outcome) = mtail::measure(texts, corpus, &folder)? else {
        return Ok(String::from("too slow for more than a few lines"));
    };
    assert_eq!(outcome.matched, matching::with_set(set, &outcome.slice).0, "the set and mtail disagree");
    let bytes = outcome.slice.bytes();
    Ok(format!("{} ({} KB)", rate(bytes, outcome.seconds), bytes / 1000))
}

fn rate(bytes: usize, seconds: f64) -> String {
    spell(matching::rate(bytes, seconds))
}

fn spell(rate: f64) -> String {
    if rate >= 0.1 { format!("{rate:.2}") } else { format!("{rate:.5}") }
}
