//! Any text is a pattern or is refused with a place in it; a pattern's text gives the pattern again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell_pattern::{Pattern, Selector};

fuzz_target!(|input: (&str, &str)| {
    let (text, event) = input;
    match Pattern::parse(text) {
        Ok(pattern) => {
            let again = Pattern::parse(pattern.as_str()).expect("it was valid");
            assert_eq!(again, pattern);
            assert_eq!(again.matches(event), pattern.matches(event));
            assert_eq!(pattern.extract(event).is_some(), pattern.matches(event));
            if let Ok(selector) = Selector::parse(event, &pattern) {
                let _ = selector.value(text);
            }
        }
        Err(error) => assert!(text.get(error.span.clone()).is_some() && !error.message.is_empty(), "{error:?}"),
    }
});
