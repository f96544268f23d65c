//! Rules that suit what is in the lines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use watchbell_model::{ParseKind, Severity};
use watchbell_parse::Timestamps;
use watchbell_pattern::{Pattern, Selector};

use super::group::Group;
use super::login;

/// What a level rule, or one on answers, waits for at least in a minute.
const PER_MINUTE_MIN: usize = 5;

/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// Terms that mark a line as an error, tried in this order, and how they are written where no error was seen yet.
const ERROR_TERMS: [&str; 18] = [
    "ERROR",
    "FATAL",
    "CRITICAL",
    "SEVERE",
    "PANIC",
    "EMERG",
    "ALERT",
    "[error]",
    "[crit]",
    "[alert]",
    "[emerg]",
    "[Error]",
    ":error]",
    ":crit]",
    "level=error",
    "level=fatal",
    "error: ",
    "Error: ",
];

/// Marks of lines that are no errors, and the terms their errors would have.
const STYLES: [([&str; 4], [&str; 2]); 4] = [
    (["INFO", "WARN", "DEBUG", "WARNING"], ["ERROR", "FATAL"]),
    (["[info]", "[notice]", "[warn]", "[debug]"], ["[error]", "[crit]"]),
    ([":info]", ":notice]", ":warn]", ":debug]"], [":error]", ":crit]"]),
    (["level=info", "level=warn", "level=debug", "level=warning"], ["level=error", "level=fatal"]),
];

/// Keys of JSON objects that hold a level, as the parser of lines knows them.
const LEVEL_KEYS: [&str; 5] = ["level", "severity", "lvl", "log.level", "loglevel"];

/// Keys of JSON objects that hold the status of an HTTP answer.
const STATUS_KEYS: [&str; 4] = ["status", "statusCode", "status_code", "http_status"];

/// An alarm, to be.
#[derive(Debug)]
pub(crate) struct Rule {
    /// What it is about, as part of names: `errors`.
    pub(crate) name: &'static str,
    pub(crate) pattern: String,
    /// A line, made up, that matches: for the rule's test.
    pub(crate) example: String,
    /// What a message says.
    pub(crate) description: &'static str,
    pub(crate) severity: &'static str,
    /// So many in a minute are too many.
    pub(crate) at_least: usize,
    /// It has a state for each value of a field.
    pub(crate) each: Option<Each>,
    /// Lines that match.
    pub(crate) matching: usize,
    /// The most that one minute had, and how many minutes had enough; `None` if lines have no time.
    pub(crate) minutes: Option<Minutes>,
}

/// What a rule would have seen, minute by minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minutes {
    pub(crate) busiest: usize,
    /// Minutes that reach what the alarm waits for.
    pub(crate) ringing: usize,
    /// From the first line's minute to the last one's.
    pub(crate) spanned: i64,
}

/// A field of the pattern whose values are counted apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Each {
    /// The field's name, and the dimension's.
    pub(crate) dimension: &'static str,
    /// The metric's name.
    pub(crate) metric: &'static str,
}

/// What a rule waits for.
#[derive(Clone, Copy)]
pub(super) enum Threshold {
    /// More than any minute had.
    MoreThanSeen,
    /// So many.
    Fixed(usize),
}

/// A rule that has not been counted.
pub(super) struct Draft {
    pub(super) name: &'static str,
    pub(super) pattern: String,
    pub(super) example: String,
    pub(super) description: &'static str,
    pub(super) severity: &'static str,
    pub(super) threshold: Threshold,
    pub(super) each: Option<Each>,
}

impl Draft {
    fn pattern(&self) -> Pattern {
        Pattern::parse(&self.pattern).expect("suggested patterns are made of checked parts")
    }

    /// Whether it matches at least half of the lines with `text`; there may be none.
    pub(super) fn finds_most_of(&self, text: &str, group: &Group) -> bool {
        let pattern = self.pattern();
        let lines: Vec<&str> = group.lines().filter(|line| line.contains(text)).collect();
        lines.iter().filter(|line| pattern.matches(line)).count() * 2 >= lines.len()
    }
}

