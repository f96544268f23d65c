//! A whole function, ready to process messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchbell_model::{Function, HOPS_MAX, LINE_BYTES_MAX, Sample, Timestamp};
use watchbell_pattern::{Line, Pattern, PatternError};

use super::event::Event;
use super::input::{Input, InputEvent};
use super::raise::{self, Raised};
use super::script::{Left, Script};
use super::step;
use super::table::Table;

/// Bytes of an event that is raised; one with more fails.
pub const EVENT_BYTES_MAX: usize = LINE_BYTES_MAX;

/// Bytes of text that one message raises; the events beyond fail.
pub const RAISED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a function cannot be made ready. Its plan was checked, so this is about what it needs beside it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProgramError {
    /// A file that it looks things up in was not handed in.
    #[error("{file} was not read")]
    NoTable {
        /// The file.
        file: String,
    },
    /// Its program cannot be had or compiled.
    #[error("{file}: {reason}")]
    Script {
        /// The program's file.
        file: String,
        /// What is wrong, over several lines.
        reason: String,
    },
    /// A journaled plan holds a pattern that this version refuses.
    #[error("when: {0}")]
    Pattern(#[from] PatternError),
}

/// An event that is raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaisedEvent {
    /// When it happened: as the event that it was made of.
    pub timestamp: Timestamp,
    /// Its text.
    pub text: String,
}

/// An event that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Which event of the message, from 0.
    pub index: u32,
    /// Why: the step and its error.
    pub reason: String,
}

/// What became of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The events as they came out, with their index in the message.
    pub events: Vec<(u32, Event)>,
    /// Events for the function's log group.
    pub raised: Vec<RaisedEvent>,
    /// Values for metrics.
    pub samples: Vec<Sample>,
    /// Events that failed.
    pub failed: Vec<Failed>,
}

/// A function, ready.
pub struct Program {
    steps: Vec<step::Ready>,
    script: Option<Script>,
    raise: Vec<raise::Ready>,
    posts: Option<Pattern>,
    commands: Option<Pattern>,
}

impl Program {
    /// Makes a function ready; `tables` are the files that it looks things up in, by path and column, `source` the text of
    /// its program, if it has one.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub fn new(
        function: &Function,
        tables: &BTreeMap<(String, String), Arc<Table>>,
        source: Option<&str>,
    ) -> Result<Program, ProgramError> {
        let steps = function.steps.iter().map(|step| step::Ready::new(step, tables));
        let raise = function.raise.iter().map(raise::Ready::new);
        let pattern = |when: Option<&String>| when.map(|when| Pattern::parse(when)).transpose();
        let compile = |file: &String| {
            let script = source.map_or_else(|| Err("was not read".to_owned()), Script::compile);
            script.map_err(|reason| ProgramError::Script { file: file.clone(), reason })
        };
        Ok(Program {
            script: function.program.as_ref().map(compile).transpose()?,
            steps: steps.collect::<Result<_, _>>()?,
            raise: raise.collect::<Result<_, _>>()?,
            posts: pattern(function.webhook.as_ref().map(|hook| &hook.when))?,
            commands: pattern(function.command.as_ref().map(|command| &command.when))?,
        })
    }

    /// Whether the function's webhook gets an event that came out of the steps.
    pub fn posts(&self, event: &Event) -> bool {
        self.posts.as_ref().is_some_and(|when| when.matches(&event.text()))
    }

    /// Whether the function's command is for an event as it came.
    pub fn commands(&self, event: &InputEvent) -> bool {
        self.commands.as_ref().is_some_and(|when| when.matches(&event.text))
    }

    /// Processes a message.
    pub fn process(&self, input: &Input) -> Outcome {
        let mut outcome = Outcome::default();
        let mut raised_bytes = 0;
        for (index, event) in (0..).zip(&input.events) {
            let mut event = Event::new(event.timestamp, event.text.clone());
            let left = self.steps(&mut event);
            if left == Ok(Left::Nothing) {
                continue;
            }
            match left.and_then(|_| self.raise(&event, input)) {
                Ok(Raised { event: is_raised, samples }) => {
                    if is_raised {
                        let text = event.text().into_owned();
                        raised_bytes += text.len();
                        if raised_bytes > RAISED_BYTES_MAX {
                            let reason =
                                format!("raise: the message raises more than {RAISED_BYTES_MAX} bytes");
                            outcome.failed.push(Failed { index, reason });
                            continue;
                        }
                        outcome.raised.push(RaisedEvent { timestamp: event.timestamp, text });
                    }
                    outcome.samples.extend(samples);
                    outcome.events.push((index, event));
                }
                Err(reason) => outcome.failed.push(Failed { index, reason }),
            }
        }
        outcome
    }

    fn steps(&self, event: &mut Event) -> Result<Left, String> {
        for (number, step) in (1..).zip(&self.steps) {
            step.apply(event).map_err(|reason| format!("step {number} ({}): {reason}", step.name()))?;
        }
        match &self.script {
            Some(script) => script.run(event).map_err(|reason| format!("program: {reason}")),
            None => Ok(Left::Event),
        }
    }

    fn raise(&self, event: &Event, input: &Input) -> Result<Raised, String> {
        let text = event.text();
        let line = Line::new(&text);
        let mut raised = Raised::default();
        self.raise.iter().for_each(|raise| raise.apply(&line, &mut raised));
        if input.backfill {
            // As with metric filters: what was there before Watchbell was is no news.
            raised.samples.clear();
        }
        if raised.event && input.hops >= HOPS_MAX {
            return Err(format!(
                "raise: {HOPS_MAX} functions, one after another, have raised this event already; they feed each other"
            ));
        }
        if raised.event && text.len() > EVENT_BYTES_MAX {
            return Err(format!("raise: the event has {} bytes, {EVENT_BYTES_MAX} is the limit", text.len()));
        }
        Ok(raised)
    }
}
