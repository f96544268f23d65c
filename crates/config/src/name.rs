//! Names that users choose, checked against CloudWatch's limits.

use std::ops::Range;

use crate::problem::{Problem, quote};
use crate::reader::Context;

/// What names of one kind must keep to.
pub(crate) struct Rule {
    /// As messages call it, with its article: `an alarm name`.
    noun: &'static str,
    /// Most characters.
    chars_max: usize,
    /// Characters that are not allowed; control characters never are.
    forbidden: &'static str,
}

/// Source: CloudWatch API Reference, `PutMetricAlarm`, `AlarmName`.
pub(crate) const ALARM: Rule = Rule { noun: "an alarm name", chars_max: 255, forbidden: "" };
/// Source: CloudWatch Logs API Reference, `PutMetricFilter`, `filterName`.
pub(crate) const METRIC_FILTER: Rule = Rule { noun: "a metric filter name", chars_max: 512, forbidden: ":*" };
/// Source: CloudWatch Logs API Reference, `MetricTransformation`, `metricNamespace`.
pub(crate) const NAMESPACE: Rule = Rule { noun: "a namespace", chars_max: 255, forbidden: ":*$" };
/// Source: CloudWatch Logs API Reference, `MetricTransformation`, `metricName`.
pub(crate) const METRIC: Rule = Rule { noun: "a metric name", chars_max: 255, forbidden: ":*$" };
/// Source: CloudWatch API Reference, `Dimension`, `Name`.
pub(crate) const DIMENSION: Rule = Rule { noun: "a dimension name", chars_max: 255, forbidden: ":" };
/// Ours.
pub(crate) const MUTE_RULE: Rule = Rule { noun: "a mute rule name", chars_max: 255, forbidden: "" };
/// Source: Amazon SNS API Reference, `CreateTopic`, `Name`: up to 256 characters.
pub(crate) const TOPIC: Rule = Rule { noun: "a topic name", chars_max: 256, forbidden: "" };
/// Source: Amazon SQS API Reference, `CreateQueue`, `QueueName`: up to 80 letters, digits, hyphens and underscores.
pub(crate) const QUEUE: Rule = Rule { noun: "a queue name", chars_max: 80, forbidden: "" };
/// Source: AWS Lambda API Reference, `CreateFunction`, `FunctionName`: up to 64 characters.
pub(crate) const FUNCTION: Rule = Rule { noun: "a function name", chars_max: 64, forbidden: ":/" };
/// Names a folder of the archive.
pub(crate) const APP: Rule = Rule { noun: "an app name", chars_max: 255, forbidden: "" };
/// Source: IAM API Reference, `CreateRole`, `RoleName`: up to 64 characters.
pub(crate) const ROLE: Rule = Rule { noun: "a role name", chars_max: 64, forbidden: "" };
/// Stands in the audit trail.
pub(crate) const TOKEN: Rule = Rule { noun: "a token name", chars_max: 64, forbidden: "" };

/// Whether `name` keeps to `rule`; if not, that is noted.
pub(crate) fn check(context: &Context<'_>, rule: &Rule, name: &str, span: Range<usize>) -> bool {
    let Some(message) = broken(rule, name) else { return true };
    context.report(Problem::error(span, message).label("not a possible name"));
    false
}

/// Longest name of the kind that [`check_small`] takes, so that what AWS makes of it keeps to its limit of 32.
const SMALL_CHARS_MAX: usize = 24;

/// Whether `name` has 1 to [`SMALL_CHARS_MAX`] small letters, digits and hyphens, a letter first and no hyphen last; if
/// not, that is noted. `noun` is what messages call it, with its article.
pub(crate) fn check_small(context: &Context<'_>, noun: &str, name: &str, span: Range<usize>) -> bool {
    let fits = (1..=SMALL_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-');
    if !fits {
        let help = format!(
            "write 1 to {SMALL_CHARS_MAX} small letters, digits and \"-\", a letter first and no \"-\" last"
        );
        context.report(Problem::error(span, format!("{noun} cannot be {}", quote(name))).help(help));
    }
    fits
}

fn broken(rule: &Rule, name: &str) -> Option<String> {
    let length = name.chars().count();
    if length == 0 || length > rule.chars_max {
        return Some(format!("{} has 1 to {} characters, this one has {length}", rule.noun, rule.chars_max));
    }
    let wrong = name.chars().find(|c| c.is_control() || rule.forbidden.contains(*c))?;
    Some(format!("{} cannot hold {wrong:?}, as in {}", rule.noun, quote(name)))
}
