//! What real files look like, and the rules that suit them: `watchbell init`.
//!
//! Promise: the text that [`text`] makes is a good `watchbell.toml` that passes its own tests, every figure in it was counted in the files, and
//! nothing of the lines' content is copied into it. Not here: writing it, clocks, the machine's zone (the caller says).
//!
//! A file is looked at in pieces ([`sample`]), its form is told ([`form`]), files that are one log become one group
//! ([`group`]), and rules are suggested for what is really in it ([`rule`], [`heartbeat`]).

pub(crate) mod form;
pub(crate) mod group;
pub(crate) mod heartbeat;
mod login;
pub(crate) mod rule;
pub(crate) mod sample;
pub(crate) mod text;

use std::path::Path;

use watchbell_model::Timestamp;

use form::Form;
use group::Group;
use sample::{Sample, Skipped};

/// What was found.
#[derive(Debug)]
pub(crate) struct Findings {
    /// Log groups, by name.
    pub(crate) groups: Vec<Group>,
    /// Files that hold no lines, as they were named, and why.
    pub(crate) skipped: Vec<(String, Skipped)>,
}

/// Where and when one looks.
pub(crate) struct Looker<'a> {
    /// What time it is.
    pub(crate) now: Timestamp,
    /// The machine's IANA time zone, if it is known and not UTC: of times that name none.
    pub(crate) zone: Option<String>,
    /// The folder of the file that will be written; paths in it are relative to it.
    pub(crate) folder: &'a Path,
}

impl Looker<'_> {
    /// Puts samples into groups and suggests rules for each.
    pub(crate) fn look(&self, samples: Vec<Sample>, mut skipped: Vec<(String, Skipped)>) -> Findings {
        let with_forms = samples.into_iter().map(|sample| {
            let form = Form::of(&sample.lines, sample.written, self);
            (sample, form)
        });
        let mut groups = group::groups(with_forms, self.folder);
        for group in &mut groups {
            group.rules = rule::suggest(group);
            group.heartbeat = heartbeat::of(group, self.now);
        }
        let (groups, others): (Vec<Group>, Vec<Group>) = groups.into_iter().partition(Group::is_log);
        let others = others.into_iter().flat_map(|group| group.samples);
        skipped.extend(others.map(|sample| (sample.path.to_string_lossy().into_owned(), Skipped::NoLog)));
        Findings { groups, skipped }
    }
}
