//! `watchbell journal`: whether it is whole, what is in it, and its entries; and the journal as other verbs read it,
//! while `watchbell up` may be running.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use watchbell_journal::{Disk, JournalError, Reader, RealDisk};
use watchbell_model::{Batch, Entry, Plan, Record, Timestamp};

use super::file::File;
use super::{Format, Global, finding, printable, say, written};
use crate::run::data_folder::{self, decode, journal_failure, journal_folder};
use crate::{ExitStatus, Failure, out};

/// What to do with the journal. It is only read; `watchbell up` may run meanwhile.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Read everything and say whether it is whole; exit code 1 if it is not
    #[command(
        after_help = "A start reads only what the newest snapshot does not cover; this reads all.\n\nExamples:\n  \
                            watchbell journal check\n  watchbell journal check --data-dir /srv/shop/data --format json"
    )]
    Check {
        #[command(flatten)]
        at: Where,
    },
    /// Say how much of what is in it, from when to when
    #[command(
        after_help = "Examples:\n  watchbell journal stat\n  watchbell journal stat --format json | jq .kinds"
    )]
    Stat {
        #[command(flatten)]
        at: Where,
    },
    /// Print entries, oldest first, one a line
    #[command(after_help = "Examples:\n  watchbell journal dump --from 1200 --count 20\n  \
                            watchbell journal dump --kind decisions --format json | jq .entry")]
    Dump {
        #[command(flatten)]
        at: Where,
        /// The first entry; by default the oldest
        #[arg(long, value_name = "OFFSET")]
        from: Option<u64>,
        /// How many entries at most
        #[arg(long, value_name = "N")]
        count: Option<usize>,
        /// Only entries of this kind: batch, plan, tick, decisions, delivery, trail, loss, "archive plan", "archive done", samples, queue, release, "records plan", "records done"
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
    },
}

pub(super) fn run(global: &Global, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Check { at } => check(global, at),
        Verb::Stat { at } => stat(global, at),
        Verb::Dump { at, from, count, kind } => {
            dump(global, at, *from, count.unwrap_or(usize::MAX), kind.as_deref())
        }
    }
}

fn check(global: &Global, at: &Where) -> Result<(), Failure> {
    let folder = at.journal(global)?.folder;
    let mut read = Read::default();
    let problem = match read.all(&folder) {
        Ok(()) => None,
        Err(Trouble::Journal(error @ (JournalError::Io { .. } | JournalError::Newer { .. }))) => {
            return Err(journal_failure(error));
        }
        Err(Trouble::Journal(error)) => Some(error.to_string()),
        Err(Trouble::Entry(failure)) => Some(failure.message),
    };
    let answer = json!({
        "whole": problem.is_none(), "first": read.first, "next": read.next, "bytes": read.bytes, "problem": problem,
    });
    match (global.format, &problem) {
        (Format::Json, _) => written(out::line(&answer.to_string()))?,
        (Format::Text, None) => written(out::line(&format!(
            "whole: entries {}..{}, {} bytes of payload",
            read.first, read.next, read.bytes
        )))?,
        (Format::Text, Some(problem)) => {
            say(&format!("entries {}..{} are whole, then: {problem}", read.first, read.next));
        }
    }
    if problem.is_none() { Ok(()) } else { Err(finding()) }
}

fn stat(global: &Global, at: &Where) -> Result<(), Failure> {
    let folder = at.journal(global)?.folder;
    let mut read = Read::default();
    read.all(&folder).map_err(|trouble| match trouble {
        Trouble::Journal(error) => journal_failure(error),
        Trouble::Entry(failure) => failure,
    })?;
    let files = files(&folder).map_err(|error| Failure::io(folder.display(), &error))?;
    let answer = json!({
        "first": read.first, "next": read.next,
        "first_time": read.times.map(|(first, _)| first.to_string()),
        "last_time": read.times.map(|(_, last)| last.to_string()),
        "kinds": read.kinds.iter().map(|(kind, (entries, bytes))| (*kind, json!({ "entries": entries, "bytes": bytes })))
            .collect::<BTreeMap<_, _>>(),
        "files": files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect::<BTreeMap<_, _>>(),
    });
    if global.format == Format::Json {
        return written(out::line(&answer.to_string()));
    }
    let mut text = format!("entries  {}..{}\n", read.first, read.next);
    if let Some((first, last)) = read.times {
        writeln!(text, "time     {first} to {last}").expect(STRING);
    }
    for (kind, (entries, bytes)) in &read.kinds {
        writeln!(text, "{entries:>12} {kind:<14}{bytes:>16} bytes").expect(STRING);
    }
    for (name, bytes) in &files {
        writeln!(text, "{bytes:>16} bytes  {name}").expect(STRING);
    }
    written(out::text(&text))
}

const STRING: &str = "writing to a string";

