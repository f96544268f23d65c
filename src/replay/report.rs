//! The page of a backtest: for each alarm what its metric was, the threshold, and when it would have been in ALARM.
//!
//! Promise: one file that needs nothing else and runs nothing; text from logs and files stands in it as text.

use std::fmt::Write;

use watchbell_model::{Plan, Timestamp};

use super::timeline::Watched;
use super::{AlarmStory, Change, Comparison, Difference, Episode, Points, Replay, Replayed, Spent, words};

/// Alarms, or states of alarms, that are drawn.
const CHARTS_MAX: usize = 200;

/// Rows of the table of messages.
const MESSAGES_MAX: usize = 500;

/// Rows of the table of differences.
const DIFFERENCES_MAX: usize = 500;

/// Size of a chart in its own units; the page stretches it.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 140.0;

/// Height of the marks at a chart's edges.
const EDGE: f64 = 7.0;

/// Narrowest mark of a stay in ALARM, in a chart's units.
const MARK_WIDTH_MIN: f64 = 2.5;

/// All that a page tells.
pub struct Report<'a> {
    /// The rules.
    pub plan: &'a Plan,
    /// What was replayed.
    pub replayed: &'a Replayed,
    /// The replay, with datapoints.
    pub replay: &'a Replay,
    /// What became of each alarm.
    pub stories: &'a [AlarmStory],
    /// The other rules' file, what became of its alarms, and how they differ.
    pub against: Option<(&'a str, &'a [AlarmStory], &'a Comparison)>,
    /// How budgets were kept.
    pub spent: &'a [Spent],
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let mut page = String::from("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
        page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
        put(&mut page, &format!("<title>Backtest of {}</title>\n", text(&self.plan.file)));
        put(&mut page, &format!("<style>\n{}</style>\n", include_str!("report.css")));
        self.head(&mut page);
        self.sums(&mut page);
        // Those that rang first.
        let (rang, quiet): (Vec<_>, Vec<_>) =
            self.stories.iter().partition(|story| !story.episodes.is_empty());
        for story in rang.into_iter().chain(quiet).take(CHARTS_MAX) {
            self.alarm(&mut page, story);
        }
        left_out(&mut page, self.stories.len(), CHARTS_MAX);
        self.differences(&mut page);
        self.messages(&mut page);
        page += "</html>\n";
        page
    }

    fn head(&self, page: &mut String) {
        let Replayed { from, until, lines, bytes } = *self.replayed;
        let length = words::duration(until.ms_since(from));
        put(page, &format!("<h1>Backtest of {}</h1>\n", text(&self.plan.file)));
        let size = words::size(bytes);
        let span =
            format!("{lines} lines, {size}, from {} to {} ({length})", words::time(from), words::time(until));
        put(page, &format!("<p class=\"soft\">{span}</p>\n"));
        for spent in self.spent {
            let (class, verdict) = if spent.exceeded { ("bad", "exceeded") } else { ("soft", "kept") };
            let worst = spent.from.map(|from| format!(", from {} on", words::time(from))).unwrap_or_default();
            let line = format!("budget {} {verdict}: {} {}{worst}", spent.budget, spent.whose, spent.most);
            put(page, &format!("<p class=\"{class}\">{}</p>\n", text(&line)));
        }
    }

    fn sums(&self, page: &mut String) {
        let heads = ["alarm", "times", "in ALARM", "at night", "messages"];
        let rows = self.stories.iter().map(|story| {
            let messages: Vec<String> =
                story.messages.iter().map(|(to, count)| format!("{count} to {to}")).collect();
            vec![
                story.alarm.clone(),
                story.episodes.len().to_string(),
                if story.episodes.is_empty() { String::new() } else { words::duration(story.in_alarm_ms) },
                story.began_at_night.to_string(),
                messages.join(", "),
            ]
        });
        table(page, &heads, rows);
    }

    fn differences(&self, page: &mut String) {
        let Some((file, _, comparison)) = self.against else { return };
        put(page, &format!("<h2>Against {}</h2>\n", text(file)));
        put(page, &format!("<p class=\"soft\">{}</p>\n", text(&words::comparison(comparison))));
        let shown = comparison.differences.iter().take(DIFFERENCES_MAX).map(|difference| {
            let (kind, alarm, summary) = match difference {
                Difference::Gained { alarm, new } => ("gained", alarm, &new.summary),
                Difference::Lost { alarm, old } => ("lost", alarm, &old.summary),
                Difference::Moved { alarm, new, .. } => ("moved", alarm, &new.summary),
            };
            let what = match difference {
                Difference::Moved { old, new, .. } => words::moved(old, new),
                _ => summary.clone(),
            };
            vec![words::time(difference.at()), kind.to_owned(), alarm.clone(), what]
        });
        table(page, &["time", "what", "alarm", ""], shown);
        left_out(page, comparison.differences.len(), DIFFERENCES_MAX);
    }

    fn alarm(&self, page: &mut String, story: &AlarmStory) {
        put(page, &format!("<h2>{}</h2>\n", text(&story.alarm)));
        let watched = Watched::of(self.plan, &story.rule);
        let rule = watched.as_ref().map(|watched| watched.rule.clone()).unwrap_or_default();
        put(page, &format!("<p class=\"soft\">{}</p>\n", text(&rule)));
        let points = self.replay.datapoints(&story.alarm);
        let threshold = watched.as_ref().and_then(|watched| watched.threshold);
        let old = self.against.and_then(|(_, stories, _)| stories.iter().find(|it| it.alarm == story.alarm));
        let chart = Chart {
            from: self.replayed.from,
            until: self.replayed.until,
            slot_ms: watched.map_or(60_000, |watched| watched.period_ms),
            points,
            threshold,
        };
        put(page, "<div class=\"chart\">\n");
        let highest = chart.highest().map(|value| format!("highest {}", words::number(value)));
        let limit = threshold.map(|value| format!("threshold {}", words::number(value)));
        let labels = [highest, limit].map(|label| format!("<span>{}</span>", label.unwrap_or_default()));
        put(page, &format!("<div class=\"axis\">{}</div>\n", labels.concat()));
        chart.draw(page, &story.episodes, old.map(|story| story.episodes.as_slice()));
        let middle = Timestamp(i64::midpoint(chart.from.0, chart.until.0)).floor_to(1000);
        let times = [chart.from, middle, chart.until]
            .map(|at| format!("<span>{} {}</span>", at.utc_date(), at.utc_clock()));
        put(page, &format!("<div class=\"axis\">{}</div>\n</div>\n", times.concat()));
        key(page, points, old.is_some());
    }

    fn messages(&self, page: &mut String) {
        let told: Vec<&Change> =
            self.replay.changes().iter().filter(|change| !change.told.is_empty()).collect();
        put(page, "<h2>Messages</h2>\n");
        if told.is_empty() {
            put(page, "<p class=\"soft\">nobody would have been told anything</p>\n");
            return;
        }
        let rows = told.iter().take(MESSAGES_MAX).map(|change| {
            let first = change.first_line.as_ref().map(|line| line.text.clone()).unwrap_or_default();
            vec![words::time(change.at), change.summary.clone(), change.told.join(", "), first]
        });
        table(page, &["time", "message", "to", "first line"], rows);
        left_out(page, told.len(), MESSAGES_MAX);
    }
}

