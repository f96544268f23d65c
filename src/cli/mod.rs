//! The command line: what can be asked, and how it ends.

mod agent;
mod aws;
mod backtest;
mod backup;
mod bench;
mod check;
mod demo;
mod explain;
mod file;
mod findings;
mod functions;
mod import;
mod init;
mod journal;
mod kept;
mod lines;
mod pattern;
mod queue;
mod replay;
mod schema;
mod server;
mod sources;
mod table;
mod tail;
mod test;
mod trail;
mod up;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{ExitStatus, Failure};

/// Watches logs and rings.
#[derive(Parser)]
#[command(
    name = "watchbell",
    version,
    about = "Watches logs and rings: one file says what to collect, what matters, when to alarm and whom to tell.",
    after_help = "Examples:\n  watchbell demo                      see it work, with nothing but this program\n  \
                  watchbell init /var/log/auth.log    make a ./watchbell.toml for real logs\n  \
                  watchbell check                     is ./watchbell.toml good?\n  \
                  watchbell up                        do what it says\n  \
                  watchbell pattern 'ERROR -timeout' app.log\n\n\
                  Exit codes: 0 ok, 1 a finding, 2 usage, 69 something unavailable, 70 a defect, 74 I/O, 78 bad file."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Args, Clone)]
pub(crate) struct Global {
    /// The file that says what to do
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "WATCHBELL_CONFIG",
        default_value = "watchbell.toml"
    )]
    pub(crate) config: PathBuf,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Subcommand)]
enum Verb {
    /// See it work: a small shop, its logs, three alarms, an archive; needs nothing but this program
    Demo(demo::Options),
    /// The shop that the demo watches, as a process of its own
    #[command(hide = true)]
    DemoShop(watchbell_example_shop::Options),
    /// Look at log files and write a watchbell.toml that suits them
    Init(init::Options),
    /// Make a watchbell.toml of alarms that exist on AWS: templates, or what the AWS CLI describes
    Import(import::Options),
    /// Collect, detect, alarm and archive until stopped
    Up(up::Options),
    /// Read the files of this machine and ship them to another Watchbell
    Agent(agent::Options),
    /// Say everything that is wrong with the file
    Check,
    /// Print the JSON Schema of the file
    Schema,
    /// Show the followed files: how far each is read, what was lost
    Sources(sources::Options),
    /// Show lines as they arrive, from a running or stopped watchbell up
    Tail(tail::Options),
    /// Print the lines that match a CloudWatch filter pattern
    Pattern(pattern::Options),
    /// Run the tests beside the rules, in virtual time
    Test(test::Options),
    /// Show what the alarms would have done over old lines
    Replay(replay::Options),
    /// Replay old lines, and compare with other rules or a budget
    Backtest(backtest::Options),
    /// Say why an alarm was in its state, and what would have changed it
    Explain(Box<explain::Options>),
    /// Queues of a running watchbell up: what they hold, dead letters, redrive
    Queue(queue::Options),
    /// Functions of a running watchbell up: workers, what they did, why they scaled; or try one on a file
    Functions(functions::Options),
    /// The plan on AWS: templates, what would change, deploy, status, destroy
    Aws(aws::Options),
    /// Measure how fast this is, here
    #[command(subcommand)]
    Bench(bench::Verb),
    /// Copy the data folder, also while watchbell up runs
    Backup(backup::BackupOptions),
    /// Bring a backup back
    Restore(backup::RestoreOptions),
    /// Check the journal, say what is in it, print its entries
    #[command(subcommand)]
    Journal(journal::Verb),
    /// Read and verify the audit trail
    #[command(subcommand)]
    Trail(trail::Verb),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let Cli { global, verb } = Cli::parse();
    let outcome = match verb {
        Verb::Demo(options) => demo::run(&global, &options),
        Verb::DemoShop(options) => demo::shop::run(&options),
        Verb::Init(options) => init::run(&global, &options),
        Verb::Import(options) => import::run(&global, &options),
        Verb::Up(options) => up::run(&global, &options),
        Verb::Agent(options) => agent::run(&global, &options),
        Verb::Check => check::run(&global),
        Verb::Schema => schema::run(),
        Verb::Sources(options) => sources::run(&global, &options),
        Verb::Tail(options) => tail::run(&global, &options),
        Verb::Pattern(options) => pattern::run(&global, &options),
        Verb::Test(options) => test::run(&global, &options),
        Verb::Replay(options) => replay::run(&global, &options),
        Verb::Backtest(options) => backtest::run(&global, &options),
        Verb::Explain(options) => explain::run(&global, &options),
        Verb::Queue(options) => queue::run(&global, &options),
        Verb::Functions(options) => functions::run(&global, &options),
        Verb::Aws(options) => aws::run(&global, &options),
        Verb::Bench(verb) => bench::run(&global, &verb),
        Verb::Backup(options) => backup::backup(&global, &options),
        Verb::Restore(options) => backup::bring_back(&global, &options),
        Verb::Journal(verb) => journal::run(&global, &verb),
        Verb::Trail(verb) => trail::run(&global, &verb),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                say(&failure.to_string());
            }
            ExitCode::from(failure.status as u8)
        }
    }
}

/// Talks to whoever started the program.
pub(crate) fn say(text: &str) {
    // If standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The text with control characters escaped: what a caller sent may be in it, and it must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// The outcome of writing results: a reader that went away early is no failure of ours.
pub(crate) fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io("standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Something was found; everything about it has been said.
pub(crate) fn finding() -> Failure {
    Failure::new(ExitStatus::Finding, "")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
