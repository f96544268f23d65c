//! The file from disk.

use std::path::{Path, PathBuf};

use watchbell_config::{Checked, Level, Problem, Source, TestCase};
use watchbell_model::Plan;

use super::findings;
use crate::{ExitStatus, Failure};

/// A file that was read.
pub(crate) struct File {
    /// As the user named it.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) text: String,
    folder: PathBuf,
}

impl File {
    /// Reads it.
    pub(crate) fn read(path: &Path) -> Result<File, Failure> {
        let unreadable = |error: std::io::Error| {
            let failure = Failure::new(ExitStatus::Configuration, format!("{}: {error}", path.display()));
            failure
                .help("name the file with --config FILE or WATCHBELL_CONFIG; the default is ./watchbell.toml")
        };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::new(ExitStatus::Configuration, format!("{}: byte {at} is not UTF-8", path.display()))
        })?;
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(File { name: path.to_string_lossy().into_owned(), text, folder })
    }

    /// What the checker needs.
    pub(crate) fn source(&self) -> Source<'_> {
        Source { name: &self.name, text: &self.text, folder: &self.folder }
    }

    /// The tests in it; those with a mistake are not among them.
    pub(crate) fn tests(&self) -> Vec<TestCase> {
        watchbell_config::check(&self.source()).tests
    }

    /// The plan with what to say of it, or everything that is wrong, said.
    pub(crate) fn plan(&self) -> Result<(Plan, Option<String>), Failure> {
        // What AWS does otherwise is for `check` to say.
        self.plan_without(|problem| problem.is_about_aws)
    }

    /// The same for what runs on AWS: what `up` does not do is of no interest there, either.
    pub(crate) fn plan_on_aws(&self) -> Result<(Plan, Option<String>), Failure> {
        self.plan_without(|problem| problem.level == Level::Note)
    }

    fn plan_without(
        &self,
        is_left_out: impl Fn(&Problem) -> bool,
    ) -> Result<(Plan, Option<String>), Failure> {
        let Checked { plan, mut problems, .. } = findings::check(&self.source());
        problems.retain(|problem| plan.is_none() || !is_left_out(problem));
        let colour = crate::out::colour_on_stderr();
        let said = watchbell_config::render(&problems, &self.source(), colour);
        let Some(plan) = plan else {
            super::say(said.trim_end());
            return Err(Failure::new(ExitStatus::Configuration, ""));
        };
        Ok((plan, Some(said).filter(|_| !problems.is_empty())))
    }
}
