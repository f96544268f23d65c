//! Replay: a plan and lines with times, folded in virtual time into what the alarms would have done.
//!
//! Promise: the same plan and lines give the same changes, and at every evaluation instant the states are those that
//! `watchbell up` would have had if each line had arrived at its own time. Memory is bounded by what is open at one
//! time, not by how much is read.
//! Not here: the clock, sending anything, where results are printed.

mod archive;
mod budget;
mod compare;
mod datapoints;
mod episode;
mod file;
mod fold;
mod merge;
mod report;
mod run;
mod timeline;
mod trial;
pub mod words;

use std::sync::Arc;

use watchbell_model::{EventFlags, GroupName, Timestamp};

pub use archive::objects;
pub use budget::{Budget, Spent};
pub use compare::{Comparison, Difference, compare};
pub use datapoints::{Point, Points};
pub use episode::{AlarmStory, Episode, Night, stories};
pub use file::{LinesWithoutTime, Opening, open_all};
pub use fold::{GRAIN_MS, Replay};
pub use merge::{Merge, Source, Walk};
pub use report::Report;
pub use run::{Replayed, Window, run};
pub use timeline::{Change, FirstLine};
pub use trial::{MessageFault, Side, Step, Verdict, try_out};

/// The log group and stream that lines come from.
#[derive(Debug, PartialEq, Eq)]
pub struct StreamName {
    /// The log group.
    pub group: GroupName,
    /// The log stream: a file's path, or what the archive has.
    pub stream: String,
}

/// A line on its way into the virtual journal.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Where it comes from.
    pub origin: &'a Arc<StreamName>,
    /// When it arrives. Never runs backwards from one line to the next.
    pub arrival: Timestamp,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What happened to it on its way.
    pub flags: EventFlags,
    /// Its text.
    pub text: &'a str,
}
