//! `watchbell tail`: lines as they arrive, by filter pattern.
//!
//! It reads the journal's files and takes no lock: `watchbell up` may run or not, and does not know of it. File
//! notifications wake it; it also looks every second, should one be lost.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use watchbell_journal::{JournalError, Reader, RealDisk};
use watchbell_model::{
    Batch, Entry, Event, EventId, GroupName, InstallationId, ParseKind, Plan, Record, Severity, Timestamp,
};
use watchbell_notify::visible;
use watchbell_pattern::Pattern;

use super::journal::{Journal, Where};
use super::pattern::refusal;
use super::{Format, Global, say, written};
use crate::run::clock::{Clock, SystemClock};
use crate::run::data_folder::{decode, journal_failure};
use crate::{ExitStatus, Failure, out};

/// How long it waits for a notification before it looks by itself.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Entries between two looks at whether it should end.
const ENTRIES_PER_TURN: usize = 64;

/// Shows lines as they arrive.
#[derive(Args)]
#[command(after_help = "Examples:\n  watchbell tail                                  every new line\n  \
                        watchbell tail ERROR --log-group 'shop/*'       those with ERROR, of some groups\n  \
                        watchbell tail --since 10m '{ $.status >= 500 }'\n  \
                        watchbell tail --no-follow --format json        everything the journal has\n\n\
                        Times are UTC. Ctrl-C ends it. It changes nothing and needs no running watchbell up.")]
pub(super) struct Options {
    /// A CloudWatch filter pattern, every line if none; put -- before one that starts with -
    pattern: Option<String>,
    /// Only log groups with this name; * stands for any run of characters. May be given more than once
    #[arg(long = "log-group", value_name = "NAME")]
    log_groups: Vec<String>,
    /// Begin with what arrived so long ago, as 10m or 1d; by default only what is new, with --no-follow everything
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    since: Option<i64>,
    /// End with the last line there is
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    at: Where,
}

fn duration_ms(text: &str) -> Result<i64, String> {
    watchbell_config::parse_ms(text).map_err(|reason| format!("it {reason}; write 30s, 10m, 1h or 7d"))
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let text = options.pattern.as_deref().unwrap_or("");
    let pattern = Pattern::parse(text).map_err(|error| refusal(global.format, text, &error))?;
    let Journal { folder, plan } = options.at.journal(global)?;
    let groups = Groups::new(&options.log_groups, plan.as_ref())?;
    // Before the first look: what is appended after it wakes.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
    let waker = (!options.no_follow).then(|| runtime.block_on(async { Waker::new(&folder) })).transpose()?;
    let reader = open(&folder, options)?;
    let mut tail = Tail { reader, groups, pattern, format: global.format, colour: out::colour() };
    let Some(waker) = waker else {
        while !tail.turn()?.is_over() {}
        return Ok(());
    };
    runtime.block_on(tail.follow(waker))
}

/// A reader that stands where showing begins.
fn open(folder: &Path, options: &Options) -> Result<Reader, Failure> {
    let open = |from: u64| Reader::open(Arc::new(RealDisk), folder, from);
    let from = match options.since {
        Some(ago_ms) => first_since(&open, SystemClock.now().plus_ms(-ago_ms)),
        None if options.no_follow => first(&open),
        None => end(&open),
    };
    from.and_then(open).map_err(journal_failure)
}

type Open<'a> = &'a dyn Fn(u64) -> Result<Reader, JournalError>;

/// The oldest entry's offset.
fn first(open: Open<'_>) -> Result<u64, JournalError> {
    match open(0) {
        Ok(_) => Ok(0),
        Err(JournalError::BeforeFirst { first, .. }) => Ok(first),
        Err(error) => Err(error),
    }
}

/// The offset that the next entry gets.
fn end(open: Open<'_>) -> Result<u64, JournalError> {
    match open(u64::MAX) {
        Ok(reader) => Ok(reader.next_offset()),
        Err(JournalError::AfterEnd { next, .. }) => Ok(next),
        Err(error) => Err(error),
    }
}