fn left_out(page: &mut String, all: usize, shown: usize) {
    if all > shown {
        put(page, &format!("<p class=\"soft\">and {} more, not shown here</p>\n", all - shown));
    }
}

fn key(page: &mut String, points: Option<&Points>, with_old: bool) {
    let mut parts = vec![("alarm", "in ALARM"), ("data", "value of a period"), ("dashes", "threshold")];
    if with_old {
        parts.push(("old", "in ALARM under the other rules"));
    }
    put(page, "<p class=\"soft\">");
    for (class, meaning) in parts {
        let mark = format!(
            "<svg class=\"key\" viewBox=\"0 0 1 1\"><rect class=\"{class}\" width=\"1\" height=\"1\"/></svg>"
        );
        put(page, &format!("<span class=\"part\">{mark}{meaning}</span> "));
    }
    match points.filter(|points| !points.points.is_empty()) {
        None => put(page, "no values at all"),
        Some(points) if points.width_ms > 0 => {
            put(page, &format!("each bar is the range of {}", words::duration(points.width_ms)));
        }
        Some(_) => {}
    }
    put(page, "</p>\n");
}

/// One alarm over time.
struct Chart<'a> {
    from: Timestamp,
    until: Timestamp,
    slot_ms: i64,
    points: Option<&'a Points>,
    threshold: Option<f64>,
}

