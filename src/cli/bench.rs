//! `watchbell bench`: how fast this is, here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, value_parser};
use serde_json::{Value, json};

use super::{Format, Global, written};
use crate::bench::load::{self, Load, Phase};
use crate::bench::{Detect, Kind, Listener, Logs, Measured, Row, Surroundings};
use crate::outside::stopwatch::{Latency, ms};
use crate::{Failure, out};

/// What can be measured.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// From the file over the journal to the match
    Detect(DetectOptions),
    /// All of `watchbell up`: how much it takes, how late it tells, what it needs
    Load(LoadOptions),
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
    match verb {
        Verb::Detect(options) => detect(global, options),
        Verb::Load(options) => load(global, options),
    }
}

fn number(number: u32) -> usize {
    usize::try_from(number).expect("a size has 32 bits at least")
}

fn detect(global: &Global, options: &DetectOptions) -> Result<(), Failure> {
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

/// Loads a `watchbell up` of its own.
#[derive(Args)]
#[command(
    after_help = "Starts `watchbell up` as a process of its own, with metric filters, alarms, webhook and archive on, and gives it\n\
                  logs that it makes up: a file that appears, requests as fast as it answers, and a file that grows at 80 % of the\n\
                  rate that the first one had. Meanwhile lines in another file each ring an alarm, and the time until the webhook\n\
                  has it is taken. At the end it is killed, and the time until it is ready again is taken. What drives it runs\n\
                  on the same cores. Needs seven times the space of the logs; what it made is removed.\n\n\
                  Examples:\n  watchbell bench load\n  watchbell bench load --mb 1000 --filters 1000 --dir /var/lib/watchbell --format json"
)]
pub(super) struct LoadOptions {
    /// Megabytes of logs in each phase
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = value_parser!(u32).range(1..=10_000))]
    mb: u32,
    /// How many metric filters
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    filters: u32,
    /// Which logs
    #[arg(long, value_enum, default_value = "text")]
    kind: Kind,
    /// Of the logs; the same seed gives the same logs everywhere
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A folder on the disk that is to be measured: a folder is made in it and removed
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    dir: PathBuf,
}

fn load(global: &Global, options: &LoadOptions) -> Result<(), Failure> {
    let load = Load {
        megabytes: number(options.mb),
        filters: number(options.filters),
        kind: options.kind,
        seed: options.seed,
        folder: options.dir.clone(),
    };
    match global.format {
        Format::Text => load.run(&mut Table),
        Format::Json => {
            let mut document = Document::default();
            load.run(&mut document)?;
            written(out::line(&document.0.to_string()))
        }
    }
}

/// Threads that took less than this, in CPU-seconds a GB, are not shown.
const CPU_SHOWN: f64 = 0.05;

impl load::Listener for Table {
    fn surroundings(&mut self, surroundings: &Surroundings, load: &Load) -> Result<(), Failure> {
        let Surroundings { machine, folder, file_system, seed, .. } = surroundings;
        let Load { megabytes, filters, kind, .. } = load;
        written(out::text(&format!(
            "machine: {machine}\nfolder: {folder} ({file_system})\nseed: {seed}\n{}: {megabytes} MB in each phase, \
             {filters} metric filters; rates in MB (10^6 bytes) a second, latency in ms from a line to its webhook\n\n\
             {:<17} {:>9} {:>10} {:>10} {:>9} {:>7} {:>7} {:>7} {:>9}\n",
            kind.name(),
            "phase",
            "matched",
            "sustained",
            "lines/s",
            "messages",
            "p50",
            "p99",
            "max",
            "memory",
        )))
    }

    fn phase(&mut self, phase: &Phase) -> Result<(), Failure> {
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let rate = |rate: Option<f64>| or_none(rate.map(|rate| format!("{rate:.1}")));
        let of = |pick: fn(&Latency) -> Duration| or_none(phase.latency.as_ref().map(|it| ms(pick(it))));
        #[expect(clippy::cast_precision_loss, reason = "lines of a bench are few")]
        let lines = phase
            .sustained
            .map(|rate| format!("{:.0}", rate * 1e6 * phase.lines as f64 / phase.bytes as f64));
        let cpu = phase.cpu.iter().filter(|(_, seconds)| **seconds >= CPU_SHOWN);
        let cpu: Vec<String> = cpu.map(|(thread, seconds)| format!("{thread} {seconds:.1}")).collect();
        let unit = if phase.bytes == 0 { "CPU-s" } else { "CPU-s a GB" };
        written(out::line(&format!(
            "{:<17} {:>9} {:>10} {:>10} {:>9} {:>7} {:>7} {:>7} {:>6} MB\n  {unit}: {}",
            phase.name,
            rate(phase.matched),
            rate(phase.sustained),
            or_none(lines),
            phase.latency.as_ref().map_or(0, |it| it.firings),
            of(|it| it.p50),
            of(|it| it.p99),
            of(|it| it.max),
            phase.memory / 1_000_000,
            if cpu.is_empty() { "next to nothing".to_owned() } else { cpu.join(", ") },
        )))
    }

    fn restart(&mut self, time: Duration, journal_bytes: u64) -> Result<(), Failure> {
        let journal = journal_bytes / 1_000_000;
        written(out::line(&format!(
            "\nready again {} ms after kill -9, with {journal} MB of journal",
            ms(time)
        )))
    }
}

impl load::Listener for Document {
    fn surroundings(&mut self, surroundings: &Surroundings, load: &Load) -> Result<(), Failure> {
        self.0 = json!(surroundings);
        self.0["kind"] = json!(load.kind);
        self.0["filters"] = json!(load.filters);
        self.0["phases"] = json!([]);
        Ok(())
    }

    fn phase(&mut self, phase: &Phase) -> Result<(), Failure> {
        self.0["phases"].as_array_mut().expect("the surroundings came first").push(json!(phase));
        Ok(())
    }

    fn restart(&mut self, time: Duration, journal_bytes: u64) -> Result<(), Failure> {
        self.0["restart"] = json!({ "ms": time.as_secs_f64() * 1000.0, "journal_bytes": journal_bytes });
        Ok(())
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
