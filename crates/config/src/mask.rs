//! Finds the parts of a file that are, or may be, secrets, so that snippets can hide them.
//!
//! Promise: in a file that parses, what stands where a secret belongs is found, and so is what stands under a key
//! that reads like one. In a file that does not parse nobody can say what stands where; there every word that is
//! not one of the format's own is hidden. Comments are always hidden.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::DeTable;
use toml_parser::lexer::{Token, TokenKind};

use crate::duration;
use crate::keys::{self, Kind};
use crate::problem::holds_password;
use crate::{secret, web_address};

/// Words that make a key's value a secret, in lower case.
const SECRET_WORDS: [&str; 8] =
    ["secret", "token", "password", "passwd", "passphrase", "credential", "key", "auth"];
/// Most wrong letters in a key that is still taken for one that holds a secret.
const WRONG_LETTERS_MAX: usize = 2;
/// Longest key, in bytes, that is compared with those that hold secrets.
const NAME_BYTES_MAX: usize = 64;
/// Longest number that is shown in a file that does not parse; a secret may be all digits.
const OWN_NUMBER_BYTES_MAX: usize = 5;
/// Whoever knows such an address can post.
const SECRET_ADDRESS: &str = "hooks.slack.com/";

/// The bytes to hide, in order, not overlapping.
pub(crate) fn secrets(text: &str) -> Vec<Range<usize>> {
    let (_, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return foreign_words(text);
    }
    let mut walk = Walk { text, header: Vec::new(), masks: Vec::new() };
    let tokens: Vec<Token> = toml_parser::Source::new(text).lex().collect();
    let mut rest = &tokens[..];
    while !rest.is_empty() {
        rest = walk.statement(rest);
    }
    walk.masks
}

/// The words that are neither keys, nor values with a meaning of their own, nor small numbers with a unit.
fn foreign_words(text: &str) -> Vec<Range<usize>> {
    let is_word = |c: char| c.is_alphanumeric() || !c.is_ascii() || "-_/+@:.!$%&*?".contains(c);
    let own = own_words();
    let is_own = |word: &str| {
        let is_short = word.len() <= OWN_NUMBER_BYTES_MAX;
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit()) || duration::parse_ms(word).is_ok();
        word.is_empty() || own.contains(word) || is_short && is_number
    };
    let mut words = Vec::new();
    let mut at = 0;
    for piece in text.split_inclusive(|c| !is_word(c)) {
        let word = piece.trim_end_matches(|c| !is_word(c));
        if !word.split(['.', ':']).all(is_own) {
            words.push(at..at + word.len());
        }
        at += piece.len();
    }
    words
}

/// The words that the format itself gives a meaning.
fn own_words() -> BTreeSet<&'static str> {
    let mut words = BTreeSet::from(["true", "false", "of", "env", "file", "secret"]);
    for row in keys::KEYS {
        words.extend(row.path.split('.'));
        if let Kind::OneOf(choices) = row.kind {
            words.extend(choices);
        }
    }
    words
}

/// Walks over the tokens of a file that parses.
struct Walk<'t> {
    text: &'t str,
    /// The path of the table that a statement belongs to.
    header: Vec<String>,
    masks: Vec<Range<usize>>,
}

/// Where the walk is within the value of a statement.
enum Level {
    Array,
    /// An inline table, with the length of the path outside of it.
    Table(usize),
}

