//! A whole function, ready to process messages.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use watchbell_model::{Function, HOPS_MAX, LINE_BYTES_MAX, Sample, Timestamp};
use watchbell_pattern::{Line, Pattern, PatternError, PatternSet, Scratch};

use super::event::Event;
use super::input::{Input, InputEvent};
use super::raise;
use super::script::{Left, Script};
use super::step;
use super::table::Table;

/// Bytes of an event that is raised; one with more fails.
pub const EVENT_BYTES_MAX: usize = LINE_BYTES_MAX;

/// Bytes of text that one message raises; the events beyond fail.
pub const RAISED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of text that come out of the steps before it is looked what is raised of them: they are looked at together, while
/// the processor still has them at hand.
const CHUNK_BYTES: usize = 64 * 1024;

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

/// An event as it came out of the steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Became {
    /// Which event of the message, from 0.
    pub index: u32,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What it is now: its fields as a JSON object, or the text it came with if it has none.
    pub text: String,
    /// Whether it has fields.
    pub has_fields: bool,
    /// Whether the function's webhook gets it.
    pub posts: bool,
}

/// Which events are kept as they came out of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Those that the webhook gets.
    Posted,
    /// All.
    All,
}

/// What became of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Events as they came out.
    pub events: Vec<Became>,
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
    /// What events are to match: for each of `raise`, and behind them, if there is one, for the webhook.
    when: PatternSet,
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
        let (mut when, mut raise) = (Vec::new(), Vec::new());
        for raised in &function.raise {
            let (pattern, ready) = raise::Ready::new(raised)?;
            when.push(pattern);
            raise.push(ready);
        }
        if let Some(hook) = &function.webhook {
            when.push(Pattern::parse(&hook.when)?);
        }
        let compile = |file: &String| {
            let script = source.map_or_else(|| Err("was not read".to_owned()), Script::compile);
            script.map_err(|reason| ProgramError::Script { file: file.clone(), reason })
        };
        let command = function.command.as_ref().map(|command| Pattern::parse(&command.when));
        Ok(Program {
            script: function.program.as_ref().map(compile).transpose()?,
            steps: steps.collect::<Result<_, _>>()?,
            raise,
            when: PatternSet::new(when),
            commands: command.transpose()?,
        })
    }

    /// Whether the function's command is for an event as it came.
    pub fn commands(&self, event: &InputEvent<'_>) -> bool {
        self.commands.as_ref().is_some_and(|when| when.matches(&event.text))
    }

    /// Processes a message.
    pub fn process(&self, input: &Input<'_>, keep: Keep) -> Outcome {
        self.process_part(input, 0..input.events.len(), keep)
    }

    /// Processes some of a message's events.
    pub fn process_part(&self, input: &Input<'_>, part: Range<usize>, keep: Keep) -> Outcome {
        let mut raising =
            Raising { program: self, input, keep, raised_bytes: 0, outcome: Outcome::default() };
        let (mut event, mut chunk, mut scratch) = (Event::default(), Chunk::default(), Scratch::default());
        for (index, came) in (0..).zip(&input.events).take(part.end).skip(part.start) {
            event.begin(&came.text);
            match self.steps(&mut event) {
                Ok(Left::Event) => chunk.push(index, came.timestamp, &event),
                Ok(Left::Nothing) => {}
                Err(reason) => raising.outcome.failed.push(Failed { index, reason }),
            }
            if chunk.text.len() >= CHUNK_BYTES {
                raising.raise(&chunk, &mut scratch);
                chunk.clear();
            }
        }
        raising.raise(&chunk, &mut scratch);
        let mut outcome = raising.outcome;
        // Those that fail in the steps of a chunk come before those that cannot be raised.
        outcome.failed.sort_by_key(|failed| failed.index);
        outcome
    }

    fn steps<'a>(&'a self, event: &mut Event<'a>) -> Result<Left, String> {
        for (number, step) in (1..).zip(&self.steps) {
            step.apply(event).map_err(|reason| format!("step {number} ({}): {reason}", step.name()))?;
        }
        match &self.script {
            Some(script) => script.run(event).map_err(|reason| format!("program: {reason}")),
            None => Ok(Left::Event),
        }
    }
}

