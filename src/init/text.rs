//! The `watchbell.toml` that suits what was found.

use std::fmt::{self, Write};

use watchbell_config::spell_ms;
use watchbell_model::{ParseKind, TimestampFrom};
use watchbell_pattern::{Pattern, Selector};

use super::Findings;
use super::group::Group;
use super::heartbeat::Heartbeat;
use super::rule::{Each, Minutes, Rule};

/// An alarm that waits for more has no test: it would be all lines.
const TESTED_LINES_MAX: usize = 10_000;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The file. Its paths are relative to the folder that the findings were made for.
pub(crate) fn text(findings: &Findings) -> String {
    let mut text = String::new();
    write(&mut text, findings).expect("writing to a string");
    text
}

fn write(out: &mut String, findings: &Findings) -> fmt::Result {
    out.write_str(
        "# Made by `watchbell init` from what the files hold; it is yours now. `watchbell check` says whether it is\n\
         # good, `watchbell up` does what it says. Thresholds are guesses: look at each once.\n\
         version = 1\n",
    )?;
    let has_alarms = findings.groups.iter().any(|group| !group.rules.is_empty() || group.heartbeat.is_some());
    if has_alarms {
        out.write_str(
            "\n# Who is told: here whoever looks at `watchbell up`.\n\
             [topics.ops]\n\
             console = {}\n\
             # webhook = { url = \"https://hooks.example.com/x\", signing_key = { env = \"HOOK_KEY\" } }\n\
             # slack = { webhook_url = { env = \"SLACK_WEBHOOK\" } }\n",
        )?;
    }
    for group in &findings.groups {
        log_group(out, group)?;
        for rule in &group.rules {
            alarm(out, group, rule)?;
        }
        if let Some(found) = group.heartbeat {
            heartbeat(out, group, found)?;
        }
        if group.rules.is_empty() {
            writeln!(out, "\n# No rule: nothing in these lines is known to be a failure.")?;
        }
    }
    if !has_alarms {
        return Ok(());
    }
    out.write_str("\n# What the alarms do, in virtual time: `watchbell test`. The lines are made up.\n")?;
    for group in &findings.groups {
        group.rules.iter().try_for_each(|rule| test(out, group, rule))?;
        if let Some(found) = group.heartbeat {
            heartbeat_test(out, group, found)?;
        }
    }
    Ok(())
}

fn log_group(out: &mut String, group: &Group) -> fmt::Result {
    writeln!(out, "\n# {}: {} {}.", group.form.in_words(), lines(group.line_count()), looked_at(group))?;
    writeln!(out, "[log_groups.{}]\nfiles = [{}]", key(group.name.as_str()), string(&group.glob))?;
    let parse = match group.form.parse {
        ParseKind::Plain => None,
        ParseKind::Json => Some("json"),
        ParseKind::Combined => Some("combined"),
        ParseKind::Syslog => Some("syslog"),
        ParseKind::Logfmt => Some("logfmt"),
    };
    if let Some(parse) = parse {
        writeln!(out, "parse = \"{parse}\"")?;
    }
    if let TimestampFrom::Written(written) = &group.form.timestamp {
        let parts = [("format", &written.format), ("after", &written.after), ("zone", &written.zone)];
        let parts = parts.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let parts: Vec<String> = parts.map(|(name, value)| format!("{name} = {}", string(value))).collect();
        let comment = if written.zone.is_some() { "  # this machine's zone: is it theirs?" } else { "" };
        writeln!(out, "timestamp = {{ {} }}{comment}", parts.join(", "))?;
    }
    Ok(())
}