/// The files of the journal with their lengths.
fn files(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.metadata() {
            Ok(metadata) => files.push((name, metadata.len())),
            // Renamed between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort();
    Ok(files)
}

/// What was read of a journal.
#[derive(Default)]
struct Read {
    first: u64,
    next: u64,
    /// Bytes of payload.
    bytes: u64,
    times: Option<(Timestamp, Timestamp)>,
    /// Entries and bytes of each kind.
    kinds: BTreeMap<&'static str, (u64, u64)>,
}

enum Trouble {
    Journal(JournalError),
    Entry(Failure),
}

impl Read {
    fn all(&mut self, folder: &Path) -> Result<(), Trouble> {
        let mut reader = Reader::open_oldest(&disk(), folder).map_err(Trouble::Journal)?;
        (self.first, self.next) = (reader.next_offset(), reader.next_offset());
        while let Some(entry) = reader.next().map_err(Trouble::Journal)? {
            let record = decode(&entry).map_err(Trouble::Entry)?;
            let bytes = entry.payload.len() as u64;
            self.next = reader.next_offset();
            self.bytes += bytes;
            let kind = self.kinds.entry(record.entry.kind_name()).or_default();
            *kind = (kind.0 + 1, kind.1 + bytes);
            self.times = Some((self.times.map_or(record.time, |(first, _)| first), record.time));
        }
        Ok(())
    }
}

fn dump(
    global: &Global,
    at: &Where,
    from: Option<u64>,
    count: usize,
    kind: Option<&str>,
) -> Result<(), Failure> {
    let folder = at.journal(global)?.folder;
    let reader = match from {
        Some(from) => Reader::open(disk(), &folder, from),
        None => Reader::open_oldest(&disk(), &folder),
    };
    let mut reader = reader.map_err(journal_failure)?;
    let mut failure = Ok(());
    let outcome = out::buffered(|out| {
        let mut left = count;
        while left > 0 {
            let record = match reader.next() {
                Ok(None) => return Ok(()),
                Ok(Some(entry)) => decode(&entry),
                Err(error) => Err(journal_failure(error)),
            };
            match record {
                Ok(record) if kind.is_some_and(|kind| kind != record.entry.kind_name()) => {}
                Ok(record) => {
                    left -= 1;
                    match global.format {
                        Format::Json => writeln!(out, "{}", object(&record))?,
                        Format::Text => writeln!(out, "{}", line(&record))?,
                    }
                }
                Err(error) => {
                    failure = Err(error);
                    return Ok(());
                }
            }
        }
        Ok(())
    });
    failure.and(written(outcome))
}

fn object(record: &Record) -> Value {
    let entry = match &record.entry {
        Entry::Batch(batch) => batch_object(batch),
        other => payload(other),
    };
    json!({
        "offset": record.offset.0, "time": record.time.to_string(), "kind": record.entry.kind_name(), "entry": entry,
    })
}

fn batch_object(batch: &Batch) -> Value {
    let event = |event: watchbell_model::Event<'_>| {
        let time = event.timestamp.map(|time| time.to_string());
        json!({ "timestamp": time, "flags": event.flags.0, "message": event.message })
    };
    json!({
        "log_group": batch.group.as_str(), "stream": batch.stream, "source": batch.source, "backfill": batch.backfill,
        "events": batch.events().map(event).collect::<Vec<_>>(),
    })
}

/// Of all but batches, the payload is JSON, or nothing.
fn payload(entry: &Entry) -> Value {
    serde_json::from_slice(&entry.encode()).unwrap_or(Value::Null)
}

fn line(record: &Record) -> String {
    let what = match &record.entry {
        Entry::Batch(batch) => {
            format!(
                "{} {} {} events, {} bytes",
                batch.group.as_str(),
                batch.stream,
                batch.len(),
                batch.text().len()
            )
        }
        Entry::Tick => String::new(),
        other => payload(other).to_string(),
    };
    let line = format!("{:>8}  {}  {:<12}  {what}", record.offset.0, record.time, record.entry.kind_name());
    printable(line.trim_end())
}

/// Which data folder to read.
#[derive(Args)]
pub(super) struct Where {
    /// The data folder; by default the one that the file names
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// A journal that is there, and the plan of the file that names it.
pub(super) struct Journal {
    pub(super) folder: PathBuf,
    /// `None` if the data folder was named on the command line.
    pub(super) plan: Option<Plan>,
}

impl Where {
    /// A reader of the whole journal.
    pub(super) fn reader(&self, global: &Global) -> Result<Reader, Failure> {
        let folder = self.journal(global)?.folder;
        Reader::open_oldest(&disk(), &folder).map_err(journal_failure)
    }

    /// Where the archive is.
    pub(super) fn archive(&self, global: &Global) -> Result<PathBuf, Failure> {
        if let Some(data_dir) = &self.data_dir {
            // The folder may have been restored to another place than the one that its plan names.
            let inside = data_dir.join("archive");
            let elsewhere = || data_folder::archive_in_force(data_dir);
            return if inside.is_dir() { Ok(inside) } else { Ok(elsewhere()?.unwrap_or(inside)) };
        }
        let plan = File::read(&global.config)?.plan()?.0;
        let inside = Path::new(&plan.data_dir).join("archive");
        Ok(plan.archive.map_or(inside, |archive| PathBuf::from(archive.folder)))
    }

    /// Where the data folder is.
    pub(super) fn data_dir(&self, global: &Global) -> Result<PathBuf, Failure> {
        match &self.data_dir {
            Some(folder) => Ok(folder.clone()),
            None => Ok(PathBuf::from(File::read(&global.config)?.plan()?.0.data_dir)),
        }
    }

    /// Where the journal is.
    pub(super) fn journal(&self, global: &Global) -> Result<Journal, Failure> {
        let (data_dir, plan) = if let Some(folder) = &self.data_dir {
            (folder.clone(), None)
        } else {
            let plan = File::read(&global.config)?.plan()?.0;
            (PathBuf::from(&plan.data_dir), Some(plan))
        };
        let folder = journal_folder(&data_dir);
        if folder.is_dir() { Ok(Journal { folder, plan }) } else { Err(no_journal(&data_dir)) }
    }
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn no_journal(data_dir: &Path) -> Failure {
    let failure =
        Failure::new(ExitStatus::InputOutput, format!("data folder {} has no journal", data_dir.display()));
    failure.help("it is made by the first watchbell up; name another one with --data-dir")
}
