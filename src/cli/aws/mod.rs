//! `watchbell aws`: the plan on AWS.

#[cfg(feature = "aws")]
mod cost;
#[cfg(feature = "aws")]
mod deploy;
#[cfg(feature = "aws")]
mod destroy;
#[cfg(feature = "aws")]
mod plan;
#[cfg(feature = "aws")]
mod progress;
mod render;
#[cfg(feature = "aws")]
mod secret;
#[cfg(feature = "aws")]
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use watchbell_aws::{Files, Part, Stack};
use watchbell_model::{Aws, Plan, Work};

use super::Global;
use super::file::File;
use super::findings;
use crate::{ExitStatus, Failure};

/// Has the plan run on AWS.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  watchbell aws render --out stacks       the templates, to read or to deploy with other tools\n  \
                        watchbell aws plan                      what deploying would change, and what that costs\n  \
                        watchbell aws deploy                    show it, ask, and do it\n  \
                        watchbell aws secret put smtp-password < password.txt\n  \
                        watchbell aws status --drift            is it still as it was deployed?\n  \
                        watchbell aws destroy                   take it down; the data stays\n\n\
                        Region, name and endpoint are those of [aws] in the file. Credentials are found where every tool of AWS\n\
                        finds them: environment, profile (AWS_PROFILE), single sign-on, container, instance."
)]
pub(super) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

/// What to do.
#[derive(Subcommand)]
enum Verb {
    /// Print the CloudFormation templates; asks nobody
    Render {
        /// Write each into a file NAME-PART.json in this folder, which is made if it is not there
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Only this stack
        #[arg(long, value_name = "PART")]
        stack: Option<PartName>,
    },
    /// Show what deploying would change, and do nothing
    Plan,
    /// Show what would change, ask, and do it
    Deploy {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show the stacks: state, outputs, drift
    Status {
        /// Have CloudFormation look whether somebody has changed something past it; exit code 1 if so
        #[arg(long)]
        drift: bool,
    },
    /// Take the stacks down, the one with the data only if told
    Destroy {
        /// The data stack too: key, buckets and secrets that it retains stay, and are listed
        #[arg(long)]
        data: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Values of secrets in Secrets Manager
    #[command(subcommand)]
    Secret(SecretVerb),
}

/// What to do with a secret.
#[derive(Subcommand)]
enum SecretVerb {
    /// Read a value from standard input, or ask for it, and make it the secret's
    Put {
        /// The secret, as the file names it
        name: String,
    },
}

/// A part, as it is written on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum PartName {
    Data,
    Network,
    Pipeline,
    App,
}

impl From<PartName> for Part {
    fn from(name: PartName) -> Part {
        match name {
            PartName::Data => Part::Data,
            PartName::Network => Part::Network,
            PartName::Pipeline => Part::Pipeline,
            PartName::App => Part::App,
        }
    }
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    match &options.verb {
        Verb::Render { out, stack } => render::run(global, out.as_deref(), stack.map(Part::from)),
        #[cfg(feature = "aws")]
        Verb::Plan => plan::run(global),
        #[cfg(feature = "aws")]
        Verb::Deploy { yes } => deploy::run(global, *yes),
        #[cfg(feature = "aws")]
        Verb::Status { drift } => status::run(global, *drift),
        #[cfg(feature = "aws")]
        Verb::Destroy { data, yes } => destroy::run(global, *data, *yes),
        #[cfg(feature = "aws")]
        Verb::Secret(SecretVerb::Put { name }) => secret::put(global, name),
        #[cfg(not(feature = "aws"))]
        Verb::Plan | Verb::Deploy { .. } | Verb::Status { .. } | Verb::Destroy { .. } | Verb::Secret(_) => {
            let message = "this build has no AWS client: build with --features aws";
            Err(Failure::new(ExitStatus::Unavailable, message)
                .help("`watchbell aws render` works without it: other tools can deploy what it writes"))
        }
    }
}

/// The file's plan, which has an `[aws]`.
struct OnAws {
    file: File,
    plan: Plan,
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only calls need it"))]
    aws: Aws,
}

impl OnAws {
    fn read(global: &Global) -> Result<OnAws, Failure> {
        let file = File::read(&global.config)?;
        let (plan, warnings) = file.plan_on_aws()?;
        if let Some(warnings) = warnings {
            super::say(warnings.trim_end());
        }
        let Some(aws) = plan.aws.clone() else {
            let message = format!("{} has no [aws]: it does not say that it is to run there", file.name);
            let help = "at least: [aws] with region = \"eu-central-1\"";
            return Err(Failure::new(ExitStatus::Configuration, message).help(help));
        };
        Ok(OnAws { file, plan, aws })
    }

