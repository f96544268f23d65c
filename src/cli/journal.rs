//! A journal that is only read: by verbs that look while `watchbell up` may be running.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use watchbell_journal::{Reader, RealDisk};

use super::Global;
use super::file::File;
use crate::run::data_folder::{journal_failure, journal_folder};
use crate::{ExitStatus, Failure};

/// Which data folder to read.
#[derive(Args)]
pub(super) struct Where {
    /// The data folder; by default the one that the file names
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl Where {
    /// A reader of the whole journal.
    pub(super) fn reader(&self, global: &Global) -> Result<Reader, Failure> {
        let data_dir = match &self.data_dir {
            Some(folder) => folder.clone(),
            None => PathBuf::from(File::read(&global.config)?.plan()?.0.data_dir),
        };
        let folder = journal_folder(&data_dir);
        if !folder.is_dir() {
            return Err(no_journal(&data_dir));
        }
        Reader::open(Arc::new(RealDisk), &folder, 0).map_err(journal_failure)
    }
}

fn no_journal(data_dir: &Path) -> Failure {
    let failure =
        Failure::new(ExitStatus::InputOutput, format!("data folder {} has no journal", data_dir.display()));
    failure.help("it is made by the first watchbell up; name another one with --data-dir")
}
