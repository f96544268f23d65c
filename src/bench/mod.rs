//! `watchbell bench detect`: how many bytes of logs a second of the processor's time takes, from the file to the match.
//!
//! `bench load` is in `load`: the same as a process of its own, with all that it does.
//!
//! Promise: what is measured is what `up` runs, in this process: collector, writer, journal, fold and archiver, on logs
//! and patterns of `watchbell-corpus`. Every count is checked: each metric filter has matched what the compiled set
//! matches, and that what the plain matcher matches on a slice. Not here: other machines' figures, which say nothing.

mod cpu;
mod kind;
pub(crate) mod load;
mod path;
mod place;

use std::path::PathBuf;

use serde::Serialize;
use watchbell_corpus::{Corpus, matching, mtail};
use watchbell_pattern::{Pattern, PatternSet};

pub(crate) use self::kind::Kind;
use self::place::Place;
use crate::{ExitStatus, Failure};

/// So many of the filters have an alarm; the metrics of the others are watched by none.
const ALARMS: usize = 10;

/// What is to be measured.
pub(crate) struct Detect {
    /// Megabytes (10^6 bytes) of logs.
    pub(crate) megabytes: usize,
    /// How many filters, one row each.
    pub(crate) filters: Vec<usize>,
    /// Of the logs; the patterns are always the same.
    pub(crate) seed: u64,
    /// Below this a folder is made for the logs and the data, and removed again.
    pub(crate) folder: PathBuf,
}

/// Where it was measured.
#[derive(Serialize)]
pub(crate) struct Surroundings {
    pub(crate) machine: String,
    pub(crate) folder: String,
    pub(crate) file_system: String,
    pub(crate) seed: u64,
    /// The version, or none if it is not installed.
    pub(crate) mtail: Option<String>,
}

/// One kind of logs.
#[derive(Serialize)]
pub(crate) struct Logs {
    pub(crate) kind: Kind,
    pub(crate) bytes: usize,
    pub(crate) lines: usize,
    /// Looking for a byte that is not there, in GB per second of processor time.
    pub(crate) memchr: f64,
}

/// A rate that was measured on a slice.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Measured {
    /// GB per second of processor time.
    pub(crate) rate: f64,
    /// The size of the slice.
    pub(crate) bytes: usize,
}

impl Measured {
    /// `slice` took so long.
    fn of(slice: &Corpus, seconds: f64) -> Measured {
        Measured { rate: matching::rate(slice.bytes(), seconds), bytes: slice.bytes() }
    }
}

/// One number of filters. Rates are GB (10^9 bytes of log text) per second of processor time.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) filters: usize,
    /// How many of them have an alarm.
    pub(crate) alarms: usize,
    /// From the file over the journal to the match: everything but the archive.
    pub(crate) path: f64,
    /// The parts of that, as shares of its time.
    pub(crate) shares: path::Shares,
    /// Everything until all is archived and the process has ended well.
    pub(crate) with_archive: f64,
    /// Events matched, summed over the filters.
    pub(crate) matches: u64,
    /// The compiled set alone, one thread, in memory.
    pub(crate) set: f64,
    /// One pattern after another.
    pub(crate) plain: Measured,
    /// None where it is not installed or cannot express the patterns.
    pub(crate) mtail: Option<Measured>,
}

/// What is told while it is measured.
pub(crate) trait Listener {
    /// The first thing.
    fn surroundings(&mut self, surroundings: &Surroundings) -> Result<(), Failure>;
    /// Before the rows of a kind.
    fn logs(&mut self, logs: &Logs) -> Result<(), Failure>;
    /// The next row.
    fn row(&mut self, row: &Row) -> Result<(), Failure>;
}

impl Detect {
    /// Measures these kinds of logs, one after another.
    ///
    /// # Errors
    /// [`Failure`] of the disk; [`ExitStatus::Defect`] if two ways of matching disagree.
    pub(crate) fn run(&self, kinds: &[Kind], listener: &mut dyn Listener) -> Result<(), Failure> {
        let place = Place::make(&self.folder)?;
        let mtail = mtail::version();
        listener.surroundings(&Surroundings {
            machine: watchbell_corpus::machine(),
            folder: place.parent().display().to_string(),
            file_system: place.file_system(),
            seed: self.seed,
            mtail: mtail.clone(),
        })?;
        for kind in kinds {
            let corpus = kind.corpus(self.megabytes * 1_000_000, self.seed);
            listener.logs(&Logs {
                kind: *kind,
                bytes: corpus.bytes(),
                lines: corpus.lines(),
                memchr: matching::floor(&corpus),
            })?;
            let mut rows: Vec<(usize, usize)> =
                self.filters.iter().map(|count| (*count, ALARMS.min(*count))).collect();
            // What an alarm on every filter costs.
            let most = self.filters.iter().copied().filter(|count| (ALARMS + 1..=1000).contains(count)).max();
            rows.extend(most.map(|count| (count, count)));
            for (filters, alarms) in rows {
                listener.row(&row(*kind, &corpus, filters, alarms, mtail.is_some(), &place)?)?;
            }
        }
        Ok(())
    }
}

/// Measures one number of filters in all ways, and holds the ways against each other.
fn row(
    kind: Kind,
    corpus: &Corpus,
    filters: usize,
    alarms: usize,
    has_mtail: bool,
    place: &Place,
) -> Result<Row, Failure> {
    let texts = kind.patterns(filters, corpus);
    let patterns: Vec<Pattern> = texts
        .iter()
        .map(|text| Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
        .collect();
    let path = path::measure(kind, corpus, &texts, alarms, place)?;
    let set = PatternSet::new(patterns.clone());
    let (by_set, set_seconds) = matching::with_set(&set, corpus);
    agree("metric filters and the compiled set", &path.matched, &by_set)?;
    place.go_on()?;
    let slice = corpus.slice(matching::PLAIN_BYTES / filters);
    let (expected, _) = matching::with_set(&set, &slice);
    let (by_plain, plain_seconds) = matching::plainly(&patterns, &slice);
    agree("the compiled set and the plain matcher", &expected, &by_plain)?;
    place.go_on()?;
    let mtail = if has_mtail {
        let place = place.part("mtail")?;
        let outcome = mtail::measure(&texts, corpus, &place.path(""));
        outcome.map_err(|error| Failure::io("mtail", &error))?
    } else {
        None
    };
    if let Some(mtail) = &mtail {
        agree("the compiled set and mtail", &matching::with_set(&set, &mtail.slice).0, &mtail.matched)?;
    }
    let rate = |seconds: f64| matching::rate(corpus.bytes(), seconds);
    Ok(Row {
        filters,
        alarms,
        path: rate(path.seconds),
        shares: path.shares,
        with_archive: rate(path.seconds_with_archive),
        matches: by_set.iter().sum(),
        set: rate(set_seconds),
        plain: Measured::of(&slice, plain_seconds),
        mtail: mtail.map(|it| Measured::of(&it.slice, it.seconds)),
    })
}

/// Matches of each filter, counted in two ways.
fn agree(ways: &str, one: &[u64], other: &[u64]) -> Result<(), Failure> {
    match one.iter().zip(other).position(|(one, other)| one != other) {
        None => Ok(()),
        Some(index) => {
            let message =
                format!("{ways} disagree about filter {index}: {} and {} events", one[index], other[index]);
            Err(Failure::new(ExitStatus::Defect, message).help("this is a defect: please report it"))
        }
    }
}