impl Walk<'_> {
    /// Walks over one line without a value, or over a key with its value; gives the tokens after it.
    fn statement<'k>(&mut self, tokens: &'k [Token]) -> &'k [Token] {
        let line = tokens
            .iter()
            .position(|token| token.kind() == TokenKind::Newline)
            .map_or(tokens.len(), |at| at + 1);
        let kinds = || tokens[..line].iter().map(Token::kind);
        let is_header =
            kinds().find(|kind| *kind != TokenKind::Whitespace) == Some(TokenKind::LeftSquareBracket);
        match kinds().position(|kind| kind == TokenKind::Equals) {
            Some(equals) if !is_header => {
                let path = [self.header.clone(), self.names(&tokens[..equals])].concat();
                self.value(path, &tokens[equals + 1..])
            }
            _ => {
                if is_header {
                    self.header = self.names(&tokens[..line]);
                }
                tokens[..line].iter().for_each(|token| self.comment(token));
                &tokens[line..]
            }
        }
    }

    /// Walks over a value and, if brackets are open, over lines that follow.
    fn value<'k>(&mut self, mut path: Vec<String>, tokens: &'k [Token]) -> &'k [Token] {
        let mut levels: Vec<Level> = Vec::new();
        // Between `{` or `,` and `=` of an inline table stand keys, not values.
        let mut is_key = false;
        for (at, token) in tokens.iter().enumerate() {
            match token.kind() {
                TokenKind::Newline if levels.is_empty() => return &tokens[at + 1..],
                TokenKind::LeftCurlyBracket => {
                    levels.push(Level::Table(path.len()));
                    is_key = true;
                }
                TokenKind::LeftSquareBracket => levels.push(Level::Array),
                TokenKind::RightCurlyBracket | TokenKind::RightSquareBracket => {
                    if let Some(Level::Table(outside)) = levels.pop() {
                        path.truncate(outside);
                    }
                    is_key = false;
                }
                TokenKind::Comma => {
                    if let Some(Level::Table(outside)) = levels.last() {
                        path.truncate(*outside);
                        is_key = true;
                    }
                }
                TokenKind::Equals => is_key = false,
                TokenKind::Comment => self.comment(token),
                kind if is_text(kind) && is_key => path.extend(self.names(&tokens[at..=at])),
                kind if is_text(kind) => self.scalar(&path, token),
                _ => {}
            }
        }
        &[]
    }

    fn scalar(&mut self, path: &[String], token: &Token) {
        let span = token.span().start()..token.span().end();
        let raw = &self.text[span.clone()];
        if is_secret(path, raw.trim_matches(['"', '\'']))
            || holds_password(raw)
            || raw.contains(SECRET_ADDRESS)
        {
            self.masks.push(span);
        }
    }

    fn comment(&mut self, token: &Token) {
        if token.kind() == TokenKind::Comment {
            self.masks.push(token.span().start()..token.span().end());
        }
    }

    /// The names among tokens, without quotes.
    fn names(&self, tokens: &[Token]) -> Vec<String> {
        let names = tokens.iter().filter(|token| is_text(token.kind()));
        names
            .map(|token| {
                self.text[token.span().start()..token.span().end()].trim_matches(['"', '\'']).to_owned()
            })
            .collect()
    }
}

/// Whether a token is a string or a bare word, in a key or a value.
fn is_text(kind: TokenKind) -> bool {
    kind == TokenKind::Atom || kind.encoding().is_some()
}

/// Whether the value `text` at `path` is, or may be, a secret.
fn is_secret(path: &[String], text: &str) -> bool {
    let mut generic: Vec<&str> = Vec::new();
    for (at, name) in path.iter().enumerate() {
        let parent = generic.join(".");
        // Below a table that this version does not know the second part is a name, too.
        let is_name =
            keys::find(&parent, "*").is_some() || at == 1 && keys::children(&parent).next().is_none();
        generic.push(if is_name { "*" } else { name.as_str() });
    }
    let kind_at = |parts: &[&str]| {
        let (name, parent) = parts.split_last()?;
        keys::find(&parent.join("."), name).filter(|row| row.is_available()).map(|row| row.kind)
    };
    if let Some((last, owner)) = generic.split_last()
        && let Some(Kind::Secret | Kind::UrlOrSecret) = kind_at(owner)
    {
        // Nobody can tell the name of a stored secret from the secret itself, written in its place.
        return !(*last == "file" || *last == "env" && secret::is_variable(text));
    }
    match kind_at(&generic) {
        Some(Kind::Secret) => true,
        Some(Kind::UrlOrSecret) => text.contains('@') || web_address::parse(text).is_err(),
        // A table's key with a plain value is a mistake, and what was meant is unknown.
        Some(Kind::Table | Kind::Tables | Kind::Named) | None => reads_secret(&generic),
        Some(_) => false,
    }
}

