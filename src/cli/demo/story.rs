//! What happens, act by act, and how each is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::places::{PROBES, Places};
use super::screen::{Look, Screen, WIDTH, cut, wrap};
use super::traffic::{Traffic, guess_passwords};
use super::{finding, unavailable};
use crate::Failure;
use crate::outside::probes::Probes;
use crate::outside::receiver::{Arrival, Inbox};
use crate::outside::stopwatch::{self, BUILD, Latency, ms};
use crate::outside::web::Web;
use crate::run::clock::{Clock, SystemClock};

/// How long the visitors are watched before anything goes wrong.
const FLOW: Duration = Duration::from_secs(4);

/// Between two looks at what flows.
const REFRESH: Duration = Duration::from_millis(250);

/// The period of the alarms: slots are aligned to the clock.
const PERIOD_MS: i64 = 10_000;

/// What goes wrong must fit into one slot, so that it is known which line makes an alarm certain.
const INCIDENT_MS: i64 = 4_000;

/// Wrong passwords that are tried.
const GUESSES: usize = 8;

/// The threshold of the alarms: the line with this number makes each certain.
const CERTAIN: usize = 5;

/// How long an ALARM message may take.
const ALARM_LIMIT: Duration = Duration::from_secs(5);

/// How long an OK message may take: up to two slots of 10 s and their lateness, and some air.
const OK_LIMIT: Duration = Duration::from_secs(30);

/// How long the console may be behind the webhook.
const CONSOLE_LIMIT: Duration = Duration::from_secs(2);

/// Columns before a line of the message.
const BAR_WIDTH: usize = 4;

/// Columns before the facts of a message; lines of a log stand further in.
const MESSAGE_INDENT: usize = 15;

/// An alarm that has fired because of the shop, and how long after the request that made it certain was sent.
pub(super) struct Firing {
    alarm: String,
    latency: Duration,
}

impl Firing {
    pub(super) fn json(&self) -> Value {
        json!({ "alarm": self.alarm, "request_to_webhook_ms": self.latency.as_secs_f64() * 1000.0 })
    }
}

/// Everything that is on the stage.
pub(super) struct Stage<'a> {
    pub(super) places: &'a Places,
    pub(super) screen: &'a mut Screen,
    pub(super) inbox: Arc<Inbox>,
    pub(super) shop: Web,
    pub(super) up: Web,
    pub(super) traffic: &'a Traffic,
    pub(super) payment_works: watch::Sender<bool>,
    pub(super) firings: Vec<Firing>,
}

