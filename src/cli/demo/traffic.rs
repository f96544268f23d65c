//! Visitors of the shop: what they ask for is fixed, only when is up to the machine.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use watchbell_example_shop::{CUSTOMERS, PRODUCTS};

use crate::outside::stopwatch;
use crate::outside::web::{Web, WebError};

/// Between two requests of the visitors.
const PACE: Duration = Duration::from_millis(20);

/// Between two guesses at a password.
const GUESS_PACE: Duration = Duration::from_millis(40);

/// Visitors that come and go until they are stopped.
pub(super) struct Traffic {
    end: watch::Sender<bool>,
    task: JoinHandle<Result<(), WebError>>,
    failures: watch::Receiver<Vec<Instant>>,
}

impl Traffic {
    /// Lets the visitors in.
    pub(super) fn start(shop: Web) -> Traffic {
        let (end, mut ended) = watch::channel(false);
        let (failed, failures) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            let mut pace = interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in 0.. {
                tokio::select! {
                    _ = ended.changed() => break,
                    _ = pace.tick() => {}
                }
                let sent = stopwatch::now();
                if visit(&shop, number).await?.is_server_error() {
                    failed.send_modify(|failures| failures.push(sent));
                }
            }
            Ok(())
        });
        Traffic { end, task, failures }
    }

    /// When the `number`th request that was answered with 5xx was sent, from 1; `None` if the visitors have stopped.
    pub(super) async fn failure_sent(&self, number: usize) -> Option<Instant> {
        // The message about a line can be here before the answer to its request.
        let mut failures = self.failures.clone();
        let failures = failures.wait_for(|failures| failures.len() >= number).await.ok()?;
        failures.get(number - 1).copied()
    }

    /// Waits until the last request has been answered. An error is the request that was not.
    pub(super) async fn stop(self) -> Result<(), WebError> {
        self.end.send_replace(true);
        self.task.await?
    }
}

/// The `number`th request: every visitor makes eight.
async fn visit(shop: &Web, number: usize) -> Result<StatusCode, WebError> {
    let (visitor, step) = (number / 8, number % 8);
    let from = format!("203.0.113.{}", 10 + visitor % 200);
    let (product, _) = PRODUCTS[visitor % PRODUCTS.len()];
    let (user, password) = CUSTOMERS[visitor % CUSTOMERS.len()];
    let login = format!("user={user}&password={password}");
    let (method, path, form) = match step {
        1 => ("GET", format!("/products/{product}"), String::new()),
        2 => ("GET", "/products/coffee".to_owned(), String::new()),
        3 => ("POST", "/login".to_owned(), login),
        4 => ("POST", format!("/cart?product={product}"), String::new()),
        5 => ("GET", "/cart".to_owned(), String::new()),
        6 => ("POST", "/checkout".to_owned(), String::new()),
        _ => ("GET", "/".to_owned(), String::new()),
    };
    shop.visit(method, &path, &from, form).await
}

/// Tries wrong passwords one after the other; gives when each was sent.
pub(super) async fn guess_passwords(shop: &Web, guesses: usize) -> Result<Vec<Instant>, WebError> {
    let mut sent = Vec::new();
    let mut pace = interval(GUESS_PACE);
    for guess in 0..guesses {
        pace.tick().await;
        sent.push(stopwatch::now());
        shop.visit("POST", "/login", "198.51.100.7", format!("user=root&password=secret{guess}")).await?;
    }
    Ok(sent)
}
