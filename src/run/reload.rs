//! A reload: another plan in force while everything goes on.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use watchbell_model::{Entry, Plan, TrailOutcome};

use super::door;
use super::functions::load::{LoadError, load};
use super::host::InForce;
use super::secrets::SecretError;
use super::start::{open_store, record_secrets};
use super::trail::TrailDraft;
use super::{Running, inputs};

/// How long a plan that is on disk may take until it is in force: the fold is at most some syncs behind, or has failed.
const FOLD_TIMEOUT: Duration = Duration::from_mins(1);

/// Why a plan was not taken at a reload. The one before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Something that cannot change while running.
    #[error("{key} cannot change while watchbell runs; restart it")]
    NeedsRestart {
        /// The key.
        key: &'static str,
    },
    /// A plan that this version cannot run.
    #[error(transparent)]
    CannotRun(#[from] watchbell_engine::EngineError),
    /// Secrets without a value.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Secrets(Vec<SecretError>),
    /// Functions that cannot be made ready.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Functions(Vec<LoadError>),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] watchbell_server::tls::TlsError),
    /// The archive cannot be opened.
    #[error(transparent)]
    Archive(#[from] watchbell_archive::ArchiveError),
    /// The journal takes nothing more.
    #[error("watchbell is stopping")]
    Stopping,
}

impl Running {
    /// Puts another plan in force.
    ///
    /// # Errors
    /// [`ReloadError`] says why not; the plan before stays in force. Both outcomes are in the audit trail.
    pub async fn reload(&self, plan: Plan) -> Result<(), ReloadError> {
        let file = plan.file.clone();
        let outcome = self.adopt(plan).await;
        if let Err(error) = &outcome {
            self.refuse_reload(&file, error);
        }
        outcome
    }

    /// Notes that a file was not taken at a reload.
    pub fn refuse_reload(&self, file: &str, reason: impl Display) {
        let draft = TrailDraft::done("configuration.reload", file).by("operator");
        self.writer.trail(draft.outcome(TrailOutcome::Failed).detail("reason", reason));
    }

    async fn adopt(&self, plan: Plan) -> Result<(), ReloadError> {
        let current = self.plan.lock().expect("no panic while it is held").clone();
        for (key, changed) in [
            ("data_dir", current.data_dir != plan.data_dir),
            ("http.listen", current.http.listen != plan.http.listen),
            ("whether there is an http.tls", current.http.tls.is_some() != plan.http.tls.is_some()),
        ] {
            if changed {
                return Err(ReloadError::NeedsRestart { key });
            }
        }
        if let Some(key) = inputs::needs_restart(&current, &plan) {
            return Err(ReloadError::NeedsRestart { key });
        }
        // Once it is journaled, every start would meet it again.
        watchbell_engine::can_run(&plan)?;
        let loaded = load(&plan).map_err(ReloadError::Functions)?;
        let unlocked = self.kept.unlock(&plan).map_err(|locked| {
            record_secrets(&self.writer, &locked.read);
            ReloadError::Secrets(locked.errors)
        })?;
        record_secrets(&self.writer, &unlocked.read);
        // Read again, also where the file is as before: a renewed certificate has the same name.
        let certificate = door::certificate(plan.http.tls.as_ref())?;
        let certificates = inputs::Certificates::read(&plan)?;
        let store = open_store(plan.archive.as_ref(), &plan.data_dir)?;
        // Before the plan: once it is in force an alarm may tell a new subscription at once, and a message to one that
        // nobody knows is given up.
        self.notifiers.replace(unlocked.notifiers);
        if plan != current {
            let told = self.writer.append_told(Entry::Plan(Box::new(plan.clone())));
            let receipt = told.await.ok().and_then(Result::ok).ok_or(ReloadError::Stopping)?;
            // On disk it is before it is folded: whoever asks next must find the alarms and queues that are in it.
            let fold = self.fold.clone();
            let is_folded = move || fold.wait_until(FOLD_TIMEOUT, |fold| fold.next > receipt.offset);
            let folded = tokio::task::spawn_blocking(is_folded).await;
            folded.ok().filter(|in_time| *in_time).ok_or(ReloadError::Stopping)?;
        }
        let draft = TrailDraft::done("configuration.reload", &plan.file).by("operator");
        self.writer.trail(draft.detail("changed", plan != current));
        let access = Arc::new(unlocked.access);
        let redactor = unlocked.redactor;
        self.process.replace(InForce::new(&plan.log_groups, access, Arc::clone(&redactor)));
        self.functions.replace(loaded, unlocked.hooks, &redactor);
        if let (Some(handshakes), Some(certificate)) = (self.door.tls(), certificate) {
            handshakes.replace(certificate);
        }
        self.door.admit(plan.http.allow.clone());
        self.inputs.admit(&plan, certificates);
        self.store.replace(store);
        self.settings.replace(&plan.log_groups, &redactor);
        self.collector.follow(plan.log_groups.clone(), redactor);
        *self.plan.lock().expect("no panic while it is held") = plan;
        Ok(())
    }
}