/// The offset of the first entry that was accepted at `since` or later. Times never run backwards in the journal.
fn first_since(open: Open<'_>, since: Timestamp) -> Result<u64, JournalError> {
    let (mut low, mut high) = (first(open)?, end(open)?);
    while low < high {
        let middle = low + (high - low) / 2;
        match open(middle)?.next()? {
            Some(entry) if entry.time_ms < since.0 => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Which log groups are shown, and how their lines are read.
struct Groups {
    wanted: Vec<glob::Pattern>,
    /// Of the plan in force, as far as it is known.
    parse: BTreeMap<GroupName, ParseKind>,
}

impl Groups {
    fn new(names: &[String], plan: Option<&Plan>) -> Result<Groups, Failure> {
        let mut wanted = Vec::new();
        for name in names {
            // Names have only letters, digits and . - _ / #: the star is the one sign of a glob among them.
            let pattern = glob::Pattern::new(name).map_err(|_| {
                Failure::new(ExitStatus::Usage, format!("\"{name}\" is no name of log groups"))
            })?;
            let known: Option<Vec<&str>> =
                plan.map(|plan| plan.log_groups.keys().map(GroupName::as_str).collect());
            if let Some(known) = known
                && !known.iter().any(|known| pattern.matches(known))
            {
                let failure = Failure::new(ExitStatus::Usage, format!("no log group is called \"{name}\""));
                return Err(failure.help(format!("the file has {}", known.join(", "))));
            }
            wanted.push(pattern);
        }
        let mut groups = Groups { wanted, parse: BTreeMap::new() };
        if let Some(plan) = plan {
            groups.take(plan);
        }
        Ok(groups)
    }

    fn take(&mut self, plan: &Plan) {
        self.parse = plan.log_groups.iter().map(|(name, group)| (name.clone(), group.parse)).collect();
    }

    fn has(&self, name: &GroupName) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted.matches(name.as_str()))
    }

    /// Without a plan lines are taken as plain: their level words still tell.
    fn parse(&self, name: &GroupName) -> ParseKind {
        self.parse.get(name).copied().unwrap_or(ParseKind::Plain)
    }
}

/// What a turn ended with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There is more to read at once.
    More,
    /// Everything has been shown.
    Shown,
    /// Nobody reads any more.
    ReaderGone,
}

impl Turn {
    fn is_over(self) -> bool {
        self != Turn::More
    }
}

struct Tail {
    reader: Reader,
    groups: Groups,
    pattern: Pattern,
    format: Format,
    colour: bool,
}

