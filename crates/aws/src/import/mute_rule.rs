//! Mute rules.

use watchbell_model::MuteRule;
use watchbell_schedule::parse_duration;

use super::found::{Lost, Properties, arn_name};

/// Reads a mute rule; its name, if a property says it.
pub(super) fn read(properties: &mut Properties) -> Result<(Option<String>, MuteRule), Lost> {
    let name = properties.text("Name")?;
    let mut rule = properties.inner("Rule")?.ok_or("it has no Rule")?;
    let mut schedule = rule.inner("Schedule")?.ok_or("its Rule has no Schedule")?;
    let expression = schedule.need_text("Expression")?;
    let duration = schedule.need_text("Duration")?;
    let duration_ms = parse_duration(&duration).map_err(|error| format!("Duration: {}", error.message))?;
    let timezone = schedule.text("Timezone")?.unwrap_or_else(|| "UTC".to_owned());
    let mut targets = properties.inner("MuteTargets")?.ok_or("it has no MuteTargets")?;
    let mut alarms = Vec::new();
    for item in targets.items("AlarmNames")? {
        match item.as_text() {
            Some(name) => alarms.push(arn_name(name, "cloudwatch", "alarm:").unwrap_or(name).to_owned()),
            None => properties.remark("an alarm of it is not known, and left out"),
        }
    }
    for (key, what) in [("StartDate", "it holds from now on"), ("ExpireDate", "it holds for ever")] {
        if properties.text(key)?.is_some() {
            properties.remark(format!("{key} is not taken over: {what}"));
        }
    }
    if properties.text("Description")?.is_some() {
        properties.remark("Description is not taken over");
    }
    properties.remarks.extend(schedule.finish(&[]).into_iter().chain(rule.finish(&[])));
    Ok((name, MuteRule { alarms, schedule: expression, duration_ms, timezone }))
}
