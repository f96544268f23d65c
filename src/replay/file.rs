//! Files as sources: each line with the time it says, in the order in which it stands.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use watchbell_intake::{Joiner, Redactor, Run, Verdict, without_blank_end};
use watchbell_model::{
    BYTE_ORDER_MARK, EventFlags, GroupName, Kept, LINE_BYTES_MAX, LogGroup, ParseKind, Timestamp,
    TimestampFrom, without_end,
};
use watchbell_parse::Timestamps;

use super::merge::Current;
use super::{Line, Source, StreamName};
use crate::{ExitStatus, Failure};

/// How many lines of a file are looked at for the first time.
const LINES_LOOKED_AT_MAX: u64 = 10_000;

/// How much is read at a time, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// When lines arrive whose file knows no times at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinesWithoutTime {
    /// When the first one arrives.
    pub start: Timestamp,
    /// How many arrive in a second; positive.
    pub per_second: u64,
}

/// How files are opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening {
    /// What to do with a file whose lines have no time; if absent it is an error.
    pub without_time: Option<LinesWithoutTime>,
    /// When the lines had all been written, which tells the year of times without one; if absent, when the file was
    /// last changed.
    pub written: Option<Timestamp>,
}

/// When a file's lines arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    /// At their own times; those before the first that has one at this.
    Own(Timestamp),
    /// Evenly spread.
    Spread(LinesWithoutTime),
}

/// A file that is known to have lines with times.
pub struct LogFile {
    origin: Arc<StreamName>,
    timestamps: Timestamps,
    /// When all of it had been written: tells the year of times without one.
    written: Timestamp,
    from_line: bool,
    times: Times,
    bytes: u64,
    joiner: Option<Joiner>,
    redactor: Arc<Redactor>,
}

/// Every file of `files` (log group, how it is read, path) that holds a line, with the time of its first one.
///
/// # Errors
/// A file that cannot be read, or that has no time in it and `opening` has no answer to that.
pub fn open_all<'a>(
    files: impl IntoIterator<Item = (&'a GroupName, &'a LogGroup, &'a Path)>,
    opening: Opening,
    redactor: &Arc<Redactor>,
) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for (name, group, path) in files {
        let unreadable = |error: io::Error| Failure::io(path.display(), &error);
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Failure::new(ExitStatus::InputOutput, format!("{}: is a folder", path.display())));
        }
        let timestamps = timestamps(group);
        let written = opening.written.unwrap_or_else(|| changed(&metadata));
        let (first, lines) = first_time(file, &timestamps, written).map_err(unreadable)?;
        let times = match (first, opening.without_time) {
            (Some(first), _) => Times::Own(first),
            (None, _) if lines == 0 => continue,
            (None, Some(spread)) => Times::Spread(spread),
            (None, None) => return Err(no_time(path, name.as_str(), group, lines)),
        };
        let origin = StreamName { group: name.clone(), stream: path.to_string_lossy().into_owned() };
        sources.push(Source::File(LogFile {
            origin: Arc::new(origin),
            timestamps,
            written,
            from_line: group.timestamp != TimestampFrom::Arrival,
            times,
            bytes: metadata.len(),
            redactor: Arc::clone(redactor),
            joiner: group.multiline.as_ref().map(|it| Joiner::new(it).expect("the plan was checked")),
        }));
    }
    Ok(sources)
}

fn no_time(path: &Path, name: &str, group: &LogGroup, lines: u64) -> Failure {
    let looked = if lines == LINES_LOOKED_AT_MAX { format!("the first {lines}") } else { lines.to_string() };
    let parse = serde_json::to_value(group.parse).expect("a word");
    let message = format!(
        "{}: none of {looked} lines has a time that log group \"{name}\" (parse = {parse}) can read",
        path.display()
    );
    Failure::new(ExitStatus::InputOutput, message)
        .help("set the group's parse, or timestamp = { format = \"…\" }, to what the lines are; or spread them: --rate 10/s")
}

/// How the group's lines say their time; also of a group that goes by arrival, for old lines arrived when they say.
fn timestamps(group: &LogGroup) -> Timestamps {
    let from = match (group.parse, &group.timestamp) {
        (ParseKind::Plain, from) => from,
        (_, TimestampFrom::Arrival) => &TimestampFrom::Line,
        (_, from) => from,
    };
    Timestamps::new(group.parse, from).expect("the plan was checked, and every kind but plain knows times")
}

/// When the file was last written to; the end of time if the file system does not say.
fn changed(metadata: &Metadata) -> Timestamp {
    let since = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    Timestamp(ms.unwrap_or(i64::MAX))
}

/// The time of the first line that has one, and how many lines were looked at.
fn first_time(
    file: File,
    timestamps: &Timestamps,
    written: Timestamp,
) -> io::Result<(Option<Timestamp>, u64)> {
    let mut reader = Reader::new(file);
    let mut lines = 0;
    while lines < LINES_LOOKED_AT_MAX && reader.read()? {
        lines += 1;
        if let Some(time) = timestamps.of(&reader.kept().text, written) {
            return Ok((Some(time), lines));
        }
    }
    Ok((None, lines))
}

