//! Random patterns of the dialect's grammar, and lines made of the same few words so that they often nearly match.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Words that are parts of each other, of all the lengths that an index may treat differently.
const WORDS: [&str; 18] = [
    "a",
    "ab",
    "b",
    "abc",
    "abab",
    "ERR",
    "ERROR",
    "ERRORS",
    "RRO",
    "40",
    "404",
    "4040",
    "timeout",
    "time",
    "connection",
    "connections refused",
    "é",
    "x-y",
];
const KEYS: [&str; 6] = ["a", "b", "level", "status", "a b", "é"];
const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "1.0",
    "1e0",
    "-0",
    "40",
    "404",
    "4.04e2",
    "-7.5",
    "9007199254740993",
    "9007199254740992",
    "1e999",
];

fn word() -> impl Strategy<Value = &'static str> {
    select(&WORDS[..])
}

fn quoted() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => word().prop_map(|word| format!("\"{word}\"")),
        2 => vec(word(), 0..3).prop_map(|words| format!("\"{}\"", words.join(" "))),
        1 => Just("\"a\nab\"".to_owned()),
        1 => Just("\"\\\\\"".to_owned()),
        1 => Just("\"\\\"a\"".to_owned()),
    ]
}

fn regex() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(vec!["ERR", "a", "ab", "40", "404", "time", "out", "conn", " "]).prop_map(String::from),
        3 => select(vec![".", ".*", "[a-c]", "[0-9]+", "\\d", "\\w*", "x?", "a+", "[^ ]", "b{2}", "a{0,2}", "\\x61", "."]).prop_map(String::from),
        1 => select(vec!["|", "^", "$"]).prop_map(String::from),
    ];
    vec(piece, 1..5).prop_map(|pieces| format!("%{}%", pieces.concat()))
}

fn terms() -> impl Strategy<Value = String> {
    let term = prop_oneof![
        5 => select(vec!["a", "ab", "abc", "ERROR", "ERR", "404", "40", "timeout", "connection", "x-y"]).prop_map(String::from),
        3 => quoted(),
        2 => regex(),
    ];
    let item = (select(vec!["", "", "", "-", "?"]), term).prop_map(|(sign, term)| sign.to_owned() + &term);
    prop_oneof![
        6 => vec(item, 1..4).prop_map(|items| items.join(" ")),
        2 => vec(word(), 1..4).prop_map(|words| format!("?\"{}\"", words.join("\" ?\""))),
        1 => select(vec!["", " ", "\"\"", "\" \"", "-a"]).prop_map(String::from),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&NUMBERS[..]).prop_map(String::from),
        4 => word().prop_map(|word| format!("\"{word}\"")),
        2 => word().prop_map(|word| format!("\"{word}*\"")),
        2 => select(vec!["*", "4*", "*4", "\"*ERR*\"", "\"a*b\"", "\"*RO*R\"", "true", "ERROR", "\"\"", "\"1\"", "\"4040*\""]).prop_map(String::from),
        1 => regex(),
    ]
}

fn comparison() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => value().prop_map(|value| format!("= {value}")),
        1 => value().prop_map(|value| format!("!= {value}")),
        3 => (select(vec![">", ">=", "<", "<="]), select(&NUMBERS[..])).prop_map(|(order, number)| format!("{order} {number}")),
    ]
}

/// A selector, now and then with a wildcard.
pub(crate) fn path() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        8 => select(vec![".a", ".b", ".level", ".status"]).prop_map(String::from),
        2 => select(vec!["['a b']", "['é']", "[0]", "[1]"]).prop_map(String::from),
        1 => select(vec![".*", "[*]"]).prop_map(String::from),
    ];
    (
        select(vec![".a", ".a", ".b", ".level", ".status", ".['a b']", ".*"]),
        prop_oneof![3 => vec(step.clone(), 0..1), 1 => vec(step, 1..3)],
    )
        .prop_map(|(first, steps)| format!("${first}{}", steps.concat()))
}

