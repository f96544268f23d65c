//! What a message says besides its first line, in the order in which the console and Slack both say it.

use watchbell_model::{
    AlarmKind, AlarmState, Datapoint, Dimensions, MatchedLine, MetricAlarm, MetricStat, Timestamp,
    Transition, TreatMissingData, Watched,
};

use crate::message::{condition, decisive, number, period};

/// How many datapoints are listed at most: the newest.
const DATAPOINTS_SHOWN: usize = 10;

/// A label and what is to be said under it, one item a line. Not escaped yet.
pub(crate) type Fact = (&'static str, Vec<String>);

/// When and why. Everything here comes from the plan and the engine; no log text.
pub(crate) fn facts(transition: &Transition) -> Vec<Fact> {
    let matched = match transition.matched {
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    };
    let mut facts = vec![
        ("when", when(transition)),
        ("state", vec![format!("{}, was {}", transition.to, transition.from)]),
        ("rule", rule(transition)),
    ];
    match transition.rule.kind {
        AlarmKind::Metric(_) => facts.push(("datapoints", datapoints(transition))),
        AlarmKind::Composite(_) => facts.push(("alarms", children(transition))),
    }
    facts.push(("matched", vec![matched]));
    facts
}

/// What the alarm means and what to do, as its plan says; line feeds in it start new lines.
pub(crate) fn advice(transition: &Transition) -> Vec<Fact> {
    let lines = |text: &String| text.trim_end().split('\n').map(|line| line.trim_end().to_owned()).collect();
    let description = transition.rule.description.as_ref().filter(|text| !text.trim().is_empty());
    let description = description.map(|text| ("meaning", lines(text)));
    let runbook = transition.rule.runbook.as_ref().map(|text| ("runbook", vec![text.clone()]));
    description.into_iter().chain(runbook).collect()
}

/// Where and when a matching line was: `2026-11-22 21:11:03.120 UTC  /var/log/shop/access.log`.
pub(crate) fn origin(line: &MatchedLine) -> String {
    format!("{} UTC  {}", date_and_clock(line.timestamp, true), line.stream)
}

fn when(transition: &Transition) -> Vec<String> {
    let at = date_and_clock(transition.at, true);
    let decisive = transition.rule.metric().and_then(|rule| Some((rule, decisive(transition)?)));
    let mut lines = match decisive {
        None => vec![format!("{at} UTC")],
        Some((rule, datapoint)) => {
            let end = datapoint.start.plus_ms(rule.period.as_ms());
            let slot = format!("{} to {}", clock(datapoint.start, transition.at), clock(end, transition.at));
            vec![format!("{at} UTC, slot {slot}")]
        }
    };
    if transition.early && transition.to == AlarmState::Alarm {
        lines.push("early: the slot is not over, but no later event can change the outcome".to_owned());
    }
    if transition.late {
        lines.push("late: events that came after their slot had been decided made the difference".to_owned());
    }
    if let Some(by) = transition.held_back_by() {
        lines.push(format!("held back until now by {by}"));
    }
    lines
}

fn rule(transition: &Transition) -> Vec<String> {
    match &transition.rule.kind {
        AlarmKind::Metric(rule) => metric_rule(transition, rule),
        AlarmKind::Composite(composite) => {
            composite.rule.split('\n').map(|line| line.trim().to_owned()).collect()
        }
    }
}

fn metric_rule(transition: &Transition, rule: &MetricAlarm) -> Vec<String> {
    let tail = format!(
        "{} over {}, {} of {} datapoints",
        condition(rule),
        period(rule.period.as_s()),
        rule.datapoints_to_alarm,
        rule.evaluation_periods,
    );
    let mut lines = match &rule.watched {
        Watched::Stat(watched) => vec![format!("{} {tail}", stat(watched))],
        Watched::Math { expression, metrics, minimum } => {
            let metric = |(id, watched): (&String, &MetricStat)| format!("{id} = {}", stat(watched));
            let least = |(id, least): (&String, &f64)| format!("only where {id} >= {}", number(*least));
            let first = std::iter::once(format!("{expression} {tail}"));
            first.chain(metrics.iter().map(metric)).chain(minimum.iter().map(least)).collect()
        }
    };
    if transition.datapoints.iter().any(|it| it.value.is_none()) {
        lines.push(
            match rule.treat_missing_data {
                TreatMissingData::Missing => "missing data counts as nothing known",
                TreatMissingData::Ignore => "missing data leaves the state as it is",
                TreatMissingData::Breaching => "missing data counts as breaching",
                TreatMissingData::NotBreaching => "missing data counts as not breaching",
            }
            .to_owned(),
        );
    }
    lines
}

/// `Sum of Shop Http5xx`, with `{host web-1}` behind it if it has dimensions.
fn stat(stat: &MetricStat) -> String {
    format!(
        "{} of {} {}{}",
        stat.statistic,
        stat.metric.namespace,
        stat.metric.name,
        braces(&stat.dimensions)
    )
}

fn braces(dimensions: &Dimensions) -> String {
    let pairs: Vec<String> = dimensions.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if pairs.is_empty() { String::new() } else { format!(" {{{}}}", pairs.join(", ")) }
}

fn children(transition: &Transition) -> Vec<String> {
    let width = transition.children.iter().map(|child| child.state.as_str().len()).max().unwrap_or(0);
    transition.children.iter().map(|child| format!("{:width$}  {}", child.state, child.alarm)).collect()
}

fn datapoints(transition: &Transition) -> Vec<String> {
    let older = transition.datapoints.len().saturating_sub(DATAPOINTS_SHOWN);
    let left_out = (older > 0).then(|| format!("({older} older ones left out)"));
    // A quiet stretch is one line: what happened matters, not how often nothing did.
    let both_quiet = |a: &Datapoint, b: &Datapoint| a.value.is_none() && b.value.is_none();
    let shown = transition.datapoints[older..].chunk_by(both_quiet).map(|run| match run {
        [] => String::new(),
        [one] => datapoint(one, transition.at),
        [first, ..] => format!("{}  no data, {} slots", clock(first.start, transition.at), run.len()),
    });
    left_out.into_iter().chain(shown).collect()
}

fn datapoint(it: &Datapoint, at: Timestamp) -> String {
    let value = it.value.map_or_else(|| "no data".to_owned(), number);
    let estimated = if it.estimated { "  within 1 %" } else { "" };
    let breaching = if it.breaching { "  breaching" } else { "" };
    format!("{}  {value}{estimated}{breaching}", clock(it.start, at))
}

/// The wall time, with its date if that is another than that of `near`.
fn clock(instant: Timestamp, near: Timestamp) -> String {
    if instant.utc_date() == near.utc_date() { instant.utc_clock() } else { date_and_clock(instant, false) }
}

/// `2026-11-22 21:11:03`, with `.120` if asked for.
fn date_and_clock(instant: Timestamp, milliseconds: bool) -> String {
    let whole = format!("{} {}", instant.utc_date(), instant.utc_clock());
    if milliseconds { format!("{whole}.{:03}", instant.0.rem_euclid(1000)) } else { whole }
}
