//! What redaction costs on lines that have nothing to take out, which are nearly all.
//!
//! `cargo bench -p watchbell-intake` prints GB per second of processor time for each preset on made-up logs (seeds in the code),
//! in batches of 256 KiB as the collector reads them. A number as argument is the megabytes of data (100).

use std::io::{self, Write};

use watchbell_corpus::{Corpus, cpu, machine};
use watchbell_intake::Redactor;
use watchbell_model::Redaction;

fn main() -> io::Result<()> {
    // `cargo bench` adds `--bench`.
    let megabytes: usize = std::env::args().skip(1).find_map(|it| it.parse().ok()).unwrap_or(100);
    let mut out = io::stdout().lock();
    writeln!(out, "machine: {}\nGB per second of processor time\n", machine())?;
    let corpora = [
        Corpus::mixed(megabytes * 1_000_000, 1),
        Corpus::access(megabytes * 1_000_000, 2),
        Corpus::json(megabytes * 1_000_000, 3),
    ];
    let secrets: Vec<String> =
        (0..20).map(|number| format!("a secret of some length, number {number}")).collect();
    let none = Redaction::default();
    let patterns = [("session".to_owned(), "session=(\\w+)".to_owned())].into();
    for (name, redaction, secrets) in [
        ("20 secrets", none.clone(), secrets.as_slice()),
        ("cards", Redaction { cards: true, ..none.clone() }, &[]),
        ("tokens", Redaction { tokens: true, ..none.clone() }, &[]),
        ("emails", Redaction { emails: true, ..none.clone() }, &[]),
        ("a pattern", Redaction { patterns, ..none.clone() }, &[]),
        ("all presets, 20 secrets", Redaction { cards: true, tokens: true, emails: true, ..none }, &secrets),
    ] {
        let redactor = Redactor::new(&redaction, secrets).expect("good patterns");
        write!(out, "{name:<24}")?;
        for corpus in &corpora {
            let before = cpu::of_thread();
            let changed: usize = corpus
                .batches
                .iter()
                .filter_map(|batch| redactor.redact(&batch.text))
                .map(|(_, lines)| lines.len())
                .sum();
            let seconds = cpu::of_thread() - before;
            #[expect(clippy::cast_precision_loss, reason = "a figure of three digits")]
            let bytes = corpus.batches.iter().map(|batch| batch.text.len()).sum::<usize>() as f64;
            write!(out, "  {}: {:.2} ({changed} lines)", corpus.name, bytes / 1e9 / seconds)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