/// The rules for a group.
pub(crate) fn suggest(group: &Group) -> Vec<Rule> {
    let drafts = match group.form.parse {
        ParseKind::Combined => vec![http_5xx()],
        ParseKind::Json => json(group),
        ParseKind::Plain | ParseKind::Syslog | ParseKind::Logfmt => {
            login::rule(group).into_iter().chain(error_words(group, group.form.parse)).collect()
        }
    };
    drafts.into_iter().map(|draft| count(draft, group)).collect()
}

fn count(draft: Draft, group: &Group) -> Rule {
    let pattern = draft.pattern();
    let selector = draft.each.map(|each| {
        Selector::parse(&format!("${}", each.dimension), &pattern).expect("the pattern has this field")
    });
    let timestamps =
        Timestamps::new(group.form.parse, &group.form.timestamp).expect("the form was tried on the lines");
    // By minute, and by value if values are counted apart.
    let mut counts: BTreeMap<(i64, Option<String>), usize> = BTreeMap::new();
    let (mut matching, mut first, mut last) = (0, i64::MAX, i64::MIN);
    let lines =
        group.samples.iter().flat_map(|sample| sample.lines.iter().map(|line| (line, sample.written)));
    for (line, written) in lines {
        let minute = timestamps.of(line, written).map(|at| at.0.div_euclid(MINUTE_MS));
        if let Some(minute) = minute {
            (first, last) = (first.min(minute), last.max(minute));
        }
        if pattern.matches(line) {
            matching += 1;
            if let Some(minute) = minute {
                let value = selector.as_ref().and_then(|selector| Some(selector.value(line)?.into_owned()));
                *counts.entry((minute, value)).or_default() += 1;
            }
        }
    }
    let busiest = counts.values().copied().max().unwrap_or(0);
    let at_least = match draft.threshold {
        Threshold::MoreThanSeen => PER_MINUTE_MIN.max(busiest + 1),
        Threshold::Fixed(at_least) => at_least,
    };
    let ringing = counts.iter().filter(|(_, count)| **count >= at_least).map(|((minute, _), _)| minute);
    let ringing = ringing.collect::<BTreeSet<_>>().len();
    let minutes = (first <= last).then(|| Minutes { busiest, ringing, spanned: last - first + 1 });
    let Draft { name, pattern, example, description, severity, each, .. } = draft;
    Rule { name, pattern, example, description, severity, at_least, each, matching, minutes }
}

fn http_5xx() -> Draft {
    Draft {
        name: "http-5xx",
        pattern: "[ip, identity, user, time, request, status=5*, ...]".to_owned(),
        example: r#"10.0.0.7 - - [22/Nov/2026:21:11:52 +0000] "GET / HTTP/1.1" 503 12 "-" "-""#.to_owned(),
        description: "The server answers with errors of its own.",
        severity: "critical",
        threshold: Threshold::MoreThanSeen,
        each: None,
    }
}

fn errors(pattern: String, example: String) -> Draft {
    Draft {
        name: "errors",
        pattern,
        example,
        description: "More errors than usual.",
        severity: "error",
        threshold: Threshold::MoreThanSeen,
        each: None,
    }
}

/// Lines whose level word says error or worse.
fn error_words(group: &Group, parse: ParseKind) -> Option<Draft> {
    let is_error = |line: &&str| watchbell_parse::parse(parse, line).severity >= Severity::Error;
    let mut left: Vec<&str> = group.lines().filter(is_error).collect();
    let mut found = Vec::new();
    for term in ERROR_TERMS {
        let missing = left.iter().filter(|line| line.contains(term)).count();
        // A word that mostly stands elsewhere than as a level would count what is no error.
        let marked: Vec<&str> = group.lines().filter(|line| line.contains(term)).collect();
        let meant = marked.iter().filter(|line| is_error(line)).count();
        if missing > 0 && meant * 2 >= marked.len() {
            found.push(term);
            left.retain(|line| !line.contains(term));
        }
    }
    if !found.is_empty() {
        return Some(errors(terms(&found), format!("{} an example", found[0])));
    }
    let has_style =
        |marks: &[&str; 4]| group.lines().any(|line| marks.iter().any(|mark| line.contains(mark)));
    let (_, errors_of_style) = STYLES.iter().find(|(marks, _)| has_style(marks))?;
    Some(errors(terms(errors_of_style), format!("{} an example", errors_of_style[0])))
}

