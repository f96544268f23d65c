//! What the demo has to say at its end.

use std::time::Duration;

use serde_json::{Value, json};

use super::account::Account;
use super::finding;
use super::screen::{self, Look, Screen};
use super::story::Firing;
use crate::Failure;
use crate::outside::stopwatch::{BUILD, Latency, ms};

/// What the demo has to say at its end.
pub(super) struct Report {
    pub(super) account: Account,
    pub(super) firings: Vec<Firing>,
    pub(super) latency: Latency,
    /// Messages whose signature was good.
    pub(super) verified: usize,
    /// Messages whose signature was not.
    pub(super) refused: usize,
    pub(super) elapsed: Duration,
}

impl Report {
    /// The archive's listing and the closing account.
    pub(super) fn show(&self, screen: &mut Screen) {
        let Report { account, latency, verified, elapsed, .. } = self;
        screen.heading("The archive, as Parquet, by date, app and severity");
        for it in &account.partitions {
            let path = format!("date={}/app={}/severity={}", it.date, it.app, it.severity);
            let (events, bytes) = (it.events, screen::bytes(it.bytes));
            screen.say(&format!("  {path:<52}{events:>8} events{bytes:>12}"));
        }
        screen.heading("The account");
        let balance = if account.balances() {
            screen.paint(Look::Good, "each line once, word for word")
        } else {
            screen.paint(Look::Alarm, "it does not balance")
        };
        let trail = match &account.trail_break {
            None => format!("{} records, the chain holds", account.trail_records),
            Some(broken) => broken.clone(),
        };
        let messages = match self.refused {
            0 => format!("{verified} by webhook, every signature verified"),
            refused => signatures(refused),
        };
        let Latency { firings, p50, p99, max } = latency;
        let latency = format!("p50 {} ms, p99 {} ms, max {} ms", ms(*p50), ms(*p99), ms(*max));
        for (label, what) in [
            ("lines", screen.paint(Look::Bold, &account.equation())),
            ("", balance),
            ("messages", messages),
            ("latency", format!("{latency} over {firings} firings{BUILD}")),
            ("", "from a line written to a followed file to the webhook received".to_owned()),
            ("audit trail", trail),
            ("time", format!("{:.1} s", elapsed.as_secs_f64())),
        ] {
            screen.say(&format!("  {label:<13}{what}"));
        }
    }

    pub(super) fn json(&self) -> Value {
        let Report { account, firings, latency, verified, refused, elapsed } = self;
        let in_ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let mut report = account.json();
        report["firings"] = firings.iter().map(Firing::json).collect();
        report["latency_ms"] = json!({
            "firings": latency.firings,
            "p50": in_ms(latency.p50),
            "p99": in_ms(latency.p99),
            "max": in_ms(latency.max),
        });
        report["messages"] = json!({ "verified": verified, "refused": refused });
        report["elapsed_s"] = json!(elapsed.as_secs_f64());
        report
    }
    /// Whether every part came out as it must.
    ///
    /// # Errors
    /// A finding that says which did not.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.refused {
            _ if !self.account.balances() => {
                Err(finding(format!("the account does not balance: lines {}", self.account.equation())))
            }
            0 => Ok(()),
            refused => Err(finding(signatures(refused))),
        }
    }
}

/// What there is to say about messages that were refused.
pub(super) fn signatures(refused: usize) -> String {
    format!("{refused} webhook messages had no good signature")
}
