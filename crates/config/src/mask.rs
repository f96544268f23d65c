//! Finds the parts of a file that are, or may be, secrets, so that snippets can hide them.
//!
//! Works on TOML's tokens and not on values, because a file that does not parse is drawn too. Promise: what
//! stands where a secret belongs is found, and so is what stands under a key that reads like one; when in
//! doubt, text is hidden.

use std::ops::Range;

use toml_parser::lexer::{Token, TokenKind};

use crate::keys::{self, Kind};
use crate::problem::holds_password;
use crate::secret;

/// Words that make a key's value a secret, in lower case.
const SECRET_WORDS: [&str; 8] =
    ["secret", "token", "password", "passwd", "passphrase", "credential", "key", "auth"];
/// Most wrong letters in a key that is still taken for one that holds a secret.
const WRONG_LETTERS_MAX: usize = 2;
/// Whoever knows such an address can post.
const SECRET_ADDRESS: &str = "hooks.slack.com/";

/// The bytes to hide, in order, not overlapping.
pub(crate) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut walk = Walk { text, header: Vec::new(), dangling: false, masks: Vec::new() };
    let tokens: Vec<Token> = toml_parser::Source::new(text).lex().collect();
    let mut rest = &tokens[..];
    while !rest.is_empty() {
        rest = walk.statement(rest);
    }
    walk.masks
}

struct Walk<'t> {
    text: &'t str,
    /// The path of the table that a statement belongs to.
    header: Vec<String>,
    /// Whether the last statement was a key whose value is missing in its line.
    dangling: bool,
    masks: Vec<Range<usize>>,
}

/// Where the walk is within the value of a statement.
enum Level {
    Array,
    /// An inline table, with the length of the path outside of it.
    Table(usize),
}

impl Walk<'_> {
    /// Walks over one statement: a header, a key with its value, or neither; gives the tokens after it.
    fn statement<'k>(&mut self, tokens: &'k [Token]) -> &'k [Token] {
        let line = tokens
            .iter()
            .position(|token| token.kind() == TokenKind::Newline)
            .map_or(tokens.len(), |at| at + 1);
        let first = tokens.iter().position(|token| token.kind() != TokenKind::Whitespace).unwrap_or(0);
        if tokens[first].kind() == TokenKind::LeftSquareBracket {
            self.header = self.names(&tokens[..line]);
            self.comments(&tokens[..line]);
            return &tokens[line..];
        }
        match tokens[..line].iter().position(|token| token.kind() == TokenKind::Equals) {
            Some(equals) => {
                let path = [self.header.clone(), self.names(&tokens[..equals])].concat();
                self.dangling = !tokens[equals + 1..line].iter().any(|token| is_text(token.kind()));
                self.value(path, &tokens[equals + 1..])
            }
            None => {
                self.stray(&tokens[first..line]);
                &tokens[line..]
            }
        }
    }

    /// A line that is no statement: `key: value`, or the value of the line before.
    fn stray(&mut self, line: &[Token]) {
        let Some((first, rest)) = line.split_first().filter(|(first, _)| is_text(first.kind())) else {
            return;
        };
        if self.dangling || first.kind() != TokenKind::Atom {
            self.hide(first.span().start()..first.span().end());
        }
        let name = self.names(&[*first]).concat();
        let path = [self.header.clone(), vec![name.trim_end_matches(':').to_owned()]].concat();
        for token in rest.iter().filter(|token| is_text(token.kind())) {
            self.scalar(&path, token);
        }
        self.comments(rest);
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
                TokenKind::Equals if is_key => is_key = false,
                TokenKind::Equals => {
                    // A bracket was never closed: this is another statement, under a header nobody knows.
                    let name = self.names(&tokens[at.saturating_sub(2)..at]);
                    path = [vec![String::new(); 3], name].concat();
                    levels.clear();
                }
                TokenKind::Comment => self.comments(&tokens[at..=at]),
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
            self.hide(span);
        } else if let (true, Some(line_end)) = (is_unclosed(token.kind(), raw), raw.find('\n')) {
            // It swallowed the rest of the file, whatever that holds.
            self.hide(span.start + line_end + 1..span.end);
        }
    }

    fn comments(&mut self, tokens: &[Token]) {
        for token in tokens.iter().filter(|token| token.kind() == TokenKind::Comment) {
            let span = token.span().start()..token.span().end();
            let comment = self.text[span.clone()].to_lowercase();
            if holds_password(&comment) || comment.contains(SECRET_ADDRESS) || holds_secret_word(&comment) {
                self.hide(span);
            }
        }
    }

    fn hide(&mut self, span: Range<usize>) {
        if !span.is_empty() {
            self.masks.push(span);
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

fn is_unclosed(kind: TokenKind, raw: &str) -> bool {
    let quotes = match kind {
        TokenKind::MlBasicString => "\"\"\"",
        TokenKind::MlLiteralString => "'''",
        _ => return false,
    };
    raw.len() < 2 * quotes.len() || !raw.ends_with(quotes)
}

/// Whether the value `text` at `path` is, or may be, a secret.
fn is_secret(path: &[String], text: &str) -> bool {
    let generic: Vec<&str> =
        path.iter().enumerate().map(|(at, name)| if at == 1 { "*" } else { name.as_str() }).collect();
    let kind_at = |parts: &[&str]| {
        let (name, parent) = parts.split_last()?;
        keys::find(&parent.join("."), name).filter(|row| row.is_available()).map(|row| row.kind)
    };
    if let Some((last, owner)) = generic.split_last()
        && let Some(Kind::Secret | Kind::UrlOrSecret) = kind_at(owner)
    {
        return !(*last == "file" || *last == "env" && secret::is_variable(text));
    }
    match kind_at(&generic) {
        Some(Kind::Secret) => true,
        Some(Kind::UrlOrSecret) => text.contains('@'),
        // A table's key with a plain value is a mistake, and what was meant is unknown.
        Some(Kind::Table | Kind::Tables | Kind::Named) | None => reads_secret(&generic),
        Some(_) => false,
    }
}

/// Whether a path that no row describes reads as if a secret belonged there.
fn reads_secret(path: &[&str]) -> bool {
    path.iter().any(|name| {
        let name = name.to_lowercase();
        let is_near = |known: &str| strsim::damerau_levenshtein(&name, known) <= WRONG_LETTERS_MAX;
        let secret_rows = || keys::KEYS.iter().filter(|row| row.kind == Kind::Secret);
        holds_secret_word(&name)
            || name.len() > WRONG_LETTERS_MAX
                && name.len() < 64
                && (["slack", "tokens"].into_iter().any(is_near)
                    || secret_rows().any(|row| is_near(row.name())))
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
            "# a comment\nversion = 1",
            "[alarms.a]\nperiod: 60s",
        ] {
            assert!(secrets(text).is_empty(), "{text}");
        }
    }
}