/// At least one of the texts.
fn terms(texts: &[&str]) -> String {
    let sign = if texts.len() > 1 { "?" } else { "" };
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let term =
        |text: &&str| if is_word(text) { format!("{sign}{text}") } else { format!("{sign}\"{text}\"") };
    texts.iter().map(term).collect::<Vec<_>>().join(" ")
}

fn json(group: &Group) -> Vec<Draft> {
    let objects: Vec<Value> = group.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let has = |key: &str| objects.iter().any(|object| object.get(key).is_some());
    if has("eventSource") && has("eventName") && has("eventVersion") {
        return cloudtrail();
    }
    // Without a level of its own an object may hold a line that has one.
    let errors = level(&objects).or_else(|| error_words(group, ParseKind::Plain));
    errors.into_iter().chain(status(&objects)).collect()
}

/// What the CIS benchmark for AWS asks to be watched, where CloudTrail's records are.
///
/// Source: CIS Amazon Web Services Foundations Benchmark, "Monitoring", the filters that it gives.
fn cloudtrail() -> Vec<Draft> {
    let draft = |name, pattern: &str, example: Value, description, at_least| Draft {
        name,
        pattern: pattern.to_owned(),
        example: example.to_string(),
        description,
        severity: "error",
        threshold: Threshold::Fixed(at_least),
        each: None,
    };
    vec![
        draft(
            "unauthorized-calls",
            r#"{ $.errorCode = "*UnauthorizedOperation" || $.errorCode = "AccessDenied*" }"#,
            json!({ "eventName": "GetObject", "errorCode": "AccessDenied" }),
            "Somebody calls what is not allowed.",
            PER_MINUTE_MIN,
        ),
        draft(
            "root-used",
            r#"{ $.userIdentity.type = "Root" && $.userIdentity.invokedBy NOT EXISTS && $.eventType != "AwsServiceEvent" }"#,
            json!({ "eventName": "CreateUser", "eventType": "AwsApiCall", "userIdentity": { "type": "Root" } }),
            "The root user of the account was used.",
            1,
        ),
        draft(
            "failed-console-logins",
            r#"{ $.eventName = "ConsoleLogin" && $.errorMessage = "Failed authentication" }"#,
            json!({ "eventName": "ConsoleLogin", "errorMessage": "Failed authentication" }),
            "Somebody tries passwords at the console.",
            3,
        ),
    ]
}

/// A rule on the field that holds the level.
fn level(objects: &[Value]) -> Option<Draft> {
    let values = |key: &str| objects.iter().filter_map(|object| member(object, key)).collect::<Vec<_>>();
    let (key, values) =
        LEVEL_KEYS.iter().map(|key| (key, values(key))).find(|(_, values)| !values.is_empty())?;
    let is_one_key = objects.iter().any(|object| object.get(key).is_some());
    let (outer, inner) = key
        .split_once('.')
        .filter(|_| !is_one_key)
        .map_or((*key, None), |(outer, inner)| (outer, Some(inner)));
    let selector = if is_one_key && key.contains('.') { format!("$.['{key}']") } else { format!("$.{key}") };
    let with = |value: Value| match inner {
        Some(inner) => json!({ outer: { inner: value } }).to_string(),
        None => json!({ outer: value }).to_string(),
    };
    let numbers: BTreeSet<u64> = values.iter().filter_map(|value| value.as_u64()).collect();
    if let Some(largest) = numbers.last() {
        // pino and bunyan count up in tens, syslog counts down from 7.
        let (condition, example) = if *largest >= 10 { (">= 50", 50) } else { ("<= 3", 3) };
        return Some(errors(format!("{{ {selector} {condition} }}"), with(json!(example))));
    }
    let words: BTreeSet<&str> =
        values.iter().filter_map(|value| value.as_str()).filter(|word| is_plain(word)).collect();
    let is_error = |word: &&&str| severity_of(word) >= Severity::Error;
    let mut errors_seen: Vec<String> = words.iter().filter(is_error).map(|word| (*word).to_owned()).collect();
    if errors_seen.is_empty() {
        let known = words.iter().find(|word| severity_of(word) != Severity::Unknown)?;
        errors_seen = ["error", "fatal"].map(|word| in_case_of(known, word)).to_vec();
    }
    let conditions: Vec<String> = errors_seen.iter().map(|word| format!("{selector} = \"{word}\"")).collect();
    Some(errors(format!("{{ {} }}", conditions.join(" || ")), with(json!(errors_seen[0]))))
}

