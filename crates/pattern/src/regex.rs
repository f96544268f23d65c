//! Regexes between percent signs: which are allowed, and what they mean.
//!
//! Source: spec section 3. The language is read here and written out again for the `regex` crate, because the two
//! differ where it would not show: that crate takes `[a--b]` and `[[:alpha:]]` as set operations, `{` in some
//! places as text, `\d` as all of Unicode's digits. Searching is linear in the text. A character is a Unicode
//! scalar value: `.` and `[^a]` take a whole `é`. `.` does not take a line feed.

use std::iter::Peekable;
use std::str::CharIndices;

use ::regex::{Regex, RegexBuilder};

use crate::cursor::Cursor;
use crate::error::PatternError;

/// How many regexes one pattern may have.
pub const REGEXES_PER_PATTERN_MAX: usize = 2;
/// How large one compiled regex may become, in bytes. Ours: it bounds what many large classes can take.
pub const REGEX_COMPILED_BYTES_MAX: usize = 1 << 20;
/// How many times the counted repetitions of one regex may repeat together: the larger bounds of all `{m,n}` added up.
///
/// Ours: a search keeps up to one place for each of them at every character if the event was made for that. Measured on
/// such an event of 1 MiB, `%a[ab]{50}c%` takes half a second of processor time, `{200}` one and a half, `{1000}` seven.
pub const REGEX_REPETITIONS_MAX: u32 = 256;

const SYMBOLS: &str = ":_#=@/;,-";
const OPERATORS: &str = "^$?[]{}|\\*+.";

/// Reads a regex; the cursor stands on the opening `%`.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Regex, PatternError> {
    let start = cursor.at();
    cursor.bump();
    let opening = cursor.since(start);
    let body_start = cursor.at();
    let body = cursor.take_while(|c| c != '%');
    if !cursor.eat("%") {
        return Err(PatternError::new(opening, "the regex is never closed")
            .help("end it with %; to look for a percent sign, quote it: \"%\""));
    }
    if body.is_empty() {
        return Err(PatternError::new(cursor.since(start), "the regex is empty")
            .help("to look for percent signs, quote them: \"%%\""));
    }
    cursor.regexes += 1;
    if cursor.regexes > REGEXES_PER_PATTERN_MAX {
        return Err(PatternError::new(
            cursor.since(start),
            format!("a pattern may have only {REGEXES_PER_PATTERN_MAX} regexes"),
        )
        .help("join alternatives in one regex with |, or use texts with *"));
    }
    let translated = Translation::of(body, body_start)?;
    RegexBuilder::new(&translated).size_limit(REGEX_COMPILED_BYTES_MAX).build().map_err(|_| {
        PatternError::new(cursor.since(start), "the regex is too large when compiled")
            .help("use smaller numbers in {m,n}")
    })
}

/// The regex as it is written in `pattern`, without its percent signs.
pub(crate) fn spelling<'p>(pattern: &'p str, regex: &Regex) -> Option<&'p str> {
    let bodies = pattern.match_indices('%').zip(pattern.match_indices('%').skip(1));
    // Another body with the same translation says the same.
    let mut bodies = bodies.map(|((start, _), (end, _))| &pattern[start + 1..end]);
    bodies.find(|body| Translation::of(body, 0).is_ok_and(|translated| translated == regex.as_str()))
}

/// What the last thing was, for a repetition that wants to follow it.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// The start, `|`, `^` or `$`: nothing to repeat.
    Nothing,
    Character,
    /// A repetition; a `?` may follow and changes nothing in a search.
    Repetition,
}

/// One character, or one of the sets `\d \D \s \S \w \W`, in the target's spelling.
enum Item {
    Character(char),
    Set(&'static str),
}

struct Translation<'p> {
    body: &'p str,
    /// Where `body` begins in the pattern, for spans.
    offset: usize,
    rest: Peekable<CharIndices<'p>>,
    out: String,
    /// The larger bounds of all counted repetitions so far, added up.
    repetitions: u32,
}

impl<'p> Translation<'p> {
    fn of(body: &'p str, offset: usize) -> Result<String, PatternError> {
        let mut translation =
            Self { body, offset, rest: body.char_indices().peekable(), out: String::new(), repetitions: 0 };
        translation.all()?;
        Ok(translation.out)
    }

