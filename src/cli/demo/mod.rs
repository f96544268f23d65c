//! `watchbell demo`: a small shop, watched; from what flows to the closing account.
//!
//! Promise: `watchbell up` runs as a user would start it, with a file as a user would write it; what is shown has
//! happened; if a part did not happen within its limit, the demo says which and fails.
//! Not here: anything that Watchbell does only for the demo.

mod account;
mod places;
mod report;
mod screen;
pub(super) mod shop;
mod story;
mod traffic;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use self::account::Account;
use self::places::Places;
use self::report::{Report, signatures};
use self::screen::Screen;
use self::story::Stage;
use self::traffic::Traffic;
use super::{Format, Global, written};
use crate::outside::children::Process;
use crate::outside::probes::{self, Probes};
use crate::outside::receiver::{self, Inbox};
use crate::outside::stopwatch;
use crate::outside::web::Web;
use crate::{ExitStatus, Failure, out};

/// Length of the key that signs the webhook's messages.
const KEY_BYTES: usize = 24;

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

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let is_json = global.format == Format::Json;
    let places = Places::make(options.dir.as_deref())?;
    let mut screen = Screen::new(is_json);
    let folder = places.folder.display();
    let kept = |failure: Failure| match failure.help {
        Some(_) => failure,
        None => failure.help(format!("everything is kept in {folder}")),
    };
    let report = runtime()?.block_on(demo(&places, options.once, &mut screen)).map_err(kept)?;
    report.show(&mut screen);
    if is_json {
        written(out::line(&report.json().to_string()))?;
    }
    report.verdict().map_err(kept)?;
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
    let key = random::<KEY_BYTES>()?;
    let inbox = Inbox::new(&key);
    tokio::spawn(receiver::serve(hook, Arc::clone(&inbox)));

    let (mut shop, shop_address) = start_shop(places, works).await?;
    let probes = Probes::open(&places.logs).map_err(|error| Failure::io(places.logs.display(), &error))?;
    let hook = format!("http://{hook_address}/hook");
    let key = format!("whsec_{}", STANDARD.encode(key));
    let environment =
        [("SHOP_HOOK", &*hook), ("SHOP_HOOK_KEY", &*key), (probes::HOOK, &*hook), (probes::HOOK_KEY, &*key)];
    let log = places.folder.join("watchbell.log");
    let (mut up, up_address) = Process::up(&places.config, &places.console, log, &environment).await?;
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
        told = stage.play(probes) => told,
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
    let latency = told.map_err(|failure| match inbox.refused() {
        0 => failure,
        // Whatever did not come, this is why.
        refused => finding(signatures(refused)),
    })?;
    visited.and(closed).and(terminated)?;
    let account = Account::of(places).await?;
    let (verified, refused) = (inbox.verified(), inbox.refused());
    Ok(Report { account, firings, latency, verified, refused, elapsed: started.elapsed() })
}

/// The shop; and where it listens.
async fn start_shop(places: &Places, payment: SocketAddr) -> Result<(Process, SocketAddr), Failure> {
    let payment = payment.to_string();
    let arguments = ["demo-shop", "--listen", "127.0.0.1:0", "--payment", &payment, "--logs"].map(OsStr::new);
    let arguments = [&arguments[..], &[places.logs.as_os_str()]].concat();
    Process::listening("the shop", &arguments, places.folder.join("shop.log")).await
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

/// Random bytes of the operating system.
fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    let mut bytes = [0; BYTES];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| unavailable("the operating system gives no random numbers"))?;
    Ok(bytes)
}

fn unavailable(what: impl std::fmt::Display) -> Failure {
    Failure::new(ExitStatus::Unavailable, what)
}

/// A part of the demo that did not happen.
fn finding(what: impl std::fmt::Display) -> Failure {
    Failure::new(ExitStatus::Finding, what)
}