/// Only such words are written into a pattern.
fn is_plain(word: &str) -> bool {
    (1..=20).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn severity_of(word: &str) -> Severity {
    watchbell_parse::parse(ParseKind::Logfmt, &format!("level={word}")).severity
}

/// `word` with the capitals that `like` has.
fn in_case_of(like: &str, word: &str) -> String {
    let is_capital = |at: usize| like.as_bytes().get(at).is_some_and(u8::is_ascii_uppercase);
    match (is_capital(0), is_capital(1)) {
        (true, true) => word.to_uppercase(),
        (true, false) => word[..1].to_uppercase() + &word[1..],
        _ => word.to_owned(),
    }
}

/// The value of a key at the top, or of `log.level` in the object `log`.
fn member<'v>(object: &'v Value, key: &str) -> Option<&'v Value> {
    let nested = || key.split_once('.').and_then(|(outer, inner)| object.get(outer)?.get(inner));
    object.get(key).or_else(nested)
}

/// A rule on the field that holds the status of HTTP answers.
fn status(objects: &[Value]) -> Option<Draft> {
    let is_status = |value: &Value| value.as_u64().is_some_and(|status| (100..600).contains(&status));
    let is_key = |key: &&&str| {
        let values: Vec<&Value> = objects.iter().filter_map(|object| object.get(**key)).collect();
        !values.is_empty() && values.iter().all(|value| is_status(value))
    };
    let key = STATUS_KEYS.iter().find(is_key)?;
    let example = json!({ *key: 503 }).to_string();
    Some(Draft { pattern: format!("{{ $.{key} >= 500 }}"), example, ..http_5xx() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use watchbell_model::{GroupName, Timestamp};

    use super::*;
    use crate::init::Looker;
    use crate::init::form::Form;
    use crate::init::sample::Sample;

    const WRITTEN: Timestamp = Timestamp(1_795_381_912_125);

    fn rules(lines: &[&str]) -> Vec<Rule> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let looker = Looker { now: WRITTEN, zone: None, folder: Path::new("/") };
        let form = Form::of(&lines, WRITTEN, &looker);
        let sample = Sample { path: "/a.log".into(), named: true, written: WRITTEN, lines, gap: None };
        let name = GroupName::new("a").unwrap();
        let group = Group {
            name,
            glob: "a.log".into(),
            form,
            samples: vec![sample],
            rules: Vec::new(),
            heartbeat: None,
        };
        let rules = suggest(&group);
        for rule in &rules {
            assert!(Pattern::parse(&rule.pattern).unwrap().matches(&rule.example), "{rule:?}");
        }
        rules
    }

    fn patterns(lines: &[&str]) -> Vec<String> {
        rules(lines).into_iter().map(|rule| rule.pattern).collect()
    }

    #[test]
    fn error_words_are_those_that_mean_a_level() {
        for (lines, expected) in [
            (&["a ERROR x", "a FATAL y", "a INFO z"][..], "?ERROR ?FATAL"),
            (&["a ERROR x", "a INFO z"], "ERROR"),
            (&["a INFO z", "b WARN ERRORS_SEEN"], "?ERROR ?FATAL"),
            (&["[x] [error] y", "[x] [notice] y"], r#""[error]""#),
            (&["[x] [notice] y"], r#"?"[error]" ?"[crit]""#),
            (&["[x] [core:error] y"], r#"":error]""#),
            (&["level=error msg=x a=1", "level=info msg=y a=2"], r#""level=error""#),
            (&["level=info msg=y a=2"], r#"?"level=error" ?"level=fatal""#),
            (&["x: error: y", "z"], r#""error: ""#),
        ] {
            assert_eq!(patterns(lines), [expected], "{lines:?}");
        }
        assert_eq!(patterns(&["all well", "ERRORS=0 today"]), [""; 0]);
        assert_eq!(patterns(&["INFO ERROR=0", "INFO no ERROR", "INFO ERROR_COUNT=0"]), ["?ERROR ?FATAL"]);
    }

    #[test]
    fn levels_of_json_are_those_seen() {
        for (lines, expected) in [
            (&[r#"{"level":"ERROR"}"#, r#"{"level":"INFO"}"#][..], r#"{ $.level = "ERROR" }"#),
            (&[r#"{"severity":"info"}"#], r#"{ $.severity = "error" || $.severity = "fatal" }"#),
            (&[r#"{"level":"Information"}"#], r#"{ $.level = "Error" || $.level = "Fatal" }"#),
            (&[r#"{"level":30}"#, r#"{"level":50}"#], "{ $.level >= 50 }"),
            (&[r#"{"level":6}"#], "{ $.level <= 3 }"),
            (&[r#"{"log.level":"error"}"#], r#"{ $.['log.level'] = "error" }"#),
            (&[r#"{"log":{"level":"error"}}"#], r#"{ $.log.level = "error" }"#),
        ] {
            assert_eq!(patterns(lines), [expected], "{lines:?}");
        }
        assert_eq!(patterns(&[r#"{"status":200,"level":"x\" || $.a = 1"}"#]), ["{ $.status >= 500 }"]);
        assert_eq!(patterns(&[r#"{"status":"ok"}"#, r#"{"level":"chatty"}"#]), [""; 0]);
        assert_eq!(patterns(&[r#"{"log":"2026-11-22 ERROR x\n","stream":"stderr"}"#]), ["ERROR"]);
    }

    #[test]
    fn figures_are_counted_by_the_minute() {
        let line = |minute: usize, what: &str| format!("2026-11-22 10:{minute:02}:07,123 {what} x");
        let mut lines: Vec<String> = (0..7).map(|_| line(3, "ERROR")).collect();
        lines.extend([line(0, "INFO"), line(9, "ERROR"), "ERROR without a time".to_owned()]);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let rules = rules(&lines);
        let [rule] = rules.as_slice() else { panic!("{rules:?}") };
        assert_eq!((rule.matching, rule.at_least), (9, 8));
        assert_eq!(rule.minutes, Some(Minutes { busiest: 7, ringing: 0, spanned: 10 }));
    }

    #[test]
    fn failed_logins_are_counted_by_address() {
        let old = |text: &str| format!("Nov 22 10:00:00 shop {text}");
        let new = |text: &str| format!("2026-11-22T10:00:00+00:00 shop {text}");
        let sshd = "sshd[1]: Failed password for invalid user x y from 10.0.0.1 port 22 ssh2";
        let pam = "su(pam_unix)[1]: authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1  user=root";
        for (line, each, start) in [
            (old(sshd), Some("ip"), "[month, day, time, host, program, failed=Failed"),
            (new(sshd), Some("ip"), "[time, host, program, failed=Failed"),
            (
                old("sshd[1]: Accepted publickey"),
                Some("ip"),
                "[month, day, time, host, program, failed=Failed",
            ),
            (old(pam), Some("rhost"), "[month, day, time, host, program, authentication=authentication"),
            (old("x: authentication failure for ann"), None, "\"authentication failure\""),
        ] {
            let rules = rules(&[&line]);
            let [rule] = rules.as_slice() else { panic!("{rules:?}") };
            assert_eq!(rule.each.map(|each| each.dimension), each, "{line}");
            assert!(rule.pattern.starts_with(start), "{}", rule.pattern);
        }
        let from = |address: usize| old(&sshd.replace("10.0.0.1", &format!("10.0.0.{address}")));
        let tries: Vec<String> = (0..12).map(|number| from(number % 2)).collect();
        let rules = rules(&tries.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((rules[0].matching, rules[0].at_least), (12, 5));
        assert_eq!(rules[0].minutes, Some(Minutes { busiest: 6, ringing: 1, spanned: 1 }));
    }

    #[test]
    fn what_cloudtrail_tells_has_the_rules_of_the_benchmark() {
        let line = r#"{"eventVersion":"1.08","eventSource":"x","eventName":"y","eventTime":"2026-11-22T10:00:00Z","errorCode":"AccessDenied"}"#;
        let found: Vec<(&str, usize)> =
            rules(&[line]).iter().map(|rule| (rule.name, rule.matching)).collect();
        assert_eq!(found, [("unauthorized-calls", 1), ("root-used", 0), ("failed-console-logins", 0)]);
    }
}