    fn all(&mut self) -> Result<(), PatternError> {
        let mut before = Before::Nothing;
        while let Some((at, c)) = self.rest.next() {
            before = match c {
                '^' | '$' | '|' => {
                    self.out.push(c);
                    Before::Nothing
                }
                '*' | '+' | '?' | '{' => self.repetition(at, c, before)?,
                '[' => {
                    self.class(at)?;
                    Before::Character
                }
                '.' => {
                    self.out.push('.');
                    Before::Character
                }
                _ => {
                    let item = self.item(at, c)?;
                    self.write(&item);
                    Before::Character
                }
            };
        }
        Ok(())
    }

    fn repetition(&mut self, at: usize, c: char, before: Before) -> Result<Before, PatternError> {
        match before {
            Before::Nothing => {
                return Err(self
                    .error(at, 1, format!("there is nothing to repeat before \"{c}\""))
                    .help(format!("to look for the character itself write \\{c}")));
            }
            // The second `?` of `a*??` finds nothing to repeat.
            Before::Repetition if c == '?' => {
                self.out.push(c);
                return Ok(Before::Nothing);
            }
            Before::Repetition => {
                return Err(self
                    .error(at, 1, "a repetition cannot be repeated")
                    .help(format!("to look for the character itself write \\{c}")));
            }
            Before::Character => {}
        }
        if c == '{' {
            self.bounds(at)?;
        } else {
            self.out.push(c);
        }
        Ok(Before::Repetition)
    }

    /// `{m}`, `{m,n}`, `{m,}` or `{,n}`, after its opening brace.
    fn bounds(&mut self, opening: usize) -> Result<(), PatternError> {
        let inside = &self.body[opening + 1..];
        let Some(length) = inside.find('}') else {
            return Err(self
                .error(opening, 1, "the repetition \"{\" is never closed")
                .help("write {m,n}; to look for the character itself write \\{"));
        };
        let inside = &inside[..length];
        let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
        let read = |bound: &str, default: Option<u32>| {
            if bound.is_empty() { Some(default) } else { number(bound).map(Some) }
        };
        let bounds =
            if inside == "," || inside.is_empty() { None } else { read(low, Some(0)).zip(read(high, None)) };
        let Some((Some(low), high)) = bounds else {
            return Err(self
                .error(opening, length + 2, format!("{{{inside}}} is not a repetition"))
                .help("write {m}, {m,}, {,n} or {m,n} with whole numbers"));
        };
        if high.is_some_and(|high| high < low) {
            return Err(self
                .error(opening, length + 2, "the bounds are the wrong way round")
                .help("write the smaller number first"));
        }
        self.repetitions = self.repetitions.saturating_add(high.unwrap_or(low));
        if self.repetitions > REGEX_REPETITIONS_MAX {
            return Err(self
                .error(
                    opening,
                    length + 2,
                    format!("the numbers in {{m,n}} of one regex may add up to {REGEX_REPETITIONS_MAX} only"),
                )
                .help("use smaller numbers, or * and + in their stead"));
        }
        let high = high.map(|high| high.to_string()).unwrap_or_default();
        self.out.extend(["{", low.to_string().as_str(), ",", high.as_str(), "}"]);
        // The bounds are ASCII: one character a byte, and the closing brace.
        self.rest.nth(length);
        Ok(())
    }

