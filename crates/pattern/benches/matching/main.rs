//! How many bytes of logs a second of one processor's time takes through a set of patterns.
//!
//! `cargo bench -p watchbell-pattern` makes its own logs and patterns (`watchbell-corpus`; seeds in the code) and prints one table for
//! each kind: the set, the plain matcher one pattern after another, and `mtail` where it is installed, on the same
//! lines and patterns. Times are of the processor, not of the clock on the wall: neighbours on the machine count
//! little. The slow ones get a slice of the data, whose size is printed.
//! Last comes how time grows with the length of a line.
//! Arguments: a number is the megabytes of data (300), a word selects tables by their name.

mod growth;
mod table;

use std::io::{self, Write};

use watchbell_corpus::{Corpus, rules};

fn main() -> io::Result<()> {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let megabytes = arguments.iter().find_map(|it| it.parse().ok()).unwrap_or(300);
    let wanted =
        |name: &str| arguments.iter().all(|it| it.parse::<usize>().is_ok() || name.contains(it.as_str()));
    let mut out = io::stdout().lock();
    writeln!(out, "machine: {}", watchbell_corpus::machine())?;
    writeln!(out, "GB per second of processor time, one thread; data in batches of 256 KiB\n")?;
    let bytes = megabytes * 1_000_000;
    for (name, make) in
        [("text", text as fn(usize) -> (Corpus, Rules)), ("json", json), ("delimited", delimited)]
    {
        if wanted(name) {
            let (corpus, rules) = make(bytes);
            table::print(&mut out, &corpus, &*rules, name == "text")?;
        }
    }
    if wanted("growth") {
        growth::print(&mut out)?;
    }
    Ok(())
}

/// The first so many patterns of a kind.
type Rules = Box<dyn Fn(usize, &Corpus) -> Vec<String>>;

fn text(bytes: usize) -> (Corpus, Rules) {
    (Corpus::mixed(bytes, 1), Box::new(rules::text))
}

fn json(bytes: usize) -> (Corpus, Rules) {
    (Corpus::json(bytes, 2), Box::new(|count, _| rules::json(count)))
}

fn delimited(bytes: usize) -> (Corpus, Rules) {
    (Corpus::access(bytes, 3), Box::new(|count, _| rules::delimited(count)))
}