fn alarm(out: &mut String, group: &Group, rule: &Rule) -> fmt::Result {
    let (name, log_group, pattern) =
        (rule_name(group, rule), string(group.name.as_str()), string(&rule.pattern));
    writeln!(out, "\n# {} of {} match{}.", rule.matching, lines(group.line_count()), seen(rule))?;
    if let Some(Each { dimension, metric }) = rule.each {
        writeln!(out, "[metric_filters.{name}]\nlog_group = {log_group}\npattern = {pattern}")?;
        write!(out, "metric = {{ namespace = {log_group}, name = \"{metric}\", ")?;
        writeln!(out, "dimensions = {{ {dimension} = \"${dimension}\" }} }}\n")?;
        writeln!(out, "[alarms.{name}]\nmetric_filter = \"{name}\"\neach = [\"{dimension}\"]")?;
        writeln!(out, "missing_data = \"not_breaching\"")?;
    } else {
        writeln!(out, "[alarms.{name}]\nlog_group = {log_group}\npattern = {pattern}")?;
    }
    writeln!(
        out,
        "period = \"60s\"\ncondition = \">= {}\"\nseverity = \"{}\"",
        rule.at_least, rule.severity
    )?;
    writeln!(out, "description = {}\nnotify = [\"ops\"]", string(rule.description))
}

fn heartbeat(
    out: &mut String,
    group: &Group,
    Heartbeat { period_min, longest_pause_ms }: Heartbeat,
) -> fmt::Result {
    let pause_s = longest_pause_ms.div_euclid(1000);
    let pause = if pause_s < 120 { format!("{pause_s} s") } else { format!("{} min", pause_s / 60) };
    writeln!(out, "\n# The longest pause was {pause}. It rings after three periods without a line.")?;
    writeln!(out, "[alarms.{}]", heartbeat_name(group))?;
    writeln!(
        out,
        "heartbeat = {{ log_group = {} }}\nperiod = \"{period_min}m\"",
        string(group.name.as_str())
    )?;
    writeln!(out, "severity = \"warning\"\ndescription = \"The log has gone quiet.\"\nnotify = [\"ops\"]")
}

/// The name of the group's heartbeat among all alarms.
pub(crate) fn heartbeat_name(group: &Group) -> String {
    format!("{}-quiet", slug(group))
}

/// One line less than the alarm waits for leaves it quiet, as many make it ring with the last of them.
fn test(out: &mut String, group: &Group, rule: &Rule) -> fmt::Result {
    if rule.at_least > TESTED_LINES_MAX {
        return Ok(());
    }
    let name = rule_name(group, rule);
    let at_least = i64::try_from(rule.at_least).expect("it is small");
    // All of them within one minute.
    let every_ms = (50_000 / at_least).min(1000);
    let (quiet_ms, ringing_ms) = (11 * HOUR_MS, 12 * HOUR_MS);
    writeln!(out, "\n[[test]]\nname = \"{name} rings at {at_least} in a minute\"")?;
    writeln!(out, "log_group = {}\nlines = [", string(group.name.as_str()))?;
    let mut burst = |from_ms: i64, repeat: i64| {
        if repeat == 0 {
            return Ok(());
        }
        let (at, line) = (spell_ms(from_ms), string(&rule.example));
        writeln!(out, "    {{ at = \"{at}\", line = {line}, repeat = {repeat}, every = \"{every_ms}ms\" }},")
    };
    burst(quiet_ms, at_least - 1)?;
    burst(ringing_ms, at_least)?;
    let ring = spell_ms(ringing_ms + (at_least - 1) * every_ms);
    writeln!(out, "]\nexpect = [{}]", string(&format!("{ring} ALARM {name}{} early", which(rule))))?;
    writeln!(out, "until = \"{}\"", spell_ms(ringing_ms + MINUTE_MS))
}

/// Which of the alarm's many states the example is for: ` [ip 10.0.0.1]`.
fn which(rule: &Rule) -> String {
    let Some(Each { dimension, .. }) = rule.each else { return String::new() };
    let pattern = Pattern::parse(&rule.pattern).expect("it was counted with");
    let selector = Selector::parse(&format!("${dimension}"), &pattern).expect("it was counted with");
    let value = selector.value(&rule.example);
    value.map_or_else(String::new, |value| format!(" [{dimension} {value}]"))
}