/// Whether a path that no row describes reads as if a secret belonged there, slips of the finger included.
fn reads_secret(path: &[&str]) -> bool {
    let secret_keys = keys::KEYS.iter().filter(|row| row.kind == Kind::Secret).map(keys::Key::name);
    let known: Vec<&str> = secret_keys
        .chain(SECRET_WORDS)
        .chain(["slack"])
        .filter(|word| word.len() > 2 * WRONG_LETTERS_MAX)
        .collect();
    path.iter().any(|name| {
        let name = name.to_lowercase();
        let is_near = |known: &&str| strsim::damerau_levenshtein(&name, known) <= WRONG_LETTERS_MAX;
        holds_secret_word(&name) || name.len() <= NAME_BYTES_MAX && known.iter().any(is_near)
    })
}

fn holds_secret_word(text: &str) -> bool {
    SECRET_WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text here holds `hunter2` where it must not be shown.
    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        for text in [
            "[tokens.ci]\nvalue = \"hunter2\"",
            "[tokens.ci]\nvalue = hunter2",
            "[tokens.ci]\nvalue = \"hunter2",
            "[tokens.ci]\nvalue = [\"hunter2\"]",
            "[tokens.ci]\nvalue = { secret = \"hunter2\" }",
            "[tokens.ci]\nvalue = { env = \"hunter 2 hunter2\" }",
            "[tokens.ci]\nvalue =\n\"hunter2\"",
            "[tokens.ci]\nvalue =\nhunter2",
            "[tokens.ci]\nvalue \"hunter2\"",
            "[tokens.ci]\nvalue: hunter2",
            "[tokens.ci]\nvlaue = \"hunter2\"",
            "[tokens.ci] value = \"hunter2\"",
            "[tokens.ci value = \"hunter2\"",
            "tokens.ci.value = '''hunter2'''",
            "tokens = { ci = { value = \"hunter2\" } }",
            "tokens = \"hunter2\"",
            "[tokens]\nci = \"hunter2\"",
            "[token.ci]\nvalue = \"hunter2\"",
            "[topics.a]\nslack = { webhok_url = \"hunter2\" }",
            "[topics.a]\nslack = \"hunter2\"",
            "[topics.a.slack]\nurl = \"hunter2\"",
            "[[topics.a.webhook]]\nsigning_kye = \"hunter2\"",
            "[topics.a]\nwebhook = { url = \"https://me:hunter2@x\" }",
            "[topics.a]\nwebhook = { url = \"me:hunter2@x\" }",
            "[topics.a]\nwebhook = [{ url = \"https://x\", signing_key = \"hunter2\" }]",
            "[topics.a]\nemail = { password = \"hunter2\", smtp = \"smtp://a:hunter2@b\" }",
            "[alarms.a]\nrunbook = \"https://hooks.slack.com/services/hunter2\"",
            "[alarms.a]\nnotify = [ # token hunter2\n]",
            "[secrets]\nx = \"hunter2\"",
            "[x.y.z]\napi_key = \"hunter2\"",
            "[log_groups.a]\nfiles = [\"a\",\n[tokens.ci]\nvalue = \"hunter2\"",
            "[alarms.a]\ndescription = \"\"\"x\n[tokens.ci]\nvalue = \"hunter2\"",
        ] {
            let masks = secrets(text);
            let hidden = |at: usize| masks.iter().any(|mask| mask.start <= at && at + 7 <= mask.end);
            assert!(text.match_indices("hunter2").all(|(at, _)| hidden(at)), "{text}\n{masks:?}");
        }
    }

    #[test]
    fn what_is_no_secret_stays_readable() {
        for text in [
            "[alarms.token]\nperiod = \"60s\"\nnotify = [\"ops\"]",
            "[tokens.ci]\nvalue = { env = \"CI_TOKEN\" }\nroles = [\"shipper\"]",
            "[topics.ops]\nwebhook = { url = \"https://x.example\", signing_key = { file = \"key.txt\" } }",
            "[alarms.a]\nstatistc = \"Sum\"",
            "[metric_filters.auth]\nmetric = { namespace = \"A\", name = \"B\", value = \"$.size\" }",
        ] {
            assert!(secrets(text).is_empty(), "{text}");
        }
    }
}