impl LogFile {
    /// When its first line arrives.
    pub(super) fn first(&self) -> Timestamp {
        match self.times {
            Times::Own(first) => first,
            Times::Spread(spread) => spread.start,
        }
    }

    /// Its size when it was looked at.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn open(self) -> Result<FileLines, Failure> {
        let file =
            File::open(&self.origin.stream).map_err(|error| Failure::io(&self.origin.stream, &error))?;
        let first = self.first();
        Ok(FileLines {
            reader: Reader::new(file),
            current: Current {
                origin: Arc::clone(&self.origin),
                arrival: first,
                timestamp: first,
                flags: EventFlags::default(),
                text: String::new(),
            },
            number: 0,
            run: Run::default(),
            begun: None,
            event: Vec::new(),
            flags: EventFlags::default(),
            file: self,
        })
    }
}

/// An open file that stands at a line.
pub(super) struct FileLines {
    file: LogFile,
    reader: Reader,
    current: Current,
    /// Events before the current one.
    number: u64,
    /// Puts lines together.
    run: Run,
    /// The first line of the next event, if it has been read.
    begun: Option<(Vec<u8>, EventFlags)>,
    /// The current event as it stands in the file.
    event: Vec<u8>,
    flags: EventFlags,
}

impl FileLines {
    pub(super) fn advance(&mut self) -> Result<bool, Failure> {
        if !self.read().map_err(|error| Failure::io(&self.file.origin.stream, &error))? {
            return Ok(false);
        }
        let kept = self.file.redactor.kept(&self.event);
        // The time of an event of several lines is that of its first.
        let first = kept.text.split('\n').next().unwrap_or_default();
        let current = &mut self.current;
        match self.file.times {
            Times::Own(_) => {
                // A line without a time belongs to the one before it; time does not run backwards.
                let own = self.file.timestamps.of_next(first, self.file.written, current.arrival);
                current.arrival = own.map_or(current.arrival, |own| own.max(current.arrival));
                current.timestamp = own.filter(|_| self.file.from_line).unwrap_or(current.arrival);
            }
            Times::Spread(spread) => {
                let after_ms = i64::try_from(u128::from(self.number) * 1000 / u128::from(spread.per_second));
                current.arrival = spread.start.plus_ms(after_ms.unwrap_or(i64::MAX));
                current.timestamp = current.arrival;
            }
        }
        current.flags = kept.flags.with(self.flags);
        current.text.clear();
        current.text.push_str(&kept.text);
        self.number += 1;
        Ok(true)
    }

    /// Reads the next event: a line, or as many as belong together, as the collector takes them from a file that is whole.
    fn read(&mut self) -> io::Result<bool> {
        let Some(joiner) = &self.file.joiner else {
            let some = self.reader.read()?;
            self.event.clear();
            self.event.extend_from_slice(without_end(&self.reader.line));
            return Ok(some);
        };
        let mut some = self.begun.is_some();
        if let Some((line, flags)) = self.begun.take() {
            (self.event, self.flags) = (line, flags);
        }
        while self.reader.read()? {
            let line = without_end(&self.reader.line);
            let verdict = joiner.see(&mut self.run, line);
            if some && verdict == Verdict::Continues {
                self.event.push(b'\n');
                self.event.extend_from_slice(line);
                continue;
            }
            let inside = verdict == Verdict::StartsInside;
            let begun = (line.to_vec(), if inside { EventFlags::CONTINUED } else { EventFlags::default() });
            if some {
                self.begun = Some(begun);
                break;
            }
            (self.event, self.flags) = begun;
            some = true;
        }
        let text_bytes = without_blank_end(&self.event).len();
        self.event.truncate(text_bytes);
        Ok(some)
    }

    pub(super) fn line(&self) -> Line<'_> {
        self.current.line()
    }

    pub(super) fn read_bytes(&self) -> u64 {
        self.reader.bytes
    }
}

/// Reads lines of any length, keeps what is kept of them.
struct Reader {
    input: BufReader<File>,
    line: Vec<u8>,
    /// Read so far.
    bytes: u64,
}

impl Reader {
    /// What is held of a line: enough for [`Kept`] to see that it is too long.
    const HELD_BYTES_MAX: u64 = LINE_BYTES_MAX as u64 + 8;

    fn new(file: File) -> Reader {
        Reader { input: BufReader::with_capacity(READ_BYTES, file), line: Vec::new(), bytes: 0 }
    }

    /// Goes on to the next line; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        self.line.clear();
        let held = self.input.by_ref().take(Self::HELD_BYTES_MAX).read_until(b'\n', &mut self.line)?;
        if self.bytes == 0 && self.line.starts_with(BYTE_ORDER_MARK) {
            // It belongs to no line.
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        self.bytes += held as u64;
        if held as u64 == Self::HELD_BYTES_MAX && !self.line.ends_with(b"\n") {
            self.bytes += self.input.skip_until(b'\n')? as u64;
        }
        Ok(held > 0)
    }

    fn kept(&self) -> Kept<'_> {
        Kept::of(without_end(&self.line))
    }
}
