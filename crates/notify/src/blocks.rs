//! The Slack form of a message: its summary as `text`, the rest as blocks in one coloured attachment.
//!
//! Promise: foreign text mentions nobody, makes no links and stays in its code block; Slack's limits are kept.
//! Sources: Slack, Block Kit reference, "Section block" (3000 characters of text) and "Text object" (`verbatim`);
//! Legacy attachments; Rate limits and message length.

use serde_json::{Value, json};
use watchbell_model::{AlarmSeverity, AlarmState, MatchedLine, Transition};

use crate::Message;
use crate::command::look_further;
use crate::escape::{CUT, mrkdwn, mrkdwn_code, visible_cut};
use crate::facts::{Fact, advice, facts, origin};

/// What a section's text may have.
const SECTION_CHARACTERS_MAX: usize = 3000;

/// Where the title over a code block is cut.
const TITLE_CHARACTERS_MAX: usize = 200;

/// Where one log line is cut, so that every line of a section has room.
const LINE_CHARACTERS_MAX: usize = 300;

/// Where one line of a fact is cut: room for a description of usual length.
const FACT_CHARACTERS_MAX: usize = 2000;

/// What all commands together may have.
const COMMANDS_CHARACTERS_MAX: usize = 2700;

/// How many filters are shown, so that the blocks stay far below Slack's 50.
const FILTERS_SHOWN: usize = 10;

impl Message {
    /// The form for a Slack incoming webhook.
    pub fn slack(&self) -> Value {
        let transition = self.transition();
        let mut blocks = vec![facts_section(&facts(transition))];
        for filter in transition.filters.iter().take(FILTERS_SHOWN) {
            let title = format!("filter {} on {}", filter.name, filter.log_group);
            blocks.extend(code_section(&title, std::slice::from_ref(&filter.pattern)));
        }
        blocks.extend(code_section("first lines", &log_lines(&transition.first_lines)));
        blocks.extend(code_section("last lines", &log_lines(&transition.last_lines)));
        blocks.extend(advice(transition).into_iter().map(|fact| facts_section(&[fact])));
        blocks.extend(code_section("look further", &copyable(look_further(transition))));
        blocks.push(json!({ "type": "context", "elements": [mrkdwn_object(&self.id())] }));
        json!({
            "text": mrkdwn(&self.summary(), SECTION_CHARACTERS_MAX),
            "attachments": [{ "color": colour(transition), "blocks": blocks }],
        })
    }
}

/// The colour beside the attachment: of its severity while in ALARM.
fn colour(transition: &Transition) -> &'static str {
    match (transition.to, transition.rule.severity) {
        (AlarmState::Ok, _) => "#2eb67d",
        (AlarmState::InsufficientData, _) => "#9e9ea6",
        (AlarmState::Alarm, AlarmSeverity::Critical | AlarmSeverity::Error) => "#e01e5a",
        (AlarmState::Alarm, AlarmSeverity::Warning) => "#ecb22e",
        (AlarmState::Alarm, AlarmSeverity::Info) => "#36c5f0",
    }
}

/// `verbatim` keeps Slack from making mentions and links out of what looks like them.
fn mrkdwn_object(text: &str) -> Value {
    json!({ "type": "mrkdwn", "verbatim": true, "text": text })
}

/// Each fact with a bold label; as many lines as a section holds.
fn facts_section(facts: &[Fact]) -> Value {
    let mut text = String::new();
    for (label, lines) in facts {
        for (i, line) in lines.iter().enumerate() {
            let label = if i == 0 { format!("*{label}*  ") } else { String::new() };
            let line = format!("{label}{}\n", linked(line));
            // The last unit is kept for the mark of a cut.
            if text.encode_utf16().count() + line.encode_utf16().count() >= SECTION_CHARACTERS_MAX {
                text.push(CUT);
                return json!({ "type": "section", "text": mrkdwn_object(&text) });
            }
            text.push_str(&line);
        }
    }
    json!({ "type": "section", "text": mrkdwn_object(text.trim_end()) })
}

/// A line of a fact; a web address that is all of it becomes a link, which `verbatim` would not do.
fn linked(line: &str) -> String {
    let escaped = mrkdwn(line, FACT_CHARACTERS_MAX);
    let address = line.starts_with("https://") || line.starts_with("http://");
    if address && !line.contains(['<', '>', '|', ' ']) && line.encode_utf16().count() <= FACT_CHARACTERS_MAX {
        format!("<{escaped}>")
    } else {
        escaped
    }
}

/// A title over a code block that fills the section at most; nothing if there are no lines.
fn code_section(title: &str, lines: &[String]) -> Option<Value> {
    let title = format!("*{}*\n", mrkdwn(title, TITLE_CHARACTERS_MAX));
    let code = mrkdwn_code(&lines.join("\n"), SECTION_CHARACTERS_MAX - title.encode_utf16().count());
    (!lines.is_empty())
        .then(|| json!({ "type": "section", "text": mrkdwn_object(&format!("{title}{code}")) }))
}

/// Each line under where it was, both escaped so that only the message's own line feeds remain.
fn log_lines(lines: &[MatchedLine]) -> Vec<String> {
    let cut = |text: &str| visible_cut(text, LINE_CHARACTERS_MAX);
    lines.iter().flat_map(|line| [cut(&origin(line)), format!("  {}", cut(&line.message))]).collect()
}

/// Those of `commands` that stand in a code block unchanged and uncut: others would not do what they say.
fn copyable(mut commands: Vec<String>) -> Vec<String> {
    let mut room = COMMANDS_CHARACTERS_MAX;
    commands.retain(|command| {
        let length = mrkdwn(command, usize::MAX).encode_utf16().count() + 1;
        let fits = length <= room && !command.contains("``");
        room -= if fits { length } else { 0 };
        fits
    });
    commands
}
