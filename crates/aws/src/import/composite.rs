//! Composite alarms.

use watchbell_expression::AlarmRule;
use watchbell_model::{ActionsSuppressor, AlarmKind, CompositeAlarm};

use super::alarm::{ReadAlarm, announced};
use super::found::{Lost, Properties, arn_name};

/// Reads a composite alarm.
pub(super) fn read(properties: &mut Properties) -> Result<ReadAlarm, Lost> {
    let name = properties.text("AlarmName")?;
    let rule = with_names(&properties.need_text("AlarmRule")?)?;
    let suppressor = match properties.text("ActionsSuppressor") {
        Ok(Some(alarm)) => {
            let mut period_ms = |key| Ok::<_, Lost>(i64::from(properties.whole(key)?.unwrap_or(0)) * 1000);
            Some(ActionsSuppressor {
                alarm: arn_name(&alarm, "cloudwatch", "alarm:").unwrap_or(&alarm).to_owned(),
                wait_period_ms: period_ms("ActionsSuppressorWaitPeriod")?,
                extension_period_ms: period_ms("ActionsSuppressorExtensionPeriod")?,
            })
        }
        Ok(None) => None,
        Err(reason) => {
            properties.remark(format!("{reason}; nothing holds its messages back"));
            None
        }
    };
    announced(name, AlarmKind::Composite(CompositeAlarm { rule, suppressor }), properties)
}

/// The rule with names where it has ARNs.
fn with_names(text: &str) -> Result<String, Lost> {
    let text = text.trim();
    let rule = AlarmRule::parse(text).map_err(|error| format!("AlarmRule: {}", error.message))?;
    let mut named = String::new();
    let mut from = 0;
    for reference in rule.names() {
        let Some(name) = arn_name(&reference.name, "cloudwatch", "alarm:") else { continue };
        named += &text[from..reference.span.start];
        named.extend(["\"", &name.replace('\\', "\\\\").replace('"', "\\\""), "\""]);
        from = reference.span.end;
    }
    Ok(named + &text[from..])
}