/// Conditions joined by `&&`, `||` and parentheses.
fn expression(condition: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    condition.prop_recursive(3, 6, 3, |inner| {
        (vec(inner, 1..4), select(vec![" && ", " && ", " || "]), any::<bool>()).prop_map(
            |(parts, join, wrapped)| {
                if wrapped { format!("({})", parts.join(join)) } else { parts.join(join) }
            },
        )
    })
}

fn json() -> impl Strategy<Value = String> {
    let test = prop_oneof![
        8 => comparison(),
        2 => select(vec!["IS NULL", "IS TRUE", "IS FALSE", "NOT EXISTS"]).prop_map(String::from),
    ];
    let condition = (path(), test).prop_map(|(path, test)| format!("{path} {test}"));
    expression(condition).prop_map(|expression| format!("{{ {expression} }}"))
}

fn delimited() -> impl Strategy<Value = String> {
    let entry = (0..100u8, vec(comparison(), 1..3), select(vec!["&&", "||"]), 0..9u8).prop_map(
        |(name, tests, join, kind)| match kind {
            0 => String::new(),
            1 => "...".to_owned(),
            2..5 => format!("n{name}"),
            _ => tests.iter().map(|test| format!("n{name} {test}")).collect::<Vec<_>>().join(join),
        },
    );
    vec(entry, 0..5).prop_map(|entries| format!("[{}]", entries.join(", ")))
}

/// A pattern in any of the languages; a few are refused.
pub(crate) fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![4 => terms(), 4 => json(), 2 => delimited()]
}

/// Patterns for a set, sometimes all in one language.
pub(crate) fn patterns(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        2 => vec(pattern(), count.clone()),
        1 => vec(terms(), count.clone()),
        1 => vec(json(), count.clone()),
        1 => vec(delimited(), count),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(&KEYS[..]).prop_map(|key| format!("\"{key}\"")),
        1 => select(vec!["\"\\u0061\"", "\"lev\\u0065l\"", "\"c\"", "\"\"", "\"0\""]).prop_map(String::from),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => word().prop_map(|word| format!("\"{word}\"")),
        3 => select(&NUMBERS[..]).prop_map(String::from),
        1 => select(vec!["null", "true", "false", "\"1\"", "\"\"", "\"\\u0061\"", "\"\\\"a\"", "\"E\\u0052ROR\"", "\"\\ud800\"", "\"\\\\\""]).prop_map(String::from),
    ]
}

fn json_value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            vec((key(), inner), 0..4).prop_map(|members| object(&members)),
        ]
    })
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// An event: words, a JSON object, or one with a few characters lost or put in.
pub(crate) fn line() -> impl Strategy<Value = String> {
    let words = vec(
        prop_oneof![
            word().prop_map(String::from),
            select(&NUMBERS[..]).prop_map(String::from),
            quoted(),
            select(vec!["[a b]", "[", "]", "-", "\n"]).prop_map(String::from)
        ],
        0..7,
    );
    let spaced =
        (words.clone(), select(vec![" ", " ", "  ", "\t", ""])).prop_map(|(words, space)| words.join(space));
    let json = vec((key(), json_value()), 0..6).prop_map(|members| object(&members)).boxed();
    let spoiled = (
        json.clone(),
        any::<prop::sample::Index>(),
        select(vec!["", "\"", "{", "}", "\\", "1", ",", "\t", "\u{1}", " ", "x"]),
        any::<bool>(),
    )
        .prop_map(|(json, at, put, takes): (String, _, _, _)| spoil(&json, at, put, takes));
    prop_oneof![4 => spaced, 4 => json, 2 => spoiled]
}

/// `text` with `put` at a place, in the stead of a character there if it `takes` one.
fn spoil(text: &str, at: prop::sample::Index, put: &str, takes: bool) -> String {
    let mut chars: Vec<String> = text.chars().map(String::from).collect();
    let at = at.index(chars.len());
    if takes {
        put.clone_into(&mut chars[at]);
    } else {
        chars.insert(at, put.to_owned());
    }
    chars.concat()
}
