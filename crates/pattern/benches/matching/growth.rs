//! How time grows with the length of a line, for patterns and lines that are made to hurt.

use std::io::{self, Write};

use watchbell_corpus::cpu;
use watchbell_pattern::{Pattern, PatternSet, Scratch};

/// Bytes of the shorter line; the longer one is as long as an event may be.
const SHORT: usize = 64 << 10;
const LONG: usize = 1 << 20;
/// The most by which the time of the longer one may exceed that of the shorter; linear is 16.
const GROWTH_MAX: f64 = 48.0;
/// Of this many runs the quickest counts.
const RUNS: usize = 5;

/// What is held against a line of about so many bytes.
type Case = (&'static str, &'static str, fn(usize) -> String);

const CASES: [Case; 12] = [
    ("terms that nearly match", "\"aaaaaaaaaaaaaaaaaaab\"", |bytes| "a".repeat(bytes)),
    ("optional terms", "?aaaab ?baaaa ?\"a b\"", |bytes| "a".repeat(bytes)),
    ("regex with nested stars", "%a*a*a*a*a*b%", |bytes| "a".repeat(bytes)),
    ("regex with counts", "%[a-c]{1,64}[b-d]{1,64}e%", |bytes| "abcd".repeat(bytes / 4)),
    ("regex that starts everywhere", "%a.*a.*a.*b%", |bytes| "a".repeat(bytes)),
    ("fields", "[a, ..., b=\"*aab\", c]", |bytes| "aa ".repeat(bytes / 3)),
    ("open quotes and brackets", "[a, b, ...]", |bytes| "\"[".repeat(bytes / 2)),
    ("wildcards in a field", "[a=\"*a*b*a*b*c*\"]", |bytes| "ab".repeat(bytes / 2)),
    ("wildcards in a string", "{ $.a = \"*a*b*a*b*c*\" }", |bytes| {
        format!("{{\"a\":\"{}\"}}", "ab".repeat(bytes / 2))
    }),
    ("every member of an object", "{ $.a.* = \"x\" }", |bytes| {
        let members: Vec<String> = (0..bytes / 14).map(|number| format!("\"{number:07}\":\"y\"")).collect();
        format!("{{\"a\":{{{}}}}}", members.join(","))
    }),
    ("every item of an array", "{ $.a[*].b = \"x\" }", |bytes| {
        format!("{{\"a\":[{}]}}", vec!["{\"b\":\"y\"}"; bytes / 10].join(","))
    }),
    ("nesting", "{ $.a.b = 1 }", |bytes| format!("{}{}", "{\"a\":".repeat(bytes / 6), "}".repeat(bytes / 6))),
];

/// Prints how much longer the long line takes than the short one, both ways of matching.
///
/// # Panics
/// If that is more than [`GROWTH_MAX`]: then the time is not linear in the line.
pub(crate) fn print(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "growth: lines of {LONG} bytes against lines of {SHORT}; linear is {}", LONG / SHORT)?;
    writeln!(out, "| pattern | ms | set | plain matcher |\n| --- | ---: | ---: | ---: |")?;
    for (name, text, line) in CASES {
        let pattern = Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let set = PatternSet::new(vec![pattern.clone()]);
        let (short, long) = (line(SHORT), line(LONG));
        let by_set = |line: &str| {
            let ends = [u32::try_from(line.len()).expect("a line is small")];
            let mut scratch = Scratch::default();
            quickest(|| set.matches(&format!("{line}\n"), &ends, &mut scratch, |_, _, _| ()))
        };
        let plainly = |line: &str| {
            quickest(|| {
                std::hint::black_box(pattern.matches(line));
            })
        };
        let (set_ms, set_growth) = (by_set(&long) * 1e3, by_set(&long) / by_set(&short));
        let plain_growth = plainly(&long) / plainly(&short);
        writeln!(out, "| {name} | {set_ms:.2} | {set_growth:.1} | {plain_growth:.1} |")?;
        assert!(set_growth < GROWTH_MAX && plain_growth < GROWTH_MAX, "{name}: not linear in the line");
    }
    writeln!(out)
}

fn quickest(mut run: impl FnMut()) -> f64 {
    (0..RUNS).map(|_| cpu::spent(&mut run)).fold(f64::INFINITY, f64::min)
}