impl Stage<'_> {
    /// Who is who.
    pub(super) fn introduce(&mut self, shop: SocketAddr, up: SocketAddr, hook: SocketAddr) {
        let title = self.screen.paint(Look::Bold, "watchbell demo");
        self.screen.say(&format!("{title}: a small web shop, and Watchbell watching its logs"));
        self.screen.say("");
        for (name, address, what) in [
            ("shop", shop, "sells tea; writes access.log, app.log and auth.log"),
            ("watchbell", up, "watchbell up -c watchbell.toml"),
            ("on call", hook, "gets the messages, as a signed webhook"),
        ] {
            self.screen.say(&format!("  {name:<11}{:<25}{what}", format!("http://{address}")));
        }
        let folder = self.screen.paint(Look::Faint, &self.places.folder.display().to_string());
        self.screen.say(&format!("  {:<11}{folder}", "all in"));
    }

    /// Every act. Gives the latency of the probes.
    pub(super) async fn play(&mut self, probes: Probes) -> Result<Latency, Failure> {
        self.flow().await?;
        self.go_wrong().await?;
        self.show_message("http-5xx").await?;
        self.recover(probes).await
    }

    /// The visitors come and go, until there is room for an incident in the slot.
    async fn flow(&mut self) -> Result<(), Failure> {
        self.screen.heading("What flows");
        let started = stopwatch::now();
        loop {
            let lines = self.flowing(started).await?;
            let rest = PERIOD_MS - SystemClock.now().0.rem_euclid(PERIOD_MS);
            if started.elapsed() >= FLOW && rest >= INCIDENT_MS {
                self.screen.settle(&lines);
                return Ok(());
            }
            self.screen.live(lines);
            sleep(REFRESH).await;
        }
    }

    /// A line for each log group: what Watchbell itself says that it has accepted.
    async fn flowing(&self, started: Instant) -> Result<Vec<String>, Failure> {
        let metrics = self.up.get("/metrics").await;
        let (_, metrics) = metrics.map_err(|error| unavailable(format!("watchbell's /metrics: {error}")))?;
        let line = |(group, what): (&str, &str)| {
            let events = incoming(&metrics, group);
            let rate = f64::from(events) / started.elapsed().as_secs_f64().max(0.25);
            format!("  {group:<14}{events:>6} lines{rate:>6.0}/s   {what}")
        };
        let groups = [
            ("shop/access", "combined   every request"),
            ("shop/app", "json       what the shop says about it"),
            ("shop/auth", "plain      who logged in"),
        ];
        Ok(groups.map(line).to_vec())
    }

    /// Somebody guesses passwords, then the payment back end goes down.
    async fn go_wrong(&mut self) -> Result<(), Failure> {
        self.screen.heading("Something goes wrong");
        self.happens("somebody tries passwords for root");
        let guesses = guess_passwords(&self.shop, GUESSES).await;
        let guesses = guesses.map_err(|error| unavailable(format!("the shop: {error}")))?;
        let (_, arrival) = self.message("failed-logins", "ALARM", ALARM_LIMIT).await?;
        self.fired(&arrival, guesses[CERTAIN - 1]);
        self.happens("the payment back end stops answering; customers go on buying");
        self.payment_works.send_replace(false);
        let mut waiting = vec!["http-5xx", "app-errors"];
        while !waiting.is_empty() {
            let arrival = self.first_of(&mut waiting, "ALARM", ALARM_LIMIT).await?;
            let sent = self.traffic.failure_sent(CERTAIN).await;
            self.fired(&arrival, sent.ok_or_else(|| unavailable("the visitors of the shop are gone"))?);
        }
        let note = "time: from sending the request that made it certain to receiving the message";
        let note = self.screen.paint(Look::Faint, note);
        self.screen.say(&format!("  {note}"));
        Ok(())
    }

    fn happens(&mut self, what: &str) {
        let time = self.screen.paint(Look::Faint, &SystemClock.now().utc_clock());
        self.screen.say(&format!("  {time}  {what}"));
    }

    fn fired(&mut self, arrival: &Arrival, sent: Instant) {
        let latency = arrival.at.saturating_duration_since(sent);
        let after = format!("{} ms", ms(latency));
        self.changed(arrival, &after);
        self.firings.push(Firing { alarm: arrival.alarm.clone(), latency });
    }

    /// A line about a message.
    fn changed(&mut self, arrival: &Arrival, after: &str) {
        let Arrival { alarm, state, severity, summary, .. } = arrival;
        let look = if state == "OK" { Look::Good } else { Look::Alarm };
        let state = self.screen.paint(look, &format!("{state:<5}"));
        let why = summary.split_once(": ").map_or("", |(_, why)| why);
        let why = cut(why, 48);
        self.screen.say(&format!("  {state}  {alarm:<15}{severity:<10}{why:<50}{after:>9}"));
    }

    /// One message in full, as the console channel wrote it.
    async fn show_message(&mut self, alarm: &str) -> Result<(), Failure> {
        let start = format!("ALARM {alarm} ");
        let written = async {
            loop {
                let text = std::fs::read_to_string(&self.places.console).unwrap_or_default();
                // An empty line ends a message: without it, more is to come.
                let mut messages = text.split_inclusive("\n\n").filter(|it| it.ends_with("\n\n"));
                if let Some(message) = messages.find(|it| it.trim_start().starts_with(&start)) {
                    return message.trim().to_owned();
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let message = timeout(CONSOLE_LIMIT, written).await.map_err(|_| {
            finding(format!(
                "no message about {alarm} on watchbell's console within {} s",
                CONSOLE_LIMIT.as_secs()
            ))
        })?;
        self.screen.heading("The message a person gets");
        for line in message.lines() {
            // Lines of a log are cut; what is there to be copied goes on below itself.
            let is_log_text = line.starts_with(&" ".repeat(MESSAGE_INDENT + 1));
            let width = WIDTH - BAR_WIDTH;
            let lines = if is_log_text { vec![cut(line, width)] } else { wrap(line, width, MESSAGE_INDENT) };
            let bar = self.screen.paint(Look::Alarm, "│");
            for line in lines {
                self.screen.say(&format!("  {bar} {}", line.trim_end()));
            }
        }
        Ok(())
    }

    /// Payments work again. While the slots are decided, the latency of other alarms is measured.
    async fn recover(&mut self, mut probes: Probes) -> Result<Latency, Failure> {
        self.screen.heading("It is repaired");
        self.happens("the payment back end answers again, nobody tries passwords any more");
        self.payment_works.send_replace(true);
        let (done, measured) = watch::channel(0);
        let inbox = Arc::clone(&self.inbox);
        let probing = tokio::spawn(async move {
            let mut measured = Vec::with_capacity(PROBES);
            while measured.len() < PROBES {
                measured.push(probes.one(&inbox).await?);
                done.send_replace(measured.len());
            }
            Ok::<_, String>(measured)
        });
        let mut waiting = vec!["failed-logins", "http-5xx", "app-errors"];
        let repaired = stopwatch::now();
        let mut refresh = interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !waiting.is_empty() {
            let left = OK_LIMIT.saturating_sub(repaired.elapsed());
            let progress = self.progress(*measured.borrow());
            self.screen.live(vec![progress]);
            let mut still = waiting.clone();
            tokio::select! {
                arrival = self.first_of(&mut still, "OK", left) => {
                    let arrival = arrival?;
                    let after = format!("{:.1} s", arrival.at.saturating_duration_since(repaired).as_secs_f64());
                    self.changed(&arrival, &after);
                    waiting = still;
                }
                _ = refresh.tick() => {}
            }
        }
        self.screen.live(Vec::new());
        let measured = probing.await.map_err(unavailable)?.map_err(finding)?;
        let latency = Latency::of(measured).ok_or_else(|| finding("no latency was measured"))?;
        let note = "time: since the repair; OK comes when a whole period of 10 s was good";
        let note = self.screen.paint(Look::Faint, note);
        self.screen.settle(&[format!("  {note}")]);
        self.show_latency(&latency);
        Ok(latency)
    }

    fn progress(&self, done: usize) -> String {
        let text = format!("meanwhile {done} of {PROBES} other alarms have been rung, to time them");
        format!("  {}", self.screen.paint(Look::Faint, &text))
    }

    fn show_latency(&mut self, latency: &Latency) {
        let Latency { firings, p50, p99, max } = latency;
        self.screen.heading("How fast");
        let figures = format!("p50 {} ms   p99 {} ms   max {} ms", ms(*p50), ms(*p99), ms(*max));
        let figures = self.screen.paint(Look::Bold, &figures);
        self.screen.say(&format!("  {figures}   over {firings} firings{BUILD}"));
        self.screen
            .say("  from a line written to a followed file to the webhook received, each line on disk first");
    }

    /// The message about this alarm.
    async fn message(&self, alarm: &str, state: &str, limit: Duration) -> Result<(usize, Arrival), Failure> {
        let found = self.inbox.find(0, limit, |it| it.alarm == alarm && it.state == state).await;
        found.ok_or_else(|| missing(&[alarm], state, limit))
    }

    /// The first message about one of these alarms, which is taken out.
    async fn first_of(
        &self,
        waiting: &mut Vec<&str>,
        state: &str,
        limit: Duration,
    ) -> Result<Arrival, Failure> {
        let wanted = |it: &Arrival| it.state == state && waiting.contains(&it.alarm.as_str());
        let found = self.inbox.find(0, limit, wanted).await;
        let (_, arrival) = found.ok_or_else(|| missing(waiting, state, limit))?;
        waiting.retain(|alarm| *alarm != arrival.alarm);
        Ok(arrival)
    }

    /// What can be done while everything is running.
    pub(super) fn suggest(&mut self, up: SocketAddr) {
        let (config, logs) = (self.places.config.display(), self.places.logs.display());
        let program = std::env::args_os().next().unwrap_or_else(|| "watchbell".into());
        let program = program.to_string_lossy();
        let event = r#"{"level":"ERROR","message":"from curl"}"#;
        let ingest = format!("http://{up}/ingest/shop/app?stream=curl");
        self.screen.heading("It keeps running. Try, in another terminal:");
        for (what, command) in [
            (
                "ring app-errors over HTTP",
                format!(
                    "for i in 1 2 3 4 5; do echo '{event}'; done |\n      curl --data-binary @- '{ingest}'"
                ),
            ),
            (
                "which lines does a filter pattern match?",
                format!(
                    "{program} pattern '[..., status=4*, size, referer, agent]' \\\n      {logs}/access.log"
                ),
            ),
            ("who did what?", format!("{program} trail ls -c {config}")),
            ("Watchbell's own counters", format!("curl http://{up}/metrics")),
        ] {
            let what = self.screen.paint(Look::Faint, &format!("# {what}"));
            self.screen.say(&format!("  {what}\n    {command}"));
        }
        self.screen.say("\n  Ctrl-C ends it, archives what is in, and draws up the account.\n");
    }

    /// Shows every further message about the shop.
    pub(super) async fn keep_showing(&mut self) {
        let mut from = self.inbox.verified();
        let for_ever = Duration::MAX;
        while let Some((at, arrival)) =
            self.inbox.find(from, for_ever, |it| !it.alarm.starts_with("probe-")).await
        {
            let time = SystemClock.now().utc_clock();
            self.changed(&arrival, &time);
            from = at + 1;
        }
    }
}

fn missing(alarms: &[&str], state: &str, limit: Duration) -> Failure {
    finding(format!("no {state} message about {} within {} s", alarms.join(" and "), limit.as_secs()))
}

/// A log group's counter out of the text of `/metrics`; 0 as long as it is not there.
fn incoming(metrics: &str, group: &str) -> u32 {
    let start = format!("watchbell_incoming_log_events_total{{log_group=\"{group}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_log_group() {
        let metrics = "watchbell_incoming_log_events_total{log_group=\"shop/app\"} 7\n\
                       watchbell_incoming_log_events_total{log_group=\"shop/access\"} 12\n# EOF\n";
        assert_eq!([incoming(metrics, "shop/access"), incoming(metrics, "shop/auth")], [12, 0]);
    }
}