    /// Its stacks.
    fn stacks(&self) -> Result<Vec<Stack>, Failure> {
        let files = Files { plan: self.file.text.clone(), scripts: scripts(&self.plan)? };
        let findings = watchbell_aws::file_findings(&self.plan, &files);
        if findings::say_refused(findings, &self.file.source()) {
            return Err(Failure::new(ExitStatus::Configuration, ""));
        }
        Ok(watchbell_aws::render(&self.plan, &files))
    }
}

/// Scripts that the plan names, by their paths.
fn scripts(plan: &Plan) -> Result<BTreeMap<String, String>, Failure> {
    let setups = plan.aws.iter().flat_map(|aws| aws.fleet.values()).filter_map(|fleet| fleet.setup.as_ref());
    let runs = plan.maintenance.iter().filter_map(|maintenance| match &maintenance.work {
        Work::Run(script) => Some(script),
        Work::Prune { .. } | Work::Patch { .. } => None,
    });
    let read = |path: &String| match std::fs::read_to_string(path) {
        Ok(text) => Ok((path.clone(), text)),
        Err(error) => Err(Failure::new(ExitStatus::Configuration, format!("script {path}: {error}"))),
    };
    setups.chain(runs).map(read).collect()
}

/// What the verbs that talk to AWS have in common.
#[cfg(feature = "aws")]
mod session {
    use std::io::{BufRead as _, IsTerminal as _, Write as _};

    use tokio::runtime::Runtime;
    use watchbell_model::Aws;

    use crate::aws::{Account, AwsError};
    use crate::run::clock::{Clock as _, SystemClock};
    use crate::{ExitStatus, Failure};

    /// The account, and what its calls run on.
    pub(super) struct Session {
        pub(super) runtime: Runtime,
        pub(super) account: Account,
    }

    impl Session {
        pub(super) fn open(aws: &Aws) -> Result<Session, Failure> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Failure::new(ExitStatus::Unavailable, error))?;
            let account = runtime.block_on(Account::open(aws, SystemClock.now()))?;
            Ok(Session { runtime, account })
        }
    }

    impl From<AwsError> for Failure {
        fn from(error: AwsError) -> Failure {
            let status = match &error {
                // What was asked for was looked at or tried, and the answer is no.
                AwsError::Failed { .. } | AwsError::ChangeSet { .. } | AwsError::MoreThanShown { .. } => {
                    ExitStatus::Finding
                }
                AwsError::NoBucket { .. } | AwsError::Foreign { .. } => ExitStatus::Configuration,
                _ => ExitStatus::Unavailable,
            };
            let failure = Failure::new(status, watchbell_notify::visible(&error.to_string()));
            match error.help() {
                Some(help) => failure.help(help),
                None => failure,
            }
        }
    }

    /// Whether there is somebody to ask.
    ///
    /// # Errors
    /// Neither that nor `--yes`.
    pub(super) fn can_ask(yes: bool) -> Result<(), Failure> {
        if yes || std::io::stdin().is_terminal() {
            return Ok(());
        }
        let failure = Failure::new(ExitStatus::Usage, "standard input is no terminal: nobody can be asked");
        Err(failure.help("read what `watchbell aws plan` says, then use --yes"))
    }

    /// What a person answers to a question.
    pub(super) fn ask(question: &str) -> Result<String, Failure> {
        // If standard error is closed there is nobody to ask, and no answer comes.
        let _ = write!(std::io::stderr().lock(), "{question} ");
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        read.map_err(|error| Failure::io("standard input", &error))?;
        Ok(answer.trim().to_owned())
    }
}