/// Texts of events that came out of the steps, one behind the other.
#[derive(Default)]
struct Chunk {
    text: Vec<u8>,
    /// Where each event ends; a line feed follows.
    ends: Vec<u32>,
    events: Vec<Stepped>,
}

/// An event that came out of the steps.
struct Stepped {
    index: u32,
    timestamp: Timestamp,
    has_fields: bool,
}

impl Chunk {
    fn push(&mut self, index: u32, timestamp: Timestamp, event: &Event<'_>) {
        event.write(&mut self.text);
        self.ends.push(u32::try_from(self.text.len()).expect("a chunk and an event are much less"));
        self.text.push(b'\n');
        self.events.push(Stepped { index, timestamp, has_fields: event.has_fields() });
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.events.clear();
    }
}

/// One thing that an event has to do.
enum Hit {
    Raise,
    Sample(Sample),
    Post,
}

/// Raises what is made of events.
struct Raising<'a> {
    program: &'a Program,
    input: &'a Input<'a>,
    keep: Keep,
    raised_bytes: usize,
    outcome: Outcome,
}

impl Raising<'_> {
    fn raise(&mut self, chunk: &Chunk, scratch: &mut Scratch) {
        let text = std::str::from_utf8(&chunk.text).expect("texts and JSON are UTF-8");
        let mut hits: Vec<(usize, Hit)> = Vec::new();
        self.program.when.matches(text, &chunk.ends, scratch, |line: &Line<'_>, number, pattern| {
            let hit = match self.program.raise.get(pattern) {
                None => Some(Hit::Post),
                Some(raise::Ready::Event) => Some(Hit::Raise),
                // As with metric filters: what was there before Watchbell was is no news.
                Some(raise::Ready::Metric(_)) if self.input.backfill => None,
                Some(raise::Ready::Metric(metric)) => metric.sample(line).map(Hit::Sample),
            };
            hits.extend(hit.map(|hit| (number, hit)));
        });
        let mut hits = hits.into_iter().peekable();
        let mut start = 0;
        for (number, (stepped, end)) in chunk.events.iter().zip(&chunk.ends).enumerate() {
            let of_this = std::iter::from_fn(|| hits.next_if(|(of, _)| *of == number).map(|(_, hit)| hit));
            let text = &text[start..*end as usize];
            start = *end as usize + 1;
            self.event(stepped, text, of_this);
        }
    }

    fn event(&mut self, stepped: &Stepped, text: &str, hits: impl Iterator<Item = Hit>) {
        let Stepped { index, timestamp, has_fields } = *stepped;
        let (mut raises, mut posts, mut samples) = (false, false, Vec::new());
        for hit in hits {
            match hit {
                Hit::Raise => raises = true,
                Hit::Sample(sample) => samples.push(sample),
                Hit::Post => posts = true,
            }
        }
        if raises {
            if let Err(reason) = self.allows(text) {
                return self.outcome.failed.push(Failed { index, reason });
            }
            self.outcome.raised.push(RaisedEvent { timestamp, text: text.to_owned() });
        }
        self.outcome.samples.extend(samples);
        if posts || self.keep == Keep::All {
            self.outcome.events.push(Became { index, timestamp, text: text.to_owned(), has_fields, posts });
        }
    }

    /// Whether one more event may be raised.
    fn allows(&mut self, text: &str) -> Result<(), String> {
        if self.input.hops >= HOPS_MAX {
            return Err(format!(
                "raise: {HOPS_MAX} functions, one after another, have raised this event already; they feed each other"
            ));
        }
        if text.len() > EVENT_BYTES_MAX {
            return Err(format!("raise: the event has {} bytes, {EVENT_BYTES_MAX} is the limit", text.len()));
        }
        self.raised_bytes += text.len();
        if self.raised_bytes > RAISED_BYTES_MAX {
            return Err(format!("raise: the message raises more than {RAISED_BYTES_MAX} bytes"));
        }
        Ok(())
    }
}
