//! The end: everything that is in is decided, told and archived, in the order in which things flow.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc;
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
    /// [`Failure`] if something failed meanwhile that Watchbell cannot go on without. What was acknowledged stays in
    /// the journal all the same.
    pub async fn drain(mut self) -> Result<(), Failure> {
        let (_, none) = mpsc::unbounded_channel();
        let mut failures = std::mem::replace(&mut self.failures, none);
        tokio::select! {
            biased;
            Some(failure) = failures.recv() => Err(failure),
            () = self.drain_in_order() => failures.try_recv().map_or(Ok(()), Err),
        }
    }

    async fn drain_in_order(self) {
        self.stopping.send_replace(true);
        match self.server.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "HTTP did not end well"),
            Err(error) => tracing::error!(%error, "HTTP did not end well"),
        }
        self.writer.end_waiting();
        // They end with the message that they have, for which they need the broker.
        let Threads { collector, archiver, functions: watching, writer, upkeep, fold: fold_thread } =
            self.threads;
        let functions = Arc::clone(&self.functions);
        let ended = move || {
            // First whoever may begin another worker.
            let _ = watching.join();
            functions.join();
        };
        let _ = tokio::task::spawn_blocking(ended).await;
        let _ = self.broker.finish.send(());
        // An error here and below means that a thread has failed; whoever failed has said so.
        let _ = self.collector.drain().await;
        self.inputs.drain().await;
        let fold = self.fold.clone();
        if let Ok(Ok(receipt)) = self.writer.barrier().await {
            let decided = move || {
                fold.wait_for(Offset(receipt.offset.0.saturating_sub(1)));
                fold.wait_until(DRAIN_TIMEOUT, |fold| fold.engine.is_confirmed())
            };
            let _ = tokio::task::spawn_blocking(decided).await;
        }
        let _ = self.drain_archiver.send(());
        drop(self.drain_archiver);
        let _ = tokio::task::spawn_blocking(|| [archiver, self.broker.thread].map(JoinHandle::join)).await;
        let _ = self.finish_dispatcher.send(());
        if tokio::time::timeout(DRAIN_TIMEOUT, self.dispatcher).await.is_err() {
            tracing::warn!("messages are still on their way; they go out again after the next start");
        }
        self.writer.trail(TrailDraft::done("watchbell.stop", env!("CARGO_PKG_VERSION")));
        self.writer.snapshot();
        self.writer.close();
        let _ =
            tokio::task::spawn_blocking(|| [collector, writer, upkeep, fold_thread].map(JoinHandle::join))
                .await;
    }
}
