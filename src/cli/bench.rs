//! `watchbell bench`: how fast this is, here.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};
use serde_json::{Value, json};

use super::{Format, Global, written};
use crate::bench::{Detect, Kind, Listener, Logs, Measured, Row, Surroundings};
use crate::{Failure, out};

/// What can be measured.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// From the file over the journal to the match
    Detect(DetectOptions),
}

/// Measures from the file over the journal to the match.
#[derive(Args)]
#[command(
    after_help = "Makes up logs and metric filters, lets what `watchbell up` runs read them from a file, and prints how many\n\
                  GB of log text one second of processor time takes: the whole path, with the archive, and matching alone,\n\
                  beside memchr, one pattern after another, and mtail where it is installed. Slow ones get a slice, whose\n\
                  size is printed. Every count of matches is checked against the others. Ten of the filters have an alarm; in\n\
                  the last row all have. Takes minutes and five times the space of the logs; what it made is removed.\n\n\
                  Examples:\n  watchbell bench detect\n  \
                  watchbell bench detect --mb 50 --filters 1000 --kind text\n  \
                  watchbell bench detect --dir /var/lib/watchbell --format json | jq '.kinds[].rows[].path'"
)]
pub(super) struct DetectOptions {
    /// Megabytes of logs of each kind
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u32).range(1..=10_000))]
    mb: u32,
    /// How many metric filters, one row each
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "3,10,100,1000,10000",
          value_parser = value_parser!(u32).range(1..=100_000))]
    filters: Vec<u32>,
    /// Which logs
    #[arg(long, value_enum, value_delimiter = ',', default_value = "text,json")]
    kind: Vec<Kind>,
    /// Of the logs; the same seed gives the same logs everywhere
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A folder on the disk that is to be measured: a folder is made in it and removed
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(global: &Global, verb: &Verb) -> Result<(), Failure> {
    let Verb::Detect(options) = verb;
    let number = |number: u32| usize::try_from(number).expect("a size has 32 bits at least");
    let detect = Detect {
        megabytes: number(options.mb),
        filters: options.filters.iter().copied().map(number).collect(),
        seed: options.seed,
        folder: options.dir.clone(),
    };
    match global.format {
        Format::Text => detect.run(&options.kind, &mut Table),
        Format::Json => {
            let mut document = Document::default();
            detect.run(&options.kind, &mut document)?;
            written(out::line(&document.0.to_string()))
        }
    }
}

/// Prints each row when it is there.
struct Table;

impl Listener for Table {
    fn surroundings(&mut self, surroundings: &Surroundings) -> Result<(), Failure> {
        let Surroundings { machine, folder, file_system, seed, mtail } = surroundings;
        let mtail = mtail
            .as_deref()
            .unwrap_or("mtail is not installed: nothing to compare with (Debian: apt install mtail)");
        written(out::text(&format!(
            "machine: {machine}\nfolder: {folder} ({file_system})\nseed: {seed}\n{mtail}\n\
             GB of log text per second of processor time (user and system), 1 GB = 10^9 bytes\n"
        )))
    }

    fn logs(&mut self, logs: &Logs) -> Result<(), Failure> {
        let Logs { kind, bytes, lines, memchr } = logs;
        written(out::text(&format!(
            "\n{}: {} MB, {lines} lines of {} bytes; memchr of a byte that is not there: {}\n\
             {:>7} {:>7} {:>6} {:>23} {:>12} {:>8} {:>10} {:>18} {:>18}\n",
            kind.name(),
            bytes / 1_000_000,
            bytes / lines,
            rate(*memchr),
            "filters",
            "alarms",
            "path",
            "collect/write/fold/rest",
            "with archive",
            "matching",
            "matches",
            "one by one",
            "mtail",
        )))
    }

    fn row(&mut self, row: &Row) -> Result<(), Failure> {
        let percent = |share: f64| format!("{:.0}", share * 100.0);
        let shares =
            [row.shares.collector, row.shares.writer, row.shares.fold, row.shares.other].map(percent);
        written(out::line(&format!(
            "{:>7} {:>7} {:>6} {:>23} {:>12} {:>8} {:>10} {:>18} {:>18}",
            row.filters,
            row.alarms,
            rate(row.path),
            format!("{} %", shares.join("/")),
            rate(row.with_archive),
            rate(row.set),
            row.matches,
            slice(Some(row.plain)),
            slice(row.mtail),
        )))
    }
}

fn rate(rate: f64) -> String {
    if rate >= 0.01 { format!("{rate:.2}") } else { format!("{rate:.5}") }
}

fn slice(measured: Option<Measured>) -> String {
    measured.map_or_else(
        || "-".to_owned(),
        |measured| format!("{} ({} KB)", rate(measured.rate), measured.bytes / 1000),
    )
}

/// Gathers everything.
#[derive(Default)]
struct Document(Value);

impl Listener for Document {
    fn surroundings(&mut self, surroundings: &Surroundings) -> Result<(), Failure> {
        self.0 = json!(surroundings);
        self.0["unit"] = json!("GB/s");
        self.0["kinds"] = json!([]);
        Ok(())
    }

    fn logs(&mut self, logs: &Logs) -> Result<(), Failure> {
        let mut kind = json!(logs);
        kind["rows"] = json!([]);
        self.kinds().push(kind);
        Ok(())
    }

    fn row(&mut self, row: &Row) -> Result<(), Failure> {
        let rows = self.kinds().last_mut().and_then(|kind| kind["rows"].as_array_mut());
        rows.expect("its logs came before").push(json!(row));
        Ok(())
    }
}

impl Document {
    fn kinds(&mut self) -> &mut Vec<Value> {
        self.0["kinds"].as_array_mut().expect("the surroundings came first")
    }
}
