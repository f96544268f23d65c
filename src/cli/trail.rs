//! `watchbell trail`: the audit trail, read and verified.

use clap::Subcommand;
use serde_json::json;
use watchbell_archive::StoredEvent;
use watchbell_journal::JournalError;
use watchbell_model::{Entry, Offset, TrailRecord};

use super::journal::Where;
use super::kept::Kept;
use super::{Format, Global, finding, printable, say, written};
use crate::run::data_folder::{decode, journal_failure};
use crate::run::records::{self, TRAIL};
use crate::run::trail::TrailHead;
use crate::{ExitStatus, Failure, out};

/// What to do with the trail.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Print every record, oldest first
    Ls {
        #[command(flatten)]
        at: Where,
    },
    /// Check that no record was changed, removed or put in; exit code 1 if one was
    #[command(
        after_help = "Keep the hash that it prints somewhere else: with it, nobody can rewrite the trail up to \
                            that record unnoticed."
    )]
    Verify {
        #[command(flatten)]
        at: Where,
    },
}

pub(super) fn run(global: &Global, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Ls { at } => list(global, at),
        Verb::Verify { at } => verify(global, at),
    }
}

fn list(global: &Global, at: &Where) -> Result<(), Failure> {
    let mut failure = Ok(());
    let outcome = out::buffered(|out| {
        failure = each(global, at, |record| match global.format {
            Format::Json => writeln!(out, "{}", json!(record)).is_ok(),
            Format::Text => writeln!(out, "{}", line(record)).is_ok(),
        });
        Ok(())
    });
    failure.and(written(outcome))
}

fn line(record: &TrailRecord) -> String {
    let TrailRecord { number, at, actor, action, resource, outcome, detail, .. } = record;
    let detail: Vec<String> = detail.iter().map(|(name, value)| format!("  {name}={value}")).collect();
    let detail = detail.concat();
    let line =
        format!("{number:>6}  {at}  {:<6}  {actor:<10}  {action:<22}  {resource}{detail}", outcome.as_str());
    printable(&line)
}

fn verify(global: &Global, at: &Where) -> Result<(), Failure> {
    let mut head = TrailHead::default();
    let mut broken = None;
    each(global, at, |record| {
        broken = head.follow(record).err();
        broken.is_none()
    })?;
    let holds = broken.is_none();
    let answer = json!({
        "holds": holds,
        "records": head.len(),
        "last_hash": head.hash(),
        "problem": broken.as_ref().map(ToString::to_string),
    });
    match (global.format, &broken) {
        (Format::Json, _) => written(out::line(&answer.to_string()))?,
        (Format::Text, None) => {
            written(out::line(&format!(
                "{} records, the chain holds\nlast hash {}",
                head.len(),
                head.hash()
            )))?;
        }
        (Format::Text, Some(broken)) => {
            say(&format!("the chain holds for {} records, then it breaks: {broken}", head.len()));
        }
    }
    if holds { Ok(()) } else { Err(finding()) }
}

/// Hands over every record until `go_on` says no.
fn each(global: &Global, at: &Where, mut go_on: impl FnMut(&TrailRecord) -> bool) -> Result<(), Failure> {
    let mut next = Offset(0);
    loop {
        let mut reader = at.reader(global)?;
        let first = Offset(reader.next_offset());
        let mut goes_on = true;
        if first > next {
            Kept::open(global, at)?.each(TRAIL, (next, first), |event| {
                let record = records::trail(&event.message).map_err(|error| not_kept(event, &error))?;
                goes_on = go_on(&record);
                Ok(goes_on)
            })?;
            next = first;
        }
        while goes_on {
            let entry = match reader.next() {
                // It was let go meanwhile: so it is in the archive.
                Err(JournalError::BeforeFirst { .. }) => break,
                entry => entry.map_err(journal_failure)?,
            };
            let Some(entry) = entry else { return Ok(()) };
            next = Offset(reader.next_offset());
            if let Entry::Trail(record) = decode(&entry)?.entry {
                goes_on = go_on(&record);
            }
        }
        if !goes_on {
            return Ok(());
        }
    }
}

fn not_kept(event: &StoredEvent, error: &serde_json::Error) -> Failure {
    Failure::new(
        ExitStatus::InputOutput,
        format!("archived event {} is no trail record: {error}", event.event_id),
    )
}
