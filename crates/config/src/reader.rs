//! Reads tables whose values know their places, collects every problem, and refuses keys nobody knows.
//!
//! Promise: a [`Table`] that was read and [finished](Table::finish) has no key that was silently ignored.
//! Which keys exist is decided by the table in `keys`, not here.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{self, StrDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::keys::{self, Key, Kind, OnAws};
use crate::problem::{Lines, Problem, quote};
use crate::{Source, clock, duration, nearest, size};

/// Most "did you mean" answers that are searched for in one file; the search is the dear part of a bad file.
const SUGGESTIONS_MAX: usize = 200;
/// A day, in milliseconds.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// What every reader of one file shares: the file, and the problems found so far.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a Source<'a>,
    lines: Lines,
    problems: RefCell<Vec<Problem>>,
    /// Lines (from 1) the TOML parser complained about. What it made of them is no ground for more complaints.
    broken_lines: Vec<usize>,
    suggestions: Cell<usize>,
    /// Names of stored secrets that were referred to.
    stored: RefCell<BTreeSet<String>>,
    /// Whether the file is for AWS.
    pub(crate) is_on_aws: bool,
    /// What a row of the table of keys says of a key that is there, by the row, and by the place if each place counts.
    remarks: RefCell<BTreeMap<(Remark, &'static str, usize), Problem>>,
}

/// What a row of the table of keys may say of a key that is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Remark {
    /// `watchbell up` does not act on it.
    Gap,
    /// AWS does otherwise.
    Difference,
    /// AWS cannot have it.
    Refused,
}

impl<'a> Context<'a> {
    pub(crate) fn new(source: &'a Source<'a>, syntax: Vec<Problem>, is_on_aws: bool) -> Context<'a> {
        let lines = Lines::of(source.text);
        let syntax: Vec<Problem> = syntax.into_iter().map(|problem| within(source.text, problem)).collect();
        let mut broken_lines: Vec<usize> =
            syntax.iter().map(|problem| lines.line(problem.span.start)).collect();
        broken_lines.sort_unstable();
        Context {
            source,
            lines,
            problems: RefCell::new(syntax),
            broken_lines,
            suggestions: Cell::new(0),
            stored: RefCell::default(),
            is_on_aws,
            remarks: RefCell::default(),
        }
    }

    /// Notes a problem, unless the TOML parser already complained about its line.
    pub(crate) fn report(&self, problem: Problem) {
        let problem = within(self.source.text, problem);
        if self.broken_lines.binary_search(&self.lines.line(problem.span.start)).is_err() {
            self.problems.borrow_mut().push(problem);
        }
    }

    /// Notes a problem that rests on something *not* being in the file; a file with syntax errors may well have it.
    pub(crate) fn report_absence(&self, problem: Problem) {
        if self.broken_lines.is_empty() {
            self.report(problem);
        }
    }

    /// Remembers that a stored secret is referred to.
    pub(crate) fn refer_to_stored(&self, name: &str) {
        self.stored.borrow_mut().insert(name.to_owned());
    }

    /// The names of stored secrets that were referred to so far.
    pub(crate) fn stored(&self) -> BTreeSet<String> {
        self.stored.borrow().clone()
    }

    /// The line, from 1, that the byte `at` is in.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.lines.line(at)
    }

    /// The one of `known` that `wrong` probably stands for.
    pub(crate) fn suggest<'k>(
        &self,
        wrong: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Option<&'k str> {
        self.suggestions.set(self.suggestions.get() + 1);
        (self.suggestions.get() <= SUGGESTIONS_MAX).then(|| nearest::nearest(wrong, known)).flatten()
    }

    /// Notes what the row of a key that is at `span` says of it: each refusal, and the rest at the first place in the file.
    fn remark(&self, row: &'static Key, span: &Range<usize>, owner: &str) {
        let title = || format!("{}{}", quote(row.name()), within_owner(owner));
        let add = |remark, place, problem: Problem| {
            let mut remarks = self.remarks.borrow_mut();
            let first = remarks.entry((remark, row.path, place)).or_insert_with(|| problem.clone());
            if problem.span.start < first.span.start {
                *first = problem;
            }
        };
        if let Some(gap) = row.gap {
            let message = format!("{} has no effect in `watchbell up` of this version", title());
            add(Remark::Gap, 0, Problem::note(span.clone(), message).label(gap));
        }
        match row.on_aws {
            OnAws::Difference(what) if self.is_on_aws => {
                let note =
                    Problem::note(span.clone(), format!("{} is not the same on AWS", title())).label(what);
                add(Remark::Difference, 0, Problem { is_about_aws: true, ..note });
            }
            OnAws::Refused(why) if self.is_on_aws => {
                let error = Problem::error(span.clone(), format!("{} cannot be on AWS", title())).label(why);
                let help = "remove it, or [aws]";
                add(Remark::Refused, span.start, Problem { is_about_aws: true, ..error.help(help) });
            }
            _ => {}
        }
    }

    /// Every problem, in file order.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        for remark in self.remarks.take().into_values() {
            self.report(remark);
        }
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems
    }
}

