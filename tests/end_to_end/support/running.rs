//! Watchbell inside the test's own process, with a clock that is wound by hand.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Runtime;
use watchbell::Failure;
use watchbell::run::clock::{Clock, HandWoundClock};
use watchbell::run::fold::Fold;
use watchbell::run::{ReloadError, Running, Setup, Sizes, console};
use watchbell_journal::{Disk, RealDisk};
use watchbell_model::{GroupName, Plan, Timestamp};

use super::eventually;
use super::site::Site;

/// A minute's start: 2026-11-22T21:12:00Z.
pub(crate) const START: Timestamp = Timestamp(1_795_381_920_000);

/// A running Watchbell and its clock.
pub(crate) struct InProcess {
    runtime: Runtime,
    running: Option<Running>,
    pub(crate) clock: Arc<HandWoundClock>,
}

impl InProcess {
    /// Runs what the site's file says; the clock shows `now`.
    pub(crate) fn start(site: &Site, now: Timestamp) -> InProcess {
        InProcess::start_on(site, now, Arc::new(RealDisk))
    }

    /// The same with journal and snapshots on this disk.
    pub(crate) fn start_on(site: &Site, now: Timestamp, disk: Arc<dyn Disk>) -> InProcess {
        InProcess::start_with(&site.plan(), now, disk, Sizes::default())
    }

    /// The same with this plan, and a journal that writes so much at a time.
    pub(crate) fn start_with(plan: &Plan, now: Timestamp, disk: Arc<dyn Disk>, sizes: Sizes) -> InProcess {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (runtime, clock) = (runtime.unwrap(), Arc::new(HandWoundClock::new(now)));
        let setup = Setup {
            plan: plan.clone(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            disk,
            console: console(|_| Ok(())),
            colour: false,
            sizes,
        };
        let running = Running::start(setup, runtime.handle()).unwrap();
        let running = InProcess { runtime, running: Some(running), clock };
        // Whoever winds the clock from here on winds it for this plan.
        eventually("the plan is in force", || {
            running.look(|fold| fold.engine.plan().is_some_and(|(_, it)| it == plan))
        });
        running
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running().address()
    }

    /// Puts in force what the site's file says now.
    pub(crate) fn reload(&self, site: &Site) -> Result<(), ReloadError> {
        self.runtime.block_on(self.running().reload(site.plan()))
    }

    /// Looks at what is derived from the journal.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Fold) -> T) -> T {
        look(&self.running().fold().look())
    }

    /// Events of a group that are in the journal and folded.
    pub(crate) fn events(&self, group: &str) -> u64 {
        let group = GroupName::new(group).unwrap();
        self.look(|fold| fold.engine.counters().groups.get(&group).map_or(0, |counters| counters.events))
    }

    /// Waits until that many events of a group are in the journal and folded.
    pub(crate) fn wait_for_events(&self, group: &str, events: u64) {
        eventually(&format!("{events} events of {group}"), || {
            let seen = self.events(group);
            assert!(seen <= events, "{seen} events of {group}, more than {events}");
            seen == events
        });
    }

    /// The state of an alarm.
    pub(crate) fn state(&self, alarm: &str) -> String {
        self.look(|fold| {
            let run = fold.engine.alarms().find(|(name, ..)| *name == alarm).map(|(.., run)| run.state);
            run.map_or_else(|| "no such alarm".to_owned(), |state| state.to_string())
        })
    }

    /// Waits until an alarm is in a state.
    pub(crate) fn wait_for_state(&self, alarm: &str, state: &str) {
        eventually(&format!("alarm {alarm} is {state}"), || self.state(alarm) == state);
    }

    /// Waits until no message waits any more.
    pub(crate) fn wait_for_deliveries(&self) {
        eventually("nothing waits in the outbox", || self.look(|fold| fold.outbox.is_empty()));
    }

    /// Waits for something that it cannot go on without to fail, and lets it end.
    pub(crate) fn failure(mut self) -> Failure {
        let mut running = self.running.take().unwrap();
        let failure = self.runtime.block_on(running.failed());
        // It has nothing more to say: who waits for it has heard.
        let _ = self.runtime.block_on(running.drain());
        failure
    }

    /// Ends well.
    pub(crate) fn drain(mut self) {
        let running = self.running.take().unwrap();
        self.runtime.block_on(running.drain()).unwrap();
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("drain takes the whole value")
    }
}