    /// `[…]` or `[^…]`, after its opening bracket.
    fn class(&mut self, opening: usize) -> Result<(), PatternError> {
        self.out.push('[');
        if self.rest.next_if(|&(_, c)| c == '^').is_some() {
            self.out.push('^');
        }
        let mut is_empty = true;
        while let Some((at, c)) = self.rest.next() {
            match c {
                ']' if is_empty => {
                    return Err(self
                        .error(opening, at + 1 - opening, "the character class is empty")
                        .help("to have ] in a class write \\]"));
                }
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' => {
                    return Err(self
                        .error(at, 1, "a character class inside a class is not supported")
                        .help("to have [ in a class write \\["));
                }
                _ => self.class_item(at, c)?,
            }
            is_empty = false;
        }
        Err(self
            .error(opening, 1, "the character class \"[\" is never closed")
            .help("add a ]; to look for the character itself write \\["))
    }

    /// One character, set or range of a class.
    fn class_item(&mut self, at: usize, c: char) -> Result<(), PatternError> {
        let low = self.item(at, c)?;
        // A hyphen makes a range unless it is the last character of the class.
        let mut ahead = self.rest.clone();
        let is_range =
            ahead.next().is_some_and(|(_, c)| c == '-') && ahead.next().is_some_and(|(_, c)| c != ']');
        if !is_range {
            self.write(&low);
            return Ok(());
        }
        self.rest.next();
        let (high_at, c) = self.rest.next().expect("looked ahead");
        if c == '[' {
            return Err(self
                .error(high_at, 1, "a character class inside a class is not supported")
                .help("to have [ in a class write \\["));
        }
        let high = self.item(high_at, c)?;
        let end = self.rest.peek().map_or(self.body.len(), |&(at, _)| at);
        match (&low, &high) {
            (Item::Character(first), Item::Character(last)) if first <= last => {
                self.write(&low);
                self.out.push('-');
                self.write(&high);
                Ok(())
            }
            (Item::Character(_), Item::Character(_)) => Err(self
                .error(at, end - at, "the range is the wrong way round")
                .help("write the smaller character first; to have - in a class write \\-")),
            _ => Err(self
                .error(at, end - at, "a range needs one character on each side")
                .help("to have - in a class write \\-")),
        }
    }

    /// A literal or escaped character.
    fn item(&mut self, at: usize, c: char) -> Result<Item, PatternError> {
        if c == '\\' {
            return self.escape(at);
        }
        if c.is_ascii_alphanumeric() || c == ' ' || SYMBOLS.contains(c) || OPERATORS.contains(c) {
            return Ok(Item::Character(c));
        }
        Err(self.refused(at, c))
    }

    fn escape(&mut self, at: usize) -> Result<Item, PatternError> {
        let Some((next_at, c)) = self.rest.next() else {
            return Err(self
                .error(at, 1, "a backslash at the end escapes nothing")
                .help("write \\\\ for a backslash, \\x25 for a percent sign"));
        };
        Ok(match c {
            'd' => Item::Set("[0-9]"),
            'D' => Item::Set("[^0-9]"),
            's' => Item::Set(r"[ \t\n\x0B\f\r]"),
            'S' => Item::Set(r"[^ \t\n\x0B\f\r]"),
            'w' => Item::Set("[0-9A-Za-z_]"),
            'W' => Item::Set("[^0-9A-Za-z_]"),
            't' => Item::Character('\t'),
            'n' => Item::Character('\n'),
            'r' => Item::Character('\r'),
            'x' => self.hexadecimal(at)?,
            c if SYMBOLS.contains(c) || OPERATORS.contains(c) => Item::Character(c),
            '(' | ')' | '!' => return Err(self.refused(next_at, c)),
            c => {
                return Err(self.error(at, 1 + c.len_utf8(), format!("\\{c} is not an escape"))
                    .help("escapes are \\d \\D \\s \\S \\w \\W \\t \\n \\r, \\xhh and \\ before an operator or symbol"));
            }
        })
    }

    /// The two digits of `\xhh`.
    fn hexadecimal(&mut self, at: usize) -> Result<Item, PatternError> {
        let mut digit =
            || self.rest.next_if(|(_, c)| c.is_ascii_hexdigit()).and_then(|(_, c)| c.to_digit(16));
        let code = digit().and_then(|high| Some(high * 16 + digit()?)).and_then(char::from_u32);
        code.map(Item::Character).ok_or_else(|| {
            self.error(at, 2, "\\x needs two hexadecimal digits").help("\\x28 is a parenthesis")
        })
    }

    fn refused(&self, at: usize, c: char) -> PatternError {
        let error = self.error(at, c.len_utf8(), format!("\"{c}\" is not allowed in a regex"));
        match c {
            '(' | ')' => error
                .help(format!("there are no groups; write \\x{:02X} for the character itself", u32::from(c))),
            ' '..='~' | '\t' => error.help(format!("write \\x{:02X}", u32::from(c))),
            _ => error.help("write . for any one character, or match the text without a regex"),
        }
    }

    fn write(&mut self, item: &Item) {
        match item {
            Item::Set(set) => self.out.push_str(set),
            Item::Character(c) => self.out.push_str(&::regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }

    fn error(&self, at: usize, length: usize, message: impl Into<String>) -> PatternError {
        let start = self.offset + at;
        PatternError::new(start..start + length, message)
    }
}

/// A whole number without a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