/// The problem with its span inside the text, at character boundaries.
fn within(text: &str, mut problem: Problem) -> Problem {
    let start = text.floor_char_boundary(problem.span.start.min(text.len()));
    let end = text.ceil_char_boundary(problem.span.end.clamp(start, text.len()));
    problem.span = start..end;
    problem
}

/// A string and its place.
#[derive(Clone)]
pub(crate) struct Text<'a> {
    pub(crate) value: &'a str,
    pub(crate) span: Range<usize>,
}

impl Text<'_> {
    /// The place in the file of a part of the string's value; the whole string if escapes moved it.
    pub(crate) fn part(&self, file: &str, part: &Range<usize>) -> Range<usize> {
        let raw = &file[self.span.clone()];
        let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
        let inner = raw.get(quotes..raw.len().saturating_sub(quotes)).unwrap_or("");
        let trimmed = inner.len() - self.value.len().min(inner.len());
        // A multi-line string loses the line end after its opening quotes.
        let is_plain = inner.ends_with(self.value) && matches!(&inner[..trimmed], "" | "\n" | "\r\n");
        if !is_plain {
            return self.span.clone();
        }
        let start = self.span.start + quotes + trimmed;
        start + part.start..start + part.end
    }
}

/// A value that was found under a key.
pub(crate) struct Field<'a> {
    pub(crate) context: &'a Context<'a>,
    key: &'static Key,
    /// The table it stands in, as messages name it.
    owner: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Field<'a> {
    pub(crate) fn span(&self) -> Range<usize> {
        self.value.span()
    }

    pub(crate) fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// The table it stands in, as messages name it: `alarm "slow"`.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// The key with its owner, as messages name it: `"period" in alarm "slow"`.
    pub(crate) fn title(&self) -> String {
        // A named entry is its own owner.
        if self.key.name() == "*" {
            return self.owner.clone();
        }
        format!("{}{}", quote(self.key.name()), within_owner(&self.owner))
    }

    /// Notes an error at this value.
    pub(crate) fn refuse(&self, message: impl Into<String>, help: impl Into<String>) {
        self.context.report(Problem::error(self.span(), message).help(help));
    }

    /// Notes what the reader of the language that the value is in says of a place in it.
    pub(crate) fn refuse_at(&self, span: Range<usize>, message: &str, help: Option<String>) {
        let problem = Problem::error(span, format!("{}: {message}", self.title()));
        self.context.report(Problem { help, ..problem });
    }

    /// Notes that the value is of another type than the key's.
    pub(crate) fn mismatch(&self) {
        self.mismatch_of(self.value);
    }

    fn mismatch_of(&self, found: &Spanned<DeValue<'a>>) {
        let message = format!(
            "{} must be {}, found {}",
            self.title(),
            self.key.kind.expected(),
            found_type(found.get_ref())
        );
        self.context.report(Problem::error(found.span(), message));
    }

    /// A string, or `None` with a problem noted.
    pub(crate) fn text(&self) -> Option<Text<'a>> {
        self.text_of(self.value)
    }

    fn text_of(&self, value: &'a Spanned<DeValue<'a>>) -> Option<Text<'a>> {
        let text = value.get_ref().as_str().map(|text| Text { value: text, span: value.span() });
        if text.is_none() {
            self.mismatch_of(value);
        }
        text
    }

    /// A string or an array of strings. What is not a string is noted and left out.
    pub(crate) fn texts(&self) -> Vec<Text<'a>> {
        match self.value.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(|item| self.text_of(item)).collect(),
            _ => self.text().into_iter().collect(),
        }
    }

    /// One of the key's words. `later` are words of the design that this version does not know yet.
    pub(crate) fn one_of<T: Deserialize<'a>>(&self, later: &[&str]) -> Option<T> {
        let (Kind::OneOf(words) | Kind::OneOfOrTable(words)) = self.key.kind else {
            unreachable!("{} has no words", self.key.path)
        };
        let text = self.text()?;
        if words.contains(&text.value) {
            let word: StrDeserializer<'a, value::Error> = text.value.into_deserializer();
            return Some(T::deserialize(word).expect("the words in keys.rs are those of the model"));
        }
        let title = self.title();
        if later.contains(&text.value) {
            let message = format!("{title}: {} is not available in this version", quote(text.value));
            self.refuse(message, format!("this version knows {}", keys::quoted(words)));
        } else {
            let help = match self.context.suggest(text.value, words.iter().copied()) {
                Some(near) => format!("did you mean {}?", quote(near)),
                None => format!("write one of {}", keys::quoted(words)),
            };
            self.refuse(format!("{title} cannot be {}", quote(text.value)), help);
        }
        None
    }

    /// The strings and tables written here: one, or an array of them. What is neither is noted and left out.
    pub(crate) fn texts_and_tables(&self, title: &str) -> Vec<TextOrTable<'a>> {
        let read = |value: &'a Spanned<DeValue<'a>>| match value.get_ref() {
            DeValue::Table(_) => self.table_of(value, title.to_owned()).map(TextOrTable::Table),
            _ => self.text_of(value).map(TextOrTable::Text),
        };
        match self.value.get_ref() {
            DeValue::Array(items) => items.iter().filter_map(read).collect(),
            _ => read(self.value).into_iter().collect(),
        }
    }

    /// Whether `[]` is written here.
    pub(crate) fn is_empty_array(&self) -> bool {
        self.value.get_ref().as_array().is_some_and(|items| items.is_empty())
    }

    /// A time of day, in milliseconds after midnight.
    pub(crate) fn clock_ms(&self) -> Option<i64> {
        let text = self.text()?;
        let found = clock::parse_ms(text.value);
        if found.is_none() {
            let message = format!("{} is no time of day: {}", self.title(), quote(text.value));
            self.refuse(message, "write \"HH:MM:SS\" or \"HH:MM:SS.mmm\"; hours may go beyond 23");
        }
        found
    }

    /// A duration, in milliseconds.
    pub(crate) fn duration_ms(&self) -> Option<i64> {
        let text = self.text()?;
        duration::parse_ms(text.value)
            .map_err(|reason| {
                let message = format!("{} {reason}: {}", self.title(), quote(text.value));
                self.refuse(message, "write a whole number and one of ms, s, m, h, d, such as \"30s\"");
            })
            .ok()
    }

    /// A size, in bytes.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        let text = self.text()?;
        size::parse_bytes(text.value)
            .map_err(|reason| {
                let message = format!("{} {reason}: {}", self.title(), quote(text.value));
                self.refuse(
                    message,
                    "write a whole number and one of B, KiB, MiB, GiB, TiB, such as \"10GiB\"",
                );
            })
            .ok()
    }

    /// A string of at most so many characters.
    pub(crate) fn text_up_to(&self, chars_max: usize) -> Option<&'a str> {
        let text = self.text()?.value;
        let length = text.chars().count();
        if length > chars_max {
            let message = format!("{} has {length} characters, more than {chars_max}", self.title());
            self.refuse(message, "write less");
            return None;
        }
        Some(text)
    }

    /// A duration within `range`, in milliseconds; `spelled` says the range in the file's words.
    pub(crate) fn duration_ms_within(&self, range: &RangeInclusive<i64>, spelled: &str) -> Option<i64> {
        let ms = self.duration_ms()?;
        if !range.contains(&ms) {
            self.refuse(format!("{} is out of range", self.title()), format!("write {spelled}"));
            return None;
        }
        Some(ms)
    }

    /// A duration of whole days.
    pub(crate) fn days(&self) -> Option<u32> {
        let ms = self.duration_ms()?;
        let days = if ms % DAY_MS == 0 { u32::try_from(ms / DAY_MS).ok() } else { None };
        if days.is_none() {
            self.refuse(format!("{} is not a number of whole days", self.title()), "write it as in \"30d\"");
        }
        days
    }

    /// A duration of whole days within `range`.
    pub(crate) fn days_within(&self, range: &RangeInclusive<u32>) -> Option<u32> {
        let days = self.days()?;
        if !range.contains(&days) {
            let help = format!("write \"{}d\" to \"{}d\"", range.start(), range.end());
            self.refuse(format!("{} is out of range", self.title()), help);
            return None;
        }
        Some(days)
    }

    /// What `parse` makes of the string; its error is the end of a message about it.
    pub(crate) fn parsed<T>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
        help: &str,
    ) -> Option<T> {
        let text = self.text()?;
        parse(text.value)
            .map_err(|reason| {
                self.refuse(format!("{} {reason}: {}", self.title(), quote(text.value)), help);
            })
            .ok()
    }

    /// Yes or no.
    pub(crate) fn flag(&self) -> Option<bool> {
        let flag = self.value.get_ref().as_bool();
        if flag.is_none() {
            self.mismatch();
        }
        flag
    }

    /// A whole number from 1 on.
    pub(crate) fn count(&self) -> Option<u32> {
        let DeValue::Integer(integer) = self.value.get_ref() else {
            self.mismatch();
            return None;
        };
        let count = u32::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|count| *count > 0);
        if count.is_none() {
            self.refuse(format!("{} is out of range", self.title()), format!("write 1 to {}", u32::MAX));
        }
        count
    }

    /// An integer or float; finite.
    pub(crate) fn number(&self) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .and_then(|integer| integer.to_string().parse().ok()),
            DeValue::Float(float) => float.as_str().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => {
                self.mismatch();
                return None;
            }
        };
        if number.is_none() {
            self.refuse(format!("{} is out of range", self.title()), "write a finite number");
        }
        number
    }

    /// The table written here.
    pub(crate) fn table(&self, title: String) -> Option<Table<'a>> {
        self.table_of(self.value, title)
    }

    /// The named entries of the table written here, as [`Table::named`] gives them.
    pub(crate) fn named_entries(&self, noun: &str) -> Vec<(Text<'a>, Field<'a>)> {
        let DeValue::Table(entries) = self.value.get_ref() else {
            self.mismatch();
            return Vec::new();
        };
        let mut named: Vec<(Text<'a>, Field<'a>)> = entries
            .iter()
            .map(|(name, value)| {
                let entry =
                    keys::find(self.key.path, "*").expect("named tables have a row for their entries");
                let owner = format!("{noun} {}", quote(name.get_ref()));
                let name = Text { value: name.get_ref(), span: name.span() };
                (name, Field { context: self.context, key: entry, owner, value })
            })
            .collect();
        named.sort_by_key(|(name, _)| name.span.start);
        named
    }

    /// The tables written here: one, or an array of them.
    pub(crate) fn tables(&self, title: &str) -> Vec<Table<'a>> {
        match self.value.get_ref() {
            DeValue::Array(items) => {
                items.iter().filter_map(|item| self.table_of(item, title.to_owned())).collect()
            }
            _ => self.table(title.to_owned()).into_iter().collect(),
        }
    }

    fn table_of(&self, value: &'a Spanned<DeValue<'a>>, title: String) -> Option<Table<'a>> {
        let DeValue::Table(entries) = value.get_ref() else {
            self.mismatch_of(value);
            return None;
        };
        Some(Table::new(self.context, self.key.path, title, value.span(), entries))
    }
}

