//! The walk over a JSON event accepts what `serde_json` accepts, and finds what it finds.
//!
//! Two differences are meant: depth has no limit here, and half a surrogate pair alone does not refuse an event. Numbers
//! beyond the floats are compared by what `serde_json` says about the form only.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;
use watchbell_pattern::{Pattern, PatternSet, Scratch};

/// Pointers as `serde_json` has them, and selectors that lead to the same place.
const PLACES: [(&str, &str); 8] = [
    ("/a", "$.a"),
    ("/b", "$.b"),
    ("/a/b", "$.a.b"),
    ("/a/0", "$.a[0]"),
    ("/b/1/a", "$.b[1].a"),
    ("/a b", "$.['a b']"),
    ("/level", "$.level"),
    ("/user/name", "$.user.name"),
];

static SET: LazyLock<PatternSet> = LazyLock::new(|| {
    let any = PLACES.map(|(_, selector)| format!("{{ {selector} = * }}"));
    let absent = PLACES.map(|(_, selector)| format!("{{ {selector} NOT EXISTS }}"));
    PatternSet::new(any.iter().chain(&absent).map(|text| Pattern::parse(text).expect("a valid pattern")))
});

fuzz_target!(|event: &str| {
    let mut found = Vec::new();
    let end = u32::try_from(event.len()).expect("a short text");
    let text = format!("{event}\n");
    SET.matches(&text, &[end], &mut Scratch::default(), |_, _, pattern| found.push(pattern));
    // Every object satisfies one of the two patterns about a place that holds no container, boolean or null.
    match serde_json::from_str::<Value>(event) {
        Ok(value @ Value::Object(_)) => {
            for (i, (pointer, _)) in PLACES.iter().enumerate() {
                let place = value.pointer(pointer).filter(|_| leads_the_same_way(&value, pointer));
                let scalar = matches!(place, Some(Value::Number(_) | Value::String(_)));
                assert_eq!(found.contains(&i), scalar, "{event:?} {pointer}");
                assert_eq!(found.contains(&(PLACES.len() + i)), place.is_none(), "{event:?} {pointer}");
            }
        }
        Ok(_) => assert!(found.is_empty(), "{event:?} is no object"),
        Err(_) => {
            let is_deep = event.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > 100;
            if !is_deep && serde_json::from_str::<IgnoredAny>(event).is_err() {
                assert!(found.is_empty(), "{event:?} is no JSON");
            }
        }
    }
});

/// A pointer takes digits for a key of an object too; a selector's index does not.
fn leads_the_same_way(value: &Value, pointer: &str) -> bool {
    let mut place = value;
    for step in pointer.split('/').skip(1) {
        if place.is_object() && step.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        let Some(next) = place.pointer(&format!("/{step}")) else { return false };
        place = next;
    }
    true
}
