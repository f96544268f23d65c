//! Programs in VRL: what they make of events, how they fail, and what they cannot do.

#![cfg(feature = "vrl")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::collections::BTreeMap;

use watchbell_functions::process::{Input, InputEvent, Keep, Outcome, Program};
use watchbell_model::{Function, GroupName, ParseKind, Raise, RaiseTo, Step, Timestamp, Workers};

fn compile(source: &str) -> Result<Program, String> {
    let function = Function {
        queue: "q".into(),
        steps: vec![Step::Parse(ParseKind::Json)],
        program: Some("enrich.vrl".into()),
        raise: vec![Raise {
            when: String::new(),
            to: RaiseTo::LogGroup(GroupName::new("shop/alerts").unwrap()),
        }],
        webhook: None,
        command: None,
        workers: Workers { min: 1, max: 1 },
    };
    Program::new(&function, &BTreeMap::new(), Some(source)).map_err(|error| error.to_string())
}

fn run(source: &str, lines: &[&str]) -> Outcome {
    let events = lines.iter().map(|text| InputEvent { timestamp: Timestamp(0), text: (*text).into() });
    let input = Input { events: events.collect(), hops: 0, backfill: false };
    compile(source).unwrap().process(&input, Keep::All)
}

fn texts(outcome: &Outcome) -> Vec<&str> {
    outcome.raised.iter().map(|raised| raised.text.as_str()).collect()
}

#[test]
fn a_program_changes_fields_and_an_abort_ends_an_event_without_failing_it() {
    let source = "if .level == \"debug\" { abort }\n.size = to_int!(.size) * 2\n.host = upcase(string!(.host))\ndel(.level)";
    let lines = [r#"{"level":"info","size":"4","host":"a"}"#, r#"{"level":"debug"}"#];
    let outcome = run(source, &lines);
    assert_eq!(texts(&outcome), [r#"{"host":"A","size":8}"#]);
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
}

#[test]
fn an_event_that_a_program_fails_on_fails_alone_with_the_reason() {
    let outcome = run(".n = to_int!(.n)", &[r#"{"n":"1"}"#, r#"{"n":"x"}"#, r#"{"n":"3"}"#]);
    assert_eq!(texts(&outcome), [r#"{"n":1}"#, r#"{"n":3}"#]);
    let [failed] = &outcome.failed[..] else { panic!("{:?}", outcome.failed) };
    assert!(
        failed.index == 1 && failed.reason.starts_with("program: function call error for \"to_int\""),
        "{failed:?}"
    );
    let outcome = run(". = [1]", &["{}"]);
    assert_eq!(outcome.failed[0].reason, "program: it leaves \".\" as something else than an object");
}

#[test]
fn what_does_not_compile_is_shown_with_its_place() {
    let error = compile(".a = upcase(.b)\n.c = nosuch(1)").err().unwrap();
    assert!(
        error.starts_with("enrich.vrl: ") && error.contains("nosuch") && error.contains("undefined function"),
        "{error}"
    );
    assert!(error.contains(":2:"), "the line: {error}");
}

#[test]
fn programs_have_no_way_out_of_their_event() {
    for call in [
        "get_env_var!(\"HOME\")",
        "get_hostname!()",
        "http_request!(\"http://127.0.0.1\")",
        "dns_lookup!(\"localhost\")",
        "reverse_dns!(\"127.0.0.1\")",
        "log(\"x\")",
    ] {
        let error = compile(&format!(".x = {call}")).err().unwrap_or_default();
        assert!(error.contains("undefined function"), "{call}: {error}");
    }
}

#[test]
fn a_program_that_goes_on_and_on_is_ended() {
    let source = "a = range!(0, 400) ?? []\n.n = 0\nfor_each(a) -> |_i, _v| { for_each(a) -> |_j, _w| { .n = int!(.n) + 1 } }";
    let source = source.replace("range!(0, 400) ?? []", "split(string!(.text), \",\")");
    let line = format!("{{\"text\":\"{}\"}}", ",".repeat(400));
    let outcome = run(&source, &[&line, "{\"text\":\"a,b\"}"]);
    assert_eq!(outcome.failed[0].reason, "program: it came by more than 100000 expressions");
    assert_eq!(texts(&outcome), [r#"{"n":4,"text":"a,b"}"#]);
}