/// A string or a table.
pub(crate) enum TextOrTable<'a> {
    Text(Text<'a>),
    Table(Table<'a>),
}

/// A table being read.
pub(crate) struct Table<'a> {
    pub(crate) context: &'a Context<'a>,
    /// Its path in the table of keys, as `alarms.*`.
    path: String,
    /// As messages name it: `alarm "slow"`; empty for the file itself.
    pub(crate) title: String,
    /// What to point at when a key is missing.
    pub(crate) place: Range<usize>,
    entries: &'a DeTable<'a>,
    taken: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The file itself.
    pub(crate) fn root(context: &'a Context<'a>, entries: &'a DeTable<'a>) -> Table<'a> {
        Table::new(context, "", String::new(), 0..0, entries)
    }

    fn new(
        context: &'a Context<'a>,
        path: &str,
        title: String,
        place: Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Table<'a> {
        Table { context, path: path.to_owned(), title, place, entries, taken: Vec::new() }
    }

    /// The value of `key`, if there is one.
    pub(crate) fn field(&mut self, key: &str) -> Option<Field<'a>> {
        let key = keys::find(&self.path, key).expect("every key that is read has a row in keys.rs");
        self.taken.push(key.path);
        let (name, value) = self.entries.get_key_value(key.name())?;
        self.context.remark(key, &name.span(), &self.title);
        Some(Field { context: self.context, key, owner: self.title.clone(), value })
    }

    /// The value of `key`; its absence is an error.
    pub(crate) fn need(&mut self, key: &str) -> Option<Field<'a>> {
        let field = self.field(key);
        if field.is_none() {
            let row = keys::find(&self.path, key).expect("just read");
            let title = if self.title.is_empty() { "the file" } else { &self.title };
            let message = format!("{title} has no {}", quote(key));
            self.context.report_absence(Problem::error(self.place.clone(), message).help(row.hint()));
        }
        field
    }

    /// What `read` makes of the value of `key`: `Some(None)` if there is none, `None` if it is wrong, which is noted.
    #[expect(clippy::option_option, reason = "absent, wrong, good")]
    pub(crate) fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Field<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.field(key) {
            Some(field) => read(&field).map(Some),
            None => Some(None),
        }
    }

    /// What `read` makes of the value of `key`; if there is none, `default`.
    pub(crate) fn or<T>(
        &mut self,
        key: &str,
        default: T,
        read: impl FnOnce(&Field<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.field(key) {
            Some(field) => read(&field),
            None => Some(default),
        }
    }

    /// The named entries under `key`, as `[alarms.NAME]`; `noun` is what messages call one of them.
    pub(crate) fn named(&mut self, key: &str, noun: &str) -> Vec<(Text<'a>, Field<'a>)> {
        let Some(field) = self.field(key) else { return Vec::new() };
        field.named_entries(noun)
    }

    /// Whether [`finish`](Table::finish) will refuse some key.
    pub(crate) fn has_refused_keys(&self) -> bool {
        self.entries
            .keys()
            .any(|key| keys::find(&self.path, key.get_ref()).is_none_or(|row| !row.is_available()))
    }

    /// Refuses every key that no row of the table of keys allows here.
    pub(crate) fn finish(self) {
        for (key, value) in self.entries {
            let name: &str = key.get_ref();
            match keys::find(&self.path, name) {
                Some(row) if row.kind == Kind::Unavailable => self.refuse_unavailable(key.span(), name, row),
                Some(row) => debug_assert!(self.taken.contains(&row.path), "{} is never read", row.path),
                None => self.refuse_unknown(key.span(), name, value.get_ref()),
            }
        }
    }

    fn refuse_unavailable(&self, span: Range<usize>, name: &str, row: &Key) {
        let message =
            format!("{}{} is not available in this version", quote(name), within_owner(&self.title));
        self.context.report(Problem::error(span, message).label(row.doc));
    }

    fn refuse_unknown(&self, span: Range<usize>, name: &str, value: &DeValue<'_>) {
        let known: Vec<&str> =
            keys::children(&self.path).filter(|row| row.is_available()).map(Key::name).collect();
        let noun = if value.is_table() && self.path.is_empty() { "table" } else { "key" };
        let message = format!("unknown {noun} {}{}", quote(name), within_owner(&self.title));
        let help = match self.context.suggest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None if known.is_empty() => "this table has no keys".into(),
            None => format!("known here: {}", known.join(", ")),
        };
        self.context.report(Problem::error(span, message).help(help));
    }
}

impl<'a> Field<'a> {
    /// The table of a named entry, as messages name the entry itself.
    pub(crate) fn entry(&self, name: &Text<'a>) -> Option<Table<'a>> {
        let mut table = self.table(self.owner.clone())?;
        table.place = name.span.clone();
        Some(table)
    }

    /// The tables of a named entry that may be an array of tables.
    pub(crate) fn entries(&self, name: &Text<'a>) -> Vec<Table<'a>> {
        let mut tables = self.tables(&self.owner);
        for table in &mut tables {
            table.place = name.span.clone();
        }
        tables
    }
}

/// ` in alarm "slow"`, or nothing for the file itself.
fn within_owner(owner: &str) -> String {
    if owner.is_empty() { String::new() } else { format!(" in {owner}") }
}

/// A TOML type with its article.
fn found_type(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {name}")
}
