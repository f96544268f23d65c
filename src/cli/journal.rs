//! A journal that is only read: by verbs that look while `watchbell up` may be running.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use watchbell_journal::{Reader, RealDisk};
use watchbell_model::Plan;

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

/// A journal that is there, and the plan of the file that names it.
pub(super) struct Journal {
    pub(super) folder: PathBuf,
    /// `None` if the data folder was named on the command line.
    pub(super) plan: Option<Plan>,
}

impl Where {
    /// A reader of the whole journal.
    pub(super) fn reader(&self, global: &Global) -> Result<Reader, Failure> {
        let folder = self.journal(global)?.folder;
        Reader::open(Arc::new(RealDisk), &folder, 0).map_err(journal_failure)
    }

    /// Where the journal is.
    pub(super) fn journal(&self, global: &Global) -> Result<Journal, Failure> {
        let (data_dir, plan) = if let Some(folder) = &self.data_dir {
            (folder.clone(), None)
        } else {
            let plan = File::read(&global.config)?.plan()?.0;
            (PathBuf::from(&plan.data_dir), Some(plan))
        };
        let folder = journal_folder(&data_dir);
        if folder.is_dir() { Ok(Journal { folder, plan }) } else { Err(no_journal(&data_dir)) }
    }
}

fn no_journal(data_dir: &Path) -> Failure {
    let failure =
        Failure::new(ExitStatus::InputOutput, format!("data folder {} has no journal", data_dir.display()));
    failure.help("it is made by the first watchbell up; name another one with --data-dir")
}
