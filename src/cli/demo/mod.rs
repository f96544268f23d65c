//! `watchbell demo`: a small shop, watched; from what flows to the closing account.
//!
//! Promise: `watchbell up` runs as a user would start it, with a file as a user would write it; what is shown has
//! happened; if a part did not happen within its limit, the demo says which and fails.
//! Not here: anything that Watchbell does only for the demo.

mod account;
mod children;
mod probes;
mod receiver;
mod screen;
pub(super) mod shop;
mod stopwatch;
mod story;
mod traffic;
mod web;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use self::account::Account;
use self::children::Process;
use self::receiver::Inbox;
use self::screen::{Look, Screen};
use self::stopwatch::{Latency, ms};
use self::story::{Firing, Stage};
use self::traffic::Traffic;
use self::web::Web;
use super::{Format, Global, written};
use crate::{ExitStatus, Failure, out};

/// The file that the demo runs, and that a reader finds in `examples/shop`.
const CONFIG: &str = include_str!("../../../examples/shop/watchbell.toml");

/// See it work: a small shop, its logs, three alarms, an archive; needs nothing but this program
#[derive(Args)]
#[command(
    after_help = "It listens on 127.0.0.1 only, on free ports, and writes into one folder of its own.\n\n\
                        Examples:\n  watchbell demo                 stays up for you to try things; Ctrl-C ends it\n  \
                        watchbell demo --once          ends on its own within a minute; exit code 0 if all went well"
)]
pub(super) struct Options {
    /// End after the closing account
    #[arg(long)]
    once: bool,
    /// Work in this folder, new or empty, and keep it; by default in a temporary one
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Where everything is, all in one folder.
struct Places {
    folder: PathBuf,
    config: PathBuf,
    logs: PathBuf,
    data: PathBuf,
    archive: PathBuf,
    /// What `watchbell up` writes to its standard output: the messages of the console channel.
    console: PathBuf,
}

/// What the demo has to say at its end.
struct Report {
    account: Account,
    firings: Vec<Firing>,
    latency: Latency,
    verified: usize,
    elapsed: Duration,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let is_json = global.format == Format::Json;
    let places = Places::make(options.dir.as_deref())?;
    let mut screen = Screen::new(is_json);
    let outcome = runtime()?.block_on(demo(&places, options.once, &mut screen));
    let folder = places.folder.display();
    let report = outcome.map_err(|failure| {
        if failure.help.is_some() { failure } else { failure.help(format!("everything is kept in {folder}")) }
    })?;
    if is_json {
        written(out::line(&report.json().to_string()))?;
    }
    if options.once && options.dir.is_none() {
        return std::fs::remove_dir_all(&places.folder).map_err(|error| Failure::io(folder, &error));
    }
    screen.say(&format!("\n  everything is kept in {folder}"));
    Ok(())
}

/// All of it, from the first child to the closing account.
async fn demo(places: &Places, once: bool, screen: &mut Screen) -> Result<Report, Failure> {
    let started = stopwatch::now();
    let mut signals = Signals::new().map_err(unavailable)?;
    let (payment, works) = listener().await?;
    let (payment_works, is_working) = watch::channel(true);
    tokio::spawn(watchbell_example_shop::payment::serve(payment, is_working));
    let (hook, hook_address) = listener().await?;
    let key = random_key()?;
    let inbox = Inbox::new(&key);
    tokio::spawn(receiver::serve(hook, Arc::clone(&inbox)));

    let (mut shop, shop_address) = Process::shop(places, works).await?;
    let probe_log = probes::open(&places.logs).map_err(|error| Failure::io(places.logs.display(), &error))?;
    let hook = format!("http://{hook_address}/hook");
    let (mut up, up_address) = Process::up(places, &hook, &format!("whsec_{}", STANDARD.encode(key))).await?;
    let traffic = Traffic::start(Web::new(shop_address));
    let mut stage = Stage {
        places,
        screen,
        inbox: Arc::clone(&inbox),
        shop: Web::new(shop_address),
        up: Web::new(up_address),
        traffic: &traffic,
        payment_works,
        firings: Vec::new(),
    };
    stage.introduce(shop_address, up_address, hook_address);
    let told = tokio::select! {
        told = stage.play(probe_log) => told,
        failure = shop.died() => Err(failure),
        failure = up.died() => Err(failure),
        () = signals.any() => Err(unavailable("interrupted before the end")),
    };
    let told = match told {
        Ok(latency) if !once => {
            stage.suggest(up_address);
            tokio::select! {
                () = stage.keep_showing() => Ok(latency),
                failure = shop.died() => Err(failure),
                failure = up.died() => Err(failure),
                () = signals.any() => Ok(latency),
            }
        }
        told => told,
    };
    let firings = std::mem::take(&mut stage.firings);
    // In this order nothing is written that nobody reads; and whatever went wrong, both children are ended.
    let visited =
        traffic.stop().await.map_err(|error| unavailable(format!("a visitor of the shop: {error}")));
    let (closed, terminated) = (shop.close().await, up.terminate().await);
    let latency = told?;
    visited.and(closed).and(terminated)?;
    let account = Account::of(places).await?;
    let (verified, elapsed) = (inbox.verified(), started.elapsed());
    let report = Report { account, firings, latency, verified, elapsed };
    report.show(screen);
    match inbox.refused() {
        _ if !report.account.balances() => {
            Err(finding(format!("the account does not balance: lines {}", report.account.equation())))
        }
        0 => Ok(report),
        refused => Err(finding(format!("{refused} webhook messages had no good signature"))),
    }
}

impl Places {
    /// Makes the folder with the file in it.
    fn make(dir: Option<&Path>) -> Result<Places, Failure> {
        let folder = match dir {
            Some(dir) => std::path::absolute(dir).map_err(|error| Failure::io(dir.display(), &error))?,
            None => std::env::temp_dir().join(format!("watchbell-demo-{}", random_name()?)),
        };
        let failure = |error: std::io::Error| {
            let failure = Failure::io(format!("folder {}", folder.display()), &error);
            failure.help("name a folder that can be made or written to: watchbell demo --dir FOLDER")
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failure)?;
        if std::fs::read_dir(&folder).map_err(failure)?.next().is_some() {
            let message = format!("folder {} is not empty", folder.display());
            return Err(Failure::new(ExitStatus::Usage, message).help("name a new folder, or none at all"));
        }
        let at = |name: &str| folder.join(name);
        let places = Places {
            config: at("watchbell.toml"),
            logs: at("logs"),
            data: at("data"),
            archive: at("archive"),
            console: at("messages.txt"),
            folder: folder.clone(),
        };
        std::fs::write(&places.config, format!("{CONFIG}{}", probes::config_text())).map_err(failure)?;
        Ok(places)
    }
}

impl Report {
    /// The archive's listing and the closing account.
    fn show(&self, screen: &mut Screen) {
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
        let Latency { firings, p50, p99, max } = latency;
        let latency = format!("p50 {} ms, p99 {} ms, max {} ms", ms(*p50), ms(*p99), ms(*max));
        for (label, what) in [
            ("lines", screen.paint(Look::Bold, &account.equation())),
            ("", balance),
            ("messages", format!("{verified} by webhook, every signature verified")),
            ("latency", format!("{latency} over {firings} firings")),
            ("", "from a line written to a followed file to the webhook received".to_owned()),
            ("audit trail", trail),
            ("time", format!("{:.1} s", elapsed.as_secs_f64())),
        ] {
            screen.say(&format!("  {label:<13}{what}"));
        }
    }