/// A line, and then none: the alarm looks at three periods, and rings a minute after the line has left them.
fn heartbeat_test(out: &mut String, group: &Group, heartbeat: Heartbeat) -> fmt::Result {
    let name = heartbeat_name(group);
    let ring = spell_ms(12 * HOUR_MS + (3 * heartbeat.period_min + 1) * MINUTE_MS);
    writeln!(out, "\n[[test]]\nname = \"{name} rings\"\nlog_group = {}", string(group.name.as_str()))?;
    writeln!(out, "lines = [\"12:00:00 an example\"]")?;
    writeln!(out, "expect = [\"{ring} ALARM {name}\"]\nuntil = \"{ring}\"")
}

/// The rule's name among those of all groups.
pub(crate) fn rule_name(group: &Group, rule: &Rule) -> String {
    format!("{}-{}", slug(group), rule.name)
}

fn slug(group: &Group) -> String {
    group.name.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// What the rule would have seen, after "12 of 2000 lines match".
pub(crate) fn seen(rule: &Rule) -> String {
    match rule.minutes {
        Some(_) if rule.matching == 0 => String::new(),
        Some(Minutes { busiest, ringing, spanned }) => {
            let minutes = if spanned == 1 { "1 minute".to_owned() } else { format!("{spanned} minutes") };
            let one = rule.each.map_or(String::new(), |each| format!(" with one {}", each.dimension));
            format!(", {busiest}{one} in the busiest minute; the alarm would ring in {ringing} of {minutes}")
        }
        None => String::new(),
    }
}

pub(crate) fn lines(count: usize) -> String {
    format!("{count} line{}", if count == 1 { "" } else { "s" })
}

/// What the lines are of their files.
pub(crate) fn looked_at(group: &Group) -> String {
    let whole =
        if group.is_whole() { "looked at, all there are" } else { "looked at, the first and the last MiB" };
    match group.samples.len() {
        1 => whole.to_owned(),
        files => format!("of {files} files {whole}"),
    }
}

/// A key of a table: bare if TOML allows it.
fn key(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { string(name) }
}

/// A TOML string: literal if it can be, so that patterns stay readable.
fn string(text: &str) -> String {
    let plain = !text.contains(|c: char| c.is_control());
    if plain && !text.contains(['"', '\\']) {
        return format!("\"{text}\"");
    }
    if plain && !text.contains('\'') {
        return format!("'{text}'");
    }
    // JSON's escapes are TOML's, but for DEL.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use watchbell_config::Source;
    use watchbell_model::Timestamp;

    use super::*;
    use crate::init::Looker;
    use crate::init::sample::Sample;
    use crate::replay::try_out;

    fn made(zone: Option<&str>, files: &[(&str, &[&str])]) -> String {
        let samples = files.iter().map(|(path, lines)| Sample {
            path: path.into(),
            named: true,
            written: Timestamp(1_795_381_912_125),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            gap: None,
        });
        let looker = Looker {
            now: Timestamp(1_795_381_912_125),
            zone: zone.map(str::to_owned),
            folder: Path::new("/srv"),
        };
        let findings = looker.look(samples.collect(), Vec::new());
        let text = text(&findings);
        let source = Source { name: "watchbell.toml", text: &text, folder: Path::new("/srv") };
        let checked = watchbell_config::check(&source);
        let said = watchbell_config::render(&checked.problems, &source, false);
        assert!(checked.problems.is_empty(), "{said}\n{text}");
        let plan = checked.plan.expect("without problems there is one");
        assert_eq!(checked.tests.len(), plan.alarms.len());
        for test in &checked.tests {
            let verdict = try_out(&plan, test).unwrap();
            assert!(verdict.is_good(), "{verdict:?}\n{text}");
        }
        text
    }

    #[test]
    fn every_kind_gives_a_good_file() {
        let kinds: [(&str, &[&str]); 10] = [
            ("/srv/logs/app.log", &[r#"{"level":"info","ts":1795381912}"#]),
            (
                "/var/log/nginx/access.log",
                &[r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 500 1 "-" "x""#],
            ),
            (
                "/var/log/auth.log",
                &["Nov 22 06:55:46 shop sshd[1]: Failed password for x from 1.2.3.4 port 1 ssh2"],
            ),
            ("/var/log/go/svc.log", &["ts=2026-11-22T21:11:52Z level=error msg=x"]),
            ("/var/log/hadoop/nn.log", &["2015-10-18 18:01:47,978 FATAL [main] x"]),
            ("/var/log/apache2/error.log", &["[Sun Dec 04 04:47:44 2005] [error] x"]),
            ("/var/log/odd/it's [1]*.log", &["INFO 2015-10-18 18:01:47 x"]),
            ("/var/log/odd/plain", &["nothing known here"]),
            ("/srv/trail.jsonl", &[r#"{"eventVersion":"1","eventSource":"a","eventName":"b"}"#]),
            ("/srv/ecs.jsonl", &[r#"{"log.level":"error","status":200}"#]),
        ];
        for kind in kinds {
            for zone in [None, Some("Europe/Berlin")] {
                made(zone, &[kind]);
            }
        }
        let all = made(Some("America/New_York"), &kinds);
        assert_eq!(all.matches("[log_groups.").count(), kinds.len(), "{all}");
    }

    #[test]
    fn a_log_that_is_written_to_steadily_has_a_heartbeat() {
        let line = |second: u32| format!("2026-11-22 20:{:02}:{:02} INFO x", second / 60, second % 60);
        let lines: Vec<String> =
            (0..120).map(|number| line(number * 20 + if number > 60 { 700 } else { 0 })).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let text = made(None, &[("/srv/shop/app.log", &lines)]);
        let expected = "# The longest pause was 12 min. It rings after three periods without a line.\n\
                        [alarms.shop-app-quiet]\nheartbeat = { log_group = \"shop/app\" }\nperiod = \"15m\"\n";
        assert!(text.contains(expected), "{text}");
        let few = made(None, &[("/srv/shop/app.log", &lines[..99])]);
        assert!(!few.contains("heartbeat"), "{few}");
        let old: Vec<String> = lines.iter().map(|line| line.replace("2026-", "2025-")).collect();
        let old = made(None, &[("/srv/shop/app.log", &old.iter().map(String::as_str).collect::<Vec<_>>())]);
        assert!(!old.contains("heartbeat"), "{old}");
    }

    #[test]
    fn the_file_says_what_was_counted() {
        let line = "2026-11-22 21:11:52,125 ERROR disk";
        let text = made(
            Some("Europe/Berlin"),
            &[("/srv/shop/logs/app.log", &[line, line, "2026-11-22 21:12:01 INFO x"])],
        );
        let expected = r#"
# plain lines, times as %Y-%m-%d %H:%M:%S: 3 lines looked at, all there are.
[log_groups."shop/app"]
files = ["shop/logs/app.log"]
timestamp = { format = "%Y-%m-%d %H:%M:%S", zone = "Europe/Berlin" }  # this machine's zone: is it theirs?

# 2 of 3 lines match, 2 in the busiest minute; the alarm would ring in 0 of 2 minutes.
[alarms.shop-app-errors]
log_group = "shop/app"
pattern = "ERROR"
period = "60s"
condition = ">= 5"
severity = "error"
description = "More errors than usual."
notify = ["ops"]

# What the alarms do, in virtual time: `watchbell test`. The lines are made up.

[[test]]
name = "shop-app-errors rings at 5 in a minute"
log_group = "shop/app"
lines = [
    { at = "11:00:00", line = "ERROR an example", repeat = 4, every = "1000ms" },
    { at = "12:00:00", line = "ERROR an example", repeat = 5, every = "1000ms" },
]
expect = ["12:00:04 ALARM shop-app-errors early"]
until = "12:01:00"
"#;
        assert!(text.ends_with(expected), "{text}");
    }
}
