//! CloudWatch Logs filter patterns: read them, match events, take values out of events.
//!
//! Promise: the same answer as the service for every rule that is documented or recorded; a pattern is refused
//! where the service refuses it, with the place and the way out; matching never panics and takes time linear in
//! the event. [`Pattern::matches`] is plain: the definition. [`PatternSet`] gives the same answers for many patterns and
//! a whole batch of lines at once.
//! Not here: metrics (`engine`), log groups and their limits (`config`), parsed fields: a pattern always sees the
//! event's text.
//!
//! ```
//! use watchbell_pattern::{Pattern, Selector};
//!
//! let pattern = Pattern::parse("[ip, ..., status = 5*, bytes]")?;
//! let line = r#"10.0.0.7 - - [24/Sep/2013:11:49:52 -0700] "GET / HTTP/1.1" 503 287"#;
//! assert!(pattern.matches(line));
//! assert_eq!(Selector::parse("$bytes", &pattern)?.value(line).as_deref(), Some("287"));
//!
//! let refused = Pattern::parse("ERR*").unwrap_err();
//! assert_eq!(refused.span, 3..4);
//! # Ok::<(), watchbell_pattern::PatternError>(())
//! ```
//!
//! "Spec section" in these files means: 1 languages, 2 terms, 3 regexes, 4 JSON (4.1 event, 4.2 selectors,
//! 4.3 comparisons, 4.4 `IS` and `NOT EXISTS`, 4.5 refusals), 5 space-delimited (5.1 tokens, 5.2 lining up,
//! 5.3 conditions, 5.4 extraction), 6 metric transformation of the filter pattern specification.

mod cursor;
mod delimited;
mod document;
mod error;
mod explain;
mod expression;
mod json;
mod line;
mod number;
mod path;
mod pattern;
mod regex;
mod selector;
mod set;
mod term;
mod token;
mod value;
mod wildcard;

pub use error::PatternError;
pub use explain::{ExplainedField, Explanation, Words};
pub use expression::PARENTHESES_DEPTH_MAX;
pub use line::Line;
pub use number::number;
pub use path::{WILDCARDS_PER_PATTERN_MAX, WILDCARDS_PER_SELECTOR_MAX};
pub use pattern::{PATTERN_CHARS_MAX, Pattern, PatternKind};
pub use regex::{REGEX_COMPILED_BYTES_MAX, REGEX_REPETITIONS_MAX, REGEXES_PER_PATTERN_MAX};
pub use selector::Selector;
pub use set::{PatternSet, Scratch, Unindexed};
