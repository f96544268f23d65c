//! Two small languages of alarms: metric math, and the rules of composite alarms.
//!
//! Promise: what is documented for the service holds here; a text is refused with the place and the way out; no
//! text makes parsing or evaluating panic or overflow the stack; what is printed reads back the same.
//! Not here: which metrics and alarms exist, and their values and states (`config`, `engine`); several periods
//! in one expression; time.
//!
//! ```
//! use watchbell_expression::{AlarmRule, MetricMath};
//! use watchbell_model::AlarmState;
//!
//! let ratio = MetricMath::parse("IF(requests >= 20, errors / requests * 100)", &["errors", "requests"])?;
//! let result = ratio.evaluate(3, 60, &|id| match id {
//!     "errors" => &[Some(5.0), Some(1.0), None],
//!     _ => &[Some(50.0), Some(2.0), Some(40.0)],
//! });
//! assert_eq!(result, [Some(10.0), None, Some(0.0)]);
//!
//! let rule = AlarmRule::parse("ALARM(ratio) AND NOT ALARM(\"in maintenance\")")?;
//! assert!(rule.holds(&|name| if name == "ratio" { AlarmState::Alarm } else { AlarmState::Ok }));
//! # Ok::<(), watchbell_expression::ExpressionError>(())
//! ```

mod cursor;
mod error;
mod math;
mod order;
mod reference;
mod rule;

pub use cursor::DEPTH_MAX;
pub use error::ExpressionError;
pub use math::{MATH_CHARS_MAX, MetricMath};
pub use order::evaluation_order;
pub use reference::Reference;
pub use rule::{AlarmRule, RULE_ALARMS_MAX, RULE_CHARS_MAX, RULE_ELEMENTS_MAX};