impl Chart<'_> {
    fn highest(&self) -> Option<f64> {
        self.points.iter().flat_map(|points| &points.points).map(|point| point.maximum).reduce(f64::max)
    }

    /// The greatest value that fits.
    fn top(&self) -> f64 {
        let values = self.points.iter().flat_map(|points| &points.points).map(|point| point.maximum);
        let top = values.chain(self.threshold).fold(0.0, f64::max);
        if top > 0.0 { top * 1.08 } else { 1.0 }
    }

    fn bottom(&self) -> f64 {
        let values = self.points.iter().flat_map(|points| &points.points).map(|point| point.minimum);
        values.chain(self.threshold).fold(0.0, f64::min) * 1.08
    }

    #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
    fn x(&self, at: Timestamp) -> f64 {
        let span_ms = self.until.ms_since(self.from).max(1) as f64;
        (at.ms_since(self.from) as f64 / span_ms * WIDTH).clamp(0.0, WIDTH)
    }

    fn y(&self, value: f64) -> f64 {
        let (bottom, top) = (self.bottom(), self.top());
        (HEIGHT - (value - bottom) / (top - bottom) * HEIGHT).clamp(0.0, HEIGHT)
    }

    fn draw(&self, page: &mut String, episodes: &[Episode], old: Option<&[Episode]>) {
        let open =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\">\n");
        put(page, &open);
        for mark in self.marks(episodes) {
            let (x, width, title) = (mark.x, mark.width(), text(&mark.title()));
            let rect = format!(
                "<rect class=\"alarm\" x=\"{x:.2}\" y=\"0\" width=\"{width:.2}\" height=\"{HEIGHT}\">"
            );
            put(page, &format!("{rect}<title>{title}</title></rect>"));
            put(page, &format!("<path class=\"edge\" d=\"M{x:.2} 0V{EDGE}\"/>\n"));
        }
        put(page, &format!("<path class=\"data\" d=\"{}\"/>\n", self.bars()));
        if let Some(threshold) = self.threshold {
            let y = self.y(threshold);
            put(page, &format!("<path class=\"limit\" d=\"M0 {y:.2}H{WIDTH}\"/>\n"));
        }
        for mark in self.marks(old.unwrap_or_default()) {
            let (x, width, title) = (mark.x, mark.width(), text(&mark.title()));
            let y = HEIGHT - EDGE;
            let rect =
                format!("<rect class=\"old\" x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{EDGE}\">");
            put(page, &format!("{rect}<title>{title}</title></rect>\n"));
        }
        put(page, "</svg>\n");
    }

    /// A mark for each stay; those that would touch share one.
    fn marks<'e>(&self, episodes: &'e [Episode]) -> Vec<Mark<'e>> {
        let mut marks: Vec<Mark<'e>> = Vec::new();
        for episode in episodes {
            let (x, end) = (self.x(episode.from), self.x(episode.until.unwrap_or(self.until)));
            match marks.last_mut() {
                Some(last) if x <= last.x + last.width() => (last.end, last.stays) = (end, last.stays + 1),
                _ => marks.push(Mark { x: x.min(WIDTH - MARK_WIDTH_MIN), end, first: episode, stays: 1 }),
            }
        }
        marks
    }

    /// A bar for each point: from nothing to its value, or over its range where it stands for several.
    fn bars(&self) -> String {
        let Some(points) = self.points else { return String::new() };
        let mut path = String::new();
        for point in &points.points {
            if point.start > self.until {
                break;
            }
            let x = self.x(point.start);
            let end = self.x(point.start.plus_ms(self.slot_ms.max(points.width_ms)));
            let (low, high) = (point.minimum.min(0.0), point.maximum.max(0.0));
            let (top, bottom) = (self.y(high), self.y(low));
            // A value of nothing is still a value: it shows as a hair.
            let bottom = bottom.max(top + 0.8);
            let right = end.max(x + 1.2);
            write!(path, "M{x:.2} {bottom:.2}V{top:.2}H{right:.2}V{bottom:.2}z")
                .expect("writing to a string");
        }
        path
    }
}

/// Stays in ALARM as one mark of a chart.
struct Mark<'e> {
    x: f64,
    end: f64,
    first: &'e Episode,
    stays: usize,
}

impl Mark<'_> {
    fn width(&self) -> f64 {
        (self.end - self.x).max(MARK_WIDTH_MIN)
    }

    fn title(&self) -> String {
        match self.stays {
            1 => format!("{}: {}", words::stay(self.first), self.first.summary),
            stays => format!("{stays} stays in ALARM, the first {}", words::stay(self.first)),
        }
    }
}

fn table(page: &mut String, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let is_number = |head: &str| matches!(head, "times" | "at night");
    let class = |head: &str| if is_number(head) { " class=\"number\"" } else { "" };
    put(page, "<table>\n<thead><tr>");
    for head in heads {
        put(page, &format!("<th{}>{}</th>", class(head), text(head)));
    }
    put(page, "</tr></thead>\n<tbody>\n");
    for row in rows {
        put(page, "<tr>");
        for (head, cell) in heads.iter().zip(row) {
            let named = if matches!(*head, "alarm" | "time" | "" | "message" | "what") { "" } else { head };
            let name =
                if named.is_empty() { String::new() } else { format!(" data-name=\"{}\"", text(named)) };
            put(page, &format!("<td{}{name}>{}</td>", class(head), text(&cell)));
        }
        put(page, "</tr>\n");
    }
    put(page, "</tbody>\n</table>\n");
}

fn put(page: &mut String, part: &str) {
    page.push_str(part);
}

/// Any text as text of a page; what could hide or turn text around is written out.
fn text(text: &str) -> String {
    let visible = watchbell_notify::visible(text);
    visible.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_logs_is_text_of_the_page() {
        assert_eq!(text("<script>\"&\u{202e}\n"), "&lt;script&gt;&quot;&amp;\\u{202e}\\n");
    }
}
