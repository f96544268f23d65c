//! One table: a corpus, growing sets of patterns, and what each way of matching makes of them.

#![expect(clippy::cast_precision_loss, reason = "bytes and seconds of a bench are small")]

use std::io::{self, Write};

use rustix::time::{ClockId, clock_gettime};
use watchbell_corpus::{Batch, Corpus};
use watchbell_pattern::{Pattern, PatternSet, Scratch};

use crate::mtail;

const COUNTS: [usize; 5] = [3, 10, 100, 1000, 10_000];
/// Of this many runs the quickest counts.
const RUNS: usize = 3;
/// What the plain matcher gets: so many bytes for one pattern, fewer for more.
const PLAIN_BYTES: usize = 60_000_000;
/// The same for `mtail`.
const MTAIL_BYTES: usize = 200_000_000;
/// With more patterns its slice would be a few lines.
const MTAIL_COUNT_MAX: usize = 1000;

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
    writeln!(out, "floor (memchr of a byte that is not there): {}", rate(corpus.bytes(), floor(corpus)))?;
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
        let build = seconds(|| set = Some(PatternSet::new(patterns.clone())));
        let set = set.expect("it was built");
        let (matches, spent) = with_set(&set, corpus);
        let slice = slice(corpus, PLAIN_BYTES / count);
        let (plain_matches, plain_spent) = plainly(&patterns, &slice);
        let (by_set, _) = with_set(&set, &slice);
        assert_eq!(by_set, plain_matches, "the set and the plain matcher disagree");
        writeln!(
            out,
            "| {count} | {} | {:.1} | {matches} | {} | {} ({} KB) | {} |",
            rate(corpus.bytes(), spent),
            build * 1e3,
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

fn with_set(set: &PatternSet, corpus: &Corpus) -> (u64, f64) {
    let mut scratch = Scratch::default();
    quickest(|| {
        let mut matches = 0;
        for Batch { text, ends } in &corpus.batches {
            set.matches(text, ends, &mut scratch, |_, _, _| matches += 1);
        }
        matches
    })
}

/// The first so many bytes, at least 20 lines.
fn slice(corpus: &Corpus, bytes: usize) -> Corpus {
    let first = &corpus.batches[0];
    let batches = if bytes < first.text.len() {
        let lines = first.ends.partition_point(|&end| (end as usize) < bytes).max(20);
        let ends = first.ends[..lines].to_vec();
        vec![Batch { text: first.text[..=ends[lines - 1] as usize].to_owned(), ends }]
    } else {
        let taken = corpus.batches.iter().take(bytes / first.text.len());
        taken.map(|batch| Batch { text: batch.text.clone(), ends: batch.ends.clone() }).collect()
    };
    Corpus { name: corpus.name, batches }
}

/// One pattern after another on each line.
fn plainly(patterns: &[Pattern], corpus: &Corpus) -> (u64, f64) {
    let mut matches = 0;
    let spent = seconds(|| {
        for Batch { text, ends } in &corpus.batches {
            let mut start = 0;
            for &end in ends {
                let line = &text[start..end as usize];
                start = end as usize + 1;
                matches += patterns.iter().filter(|pattern| pattern.matches(line)).count() as u64;
            }
        }
    });
    (matches, spent)
}

/// What `mtail` makes of a slice, for the table.
fn by_mtail(texts: &[String], set: &PatternSet, corpus: &Corpus) -> io::Result<String> {
    if texts.len() > MTAIL_COUNT_MAX {
        return Ok(String::from("too slow for more than a few lines"));
    }
    let slice = slice(corpus, MTAIL_BYTES / texts.len());
    let Some(run) = mtail::run(texts, &slice)? else {
        return Ok(String::from("not installed (apt-get install mtail)"));
    };
    assert_eq!(run.matches, with_set(set, &slice).0, "the set and mtail disagree");
    Ok(format!("{} ({} KB)", rate(slice.bytes(), run.seconds), slice.bytes() / 1000))
}

fn floor(corpus: &Corpus) -> f64 {
    let (found, spent) = quickest(|| {
        corpus.batches.iter().filter(|batch| memchr::memchr(0, batch.text.as_bytes()).is_some()).count()
            as u64
    });
    assert_eq!(found, 0);
    spent
}

fn quickest(mut run: impl FnMut() -> u64) -> (u64, f64) {
    let mut result = 0;
    let spent = (0..RUNS).map(|_| seconds(|| result = run())).fold(f64::INFINITY, f64::min);
    (result, spent)
}

/// Seconds of this thread's processor time.
fn seconds(run: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = now();
    run();
    now() - start
}

fn rate(bytes: usize, seconds: f64) -> String {
    let rate = bytes as f64 / 1e9 / seconds;
    if rate >= 0.1 { format!("{rate:.2}") } else { format!("{rate:.5}") }
}
