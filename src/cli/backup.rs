//! `watchbell backup` and `watchbell restore`: the data folder copied and brought back.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::journal::Where;
use super::{Format, Global, written};
use crate::backup::{Manifest, restore, take};
use crate::run::clock::{Clock, SystemClock};
use crate::{Failure, out};

/// Copies the data folder while watchbell up may be running.
#[derive(Args)]
#[command(
    after_help = "Journal, snapshots and the archive, if that is in the data folder; secrets and the file are not in it. Every \
                  file is read again after it was written; backup.json is written last, and without it nothing is restored.\n\n\
                  Examples:\n  watchbell backup /mnt/backup/shop-2026-11-23\n  \
                  watchbell backup /mnt/backup/shop --data-dir /srv/shop/data --format json"
)]
pub(super) struct BackupOptions {
    /// The folder to make: empty, or not there
    #[arg(value_name = "DEST")]
    to: PathBuf,
    #[command(flatten)]
    at: Where,
}

/// Brings a backup back.
#[derive(Args)]
#[command(
    after_help = "Checks every file and every entry before anything is in the data folder. What came in after the backup was made is \
                  not there; followed files are read on from where the backup knew them. Do not run it beside the original: \
                  both would give the same ids to different events.\n\n\
                  Examples:\n  watchbell restore /mnt/backup/shop-2026-11-23\n  \
                  watchbell restore /mnt/backup/shop --data-dir /srv/shop/data"
)]
pub(super) struct RestoreOptions {
    /// The folder that watchbell backup made
    #[arg(value_name = "SRC")]
    from: PathBuf,
    #[command(flatten)]
    at: Where,
}

pub(super) fn backup(global: &Global, options: &BackupOptions) -> Result<(), Failure> {
    let data_dir = options.at.data_dir(global)?;
    let manifest = take(&data_dir, &options.to, SystemClock.now())?;
    tell(global, &manifest, &format!("copied to {}", options.to.display()))
}

pub(super) fn bring_back(global: &Global, options: &RestoreOptions) -> Result<(), Failure> {
    let data_dir = options.at.data_dir(global)?;
    let manifest = restore(&options.from, &data_dir)?;
    tell(global, &manifest, &format!("restored to {}", data_dir.display()))
}

fn tell(global: &Global, manifest: &Manifest, done: &str) -> Result<(), Failure> {
    let (files, bytes, objects) = (manifest.files.len(), manifest.bytes(), manifest.objects());
    let Manifest { installation, made, first, next, .. } = manifest;
    written(match global.format {
        Format::Json => {
            let answer = json!({
                "installation": installation, "made": made.to_string(), "first": first, "next": next,
                "files": files, "objects": objects, "bytes": bytes, "verified": true,
            });
            out::line(&answer.to_string())
        }
        Format::Text => out::line(&format!(
            "{done}: entries {first}..{next} as of {made}\n{files} files ({objects} archive objects), {bytes} bytes, all verified"
        )),
    })
}