impl Tail {
    /// Shows what comes until it is told to end or nobody reads any more.
    async fn follow(&mut self, mut waker: Waker) -> Result<(), Failure> {
        loop {
            let turn = self.turn()?;
            if turn == Turn::ReaderGone || (turn == Turn::Shown && reader_is_gone()) {
                return Ok(());
            }
            tokio::select! {
                biased;
                _ = waker.interrupt.recv() => return Ok(()),
                _ = waker.terminate.recv() => return Ok(()),
                () = std::future::ready(()), if turn == Turn::More => {}
                () = waker.changed.notified() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Shows the next entries.
    fn turn(&mut self) -> Result<Turn, Failure> {
        let mut turn = Turn::More;
        let mut failure = None;
        let outcome = out::buffered(|out| {
            for _ in 0..ENTRIES_PER_TURN {
                match self.next() {
                    Ok(Some(record)) => self.show(out, &record)?,
                    Ok(None) => {
                        turn = Turn::Shown;
                        break;
                    }
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
            Ok(())
        });
        match (failure, outcome) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Turn::ReaderGone),
            (None, outcome) => written(outcome).map(|()| turn),
        }
    }

    fn next(&mut self) -> Result<Option<Record>, Failure> {
        let entry = self.reader.next().map_err(journal_failure)?;
        entry.as_ref().map(decode).transpose()
    }

    fn show(&mut self, out: &mut dyn Write, record: &Record) -> io::Result<()> {
        match &record.entry {
            Entry::Plan(plan) => self.groups.take(plan),
            Entry::Batch(batch) if self.groups.has(&batch.group) => {
                for event in batch.events().filter(|event| self.pattern.matches(event.message)) {
                    self.show_event(out, record, batch, &event)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn show_event(
        &self,
        out: &mut dyn Write,
        record: &Record,
        batch: &Batch,
        event: &Event<'_>,
    ) -> io::Result<()> {
        let in_text = || watchbell_parse::parse(self.groups.parse(&batch.group), event.message).severity;
        let severity = event.severity.unwrap_or_else(in_text);
        let timestamp = event.timestamp.unwrap_or(record.time);
        match self.format {
            Format::Json => {
                let installation =
                    self.reader.installation().expect("an entry was read, so it has a segment");
                let offset = record.offset;
                let id = EventId { installation: InstallationId(installation), offset, line: event.line };
                let object = json!({
                    "event_id": id,
                    "timestamp": timestamp.to_string(),
                    "ingestion_time": record.time.to_string(),
                    "log_group": batch.group,
                    "stream": batch.stream,
                    "severity": severity,
                    "message": event.message,
                    "flags": event.flags.names(),
                });
                writeln!(out, "{object}")
            }
            Format::Text => {
                let stream = batch.stream.rsplit('/').next().unwrap_or_default();
                let place = format!("{} {}", batch.group, visible(stream));
                let message = visible(event.message);
                if self.colour {
                    let colour = colour_of(severity);
                    writeln!(
                        out,
                        "\x1b[2m{timestamp}\x1b[0m \x1b[36m{place}\x1b[0m  {colour}{message}\x1b[0m"
                    )
                } else {
                    writeln!(out, "{timestamp} {place}  {message}")
                }
            }
        }
    }
}

fn colour_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "\x1b[1;31m",
        Severity::Error => "\x1b[31m",
        Severity::Warn => "\x1b[33m",
        Severity::Trace | Severity::Debug => "\x1b[2m",
        Severity::Info | Severity::Unknown => "",
    }
}

/// What wakes it while nothing is there to show.
struct Waker {
    changed: Arc<Notify>,
    interrupt: Signal,
    terminate: Signal,
    /// Notifications end with it.
    _watcher: Option<RecommendedWatcher>,
}

impl Waker {
    /// Must be made on the runtime.
    fn new(folder: &Path) -> Result<Waker, Failure> {
        let failed = |error: io::Error| Failure::io("signals", &error);
        let changed = Arc::new(Notify::new());
        Ok(Waker {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            _watcher: watcher(folder, &changed),
            changed,
        })
    }
}

/// Tells of changes in the folder; without it, looking every second remains.
fn watcher(folder: &Path, changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let watch = || {
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| event.kind.is_access()) {
                changed.notify_one();
            }
        })?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok::<_, notify::Error>(watcher)
    };
    watch()
        .inspect_err(|error| say(&format!("no file notifications ({error}); looking every second instead")))
        .ok()
}

/// Whether the other end of standard output is closed: a pipe's reader that went away is told only to those who ask.
fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let asked = poll(&mut watched, Some(&at_once)).is_ok();
    asked && watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

#[cfg(test)]
mod tests {
    use watchbell_journal::{Journal, NewEntry, Options};

    use super::*;

    #[test]
    fn showing_begins_at_the_first_entry_of_that_time() {
        let folder = tempfile::tempdir().unwrap();
        // Several segments, and times that entries share.
        let options = Options { segment_bytes_max: 4096, ..Options::new(*b"tailtest") };
        let (mut journal, _) = Journal::open(Arc::new(RealDisk), folder.path(), options).unwrap();
        let open = |from: u64| Reader::open(Arc::new(RealDisk), folder.path(), from);
        assert_eq!((first(&open).unwrap(), end(&open).unwrap()), (0, 0));
        assert_eq!(first_since(&open, Timestamp(0)).unwrap(), 0);
        for number in 0..300 {
            let entry =
                NewEntry { kind: 1, flags: 0, time_ms: number / 3 * 10, payload: &[0; 100], rest: &[] };
            journal.append_batch(&[entry]).unwrap();
        }
        assert_eq!(end(&open).unwrap(), 300);
        for (since, expected) in [(-5, 0), (0, 0), (1, 3), (10, 3), (500, 150), (990, 297), (991, 300)] {
            assert_eq!(first_since(&open, Timestamp(since)).unwrap(), expected, "{since}");
        }
    }

    #[test]
    fn stars_of_group_names_cross_slashes() {
        let groups = Groups::new(&["shop/*".to_owned(), "a".to_owned()], None).unwrap();
        let has = |name: &str| groups.has(&GroupName::new(name).unwrap());
        assert!(has("shop/api/access") && has("a") && !has("shop") && !has("ab"));
    }
}
