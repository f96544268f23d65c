//! The end: everything that is in is decided, told and archived, in the order in which things flow.

use std::thread::JoinHandle;

use watchbell_model::Offset;

use super::dispatcher::DRAIN_TIMEOUT;
use super::trail::TrailDraft;
use super::{Running, Threads};
use crate::Failure;

impl Running {
    /// Ends in the order in which things flow: nothing new comes in, what is in is decided, told and archived, and the
    /// next start finds a snapshot.
    ///
    /// # Errors
    /// [`Failure`] if the disk failed meanwhile. What was acknowledged stays in the journal all the same.
    pub async fn drain(mut self) -> Result<(), Failure> {
        self.stopping.send_replace(true);
        report(
            "HTTP",
            self.server
                .await
                .map_err(|error| error.to_string())
                .and_then(|ended| ended.map_err(|error| error.to_string())),
        );
        // An error means that the collector has ended on its own because the writer has failed; that is told below.
        let _ = self.collector.drain().await;
        let fold = self.fold.clone();
        if let Ok(Ok(receipt)) = self.writer.barrier().await {
            let decided = move || {
                fold.wait_for(Offset(receipt.offset.0.saturating_sub(1)));
                fold.wait_until(DRAIN_TIMEOUT, |fold| fold.engine.unconfirmed().next().is_none())
            };
            let _ = tokio::task::spawn_blocking(decided).await;
        }
        let _ = self.drain_archiver.send(());
        drop(self.drain_archiver);
        let archiver = self.threads.archiver;
        report(
            "archiver",
            tokio::task::spawn_blocking(|| archiver.join()).await.map_err(|error| error.to_string()),
        );
        let _ = self.finish_dispatcher.send(());
        if tokio::time::timeout(DRAIN_TIMEOUT, self.dispatcher).await.is_err() {
            tracing::warn!("messages are still on their way; they go out again after the next start");
        }
        self.writer.trail(TrailDraft::done("watchbell.stop", env!("CARGO_PKG_VERSION")));
        self.writer.snapshot();
        self.writer.close();
        let Threads { collector, writer, fold, .. } = self.threads;
        let joined = tokio::task::spawn_blocking(|| [collector, writer, fold].map(JoinHandle::join)).await;
        report("threads", joined.map_err(|error| error.to_string()));
        match self.failures.try_recv() {
            Ok(failure) => Err(failure),
            Err(_) => Ok(()),
        }
    }
}

fn report<T>(what: &str, ended: Result<T, String>) {
    if let Err(error) = ended {
        tracing::error!(error, "{what} did not end well");
    }
}