    fn json(&self) -> Value {
        let Report { account, firings, latency, verified, elapsed } = self;
        let in_ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let mut report = account.json();
        report["firings"] = firings.iter().map(Firing::json).collect();
        report["latency_ms"] = json!({
            "firings": latency.firings,
            "p50": in_ms(latency.p50),
            "p99": in_ms(latency.p99),
            "max": in_ms(latency.max),
        });
        report["messages_verified"] = json!(verified);
        report["elapsed_s"] = json!(elapsed.as_secs_f64());
        report
    }
}

/// Every way in which a user can ask for the end.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Signals> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Signals([interrupt?, terminate?, hangup?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(unavailable)
}

/// A free port of this machine.
async fn listener() -> Result<(TcpListener, std::net::SocketAddr), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    Ok((listener, address))
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    let mut bytes = [0; BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| unavailable("the operating system gives no random numbers"))?;
    Ok(bytes)
}

fn random_key() -> Result<[u8; 24], Failure> {
    random()
}

fn random_name() -> Result<String, Failure> {
    Ok(format!("{:08x}", u32::from_be_bytes(random()?)))
}

fn unavailable(what: impl std::fmt::Display) -> Failure {
    Failure::new(ExitStatus::Unavailable, what)
}

/// A part of the demo that did not happen.
fn finding(what: impl std::fmt::Display) -> Failure {
    Failure::new(ExitStatus::Finding, what)
}

#[cfg(test)]
mod tests {
    use watchbell_config::{Source, check};

    use super::*;

    #[test]
    fn the_example_and_what_the_demo_adds_are_a_good_file() {
        let with_probes = format!("{CONFIG}{}", probes::config_text());
        for (text, alarms) in [(CONFIG, 3), (&with_probes, 3 + probes::COUNT)] {
            let checked = check(&Source { name: "watchbell.toml", text, folder: Path::new("/shop") });
            assert!(checked.problems.is_empty(), "{:?}", checked.problems);
            assert_eq!(checked.plan.unwrap().alarms.len(), alarms);
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Places::make(Some(&folder.path().join("new"))).is_ok());
        let refused = Places::make(Some(folder.path())).err().unwrap();
        assert!(refused.message.contains("is not empty"), "{refused}");
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Places::make(Some(&file.join("below"))).is_err());
    }
}
