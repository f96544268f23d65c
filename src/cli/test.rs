//! `watchbell test`: tests beside the rules, run in virtual time.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use watchbell_config::{CheckedTests, Level, TestCase, check_tests};
use watchbell_model::Plan;
use watchbell_notify::visible;

use super::file::File;
use super::{Format, Global, finding, say, written};
use crate::replay::{MessageFault, Side, Step, Verdict, try_out};
use crate::{ExitStatus, Failure, out};

/// Runs the tests beside the rules.
#[derive(Args)]
#[command(after_help = "A test stands in watchbell.toml or in a file NAME.test.toml beside it:\n\n  \
                        [[test]]\n  name = \"three errors in a minute ring\"\n  log_group = \"shop/app\"\n  \
                        lines = [\"12:00:00 ERROR disk\", \"12:00:20 ERROR disk\", \"12:00:40 ERROR disk\"]\n  \
                        expect = [\"12:00:40 ALARM errors early\", \"12:04:10 OK errors\"]\n  no_alarms = [\"*\"]\n\n\
                        Examples:\n  watchbell test                      every test of watchbell.toml\n  \
                        watchbell test shop.test.toml       the tests of one file\n  \
                        watchbell test --name ring          those whose name has \"ring\" in it\n\n\
                        Nothing is sent to anybody. Exit code 1 if a test fails, 78 if a file is wrong.")]
pub(super) struct Options {
    /// Files of tests; by default watchbell.toml and every *.test.toml beside it
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run only tests whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    name: String,
}

/// A test and the file that it stands in.
struct Found {
    file: String,
    test: TestCase,
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let config = File::read(&global.config)?;
    let (plan, _) = config.plan()?;
    let mut tests = all_tests(&config, &plan, options)?;
    if tests.is_empty() {
        let failure = Failure::new(ExitStatus::Configuration, format!("{}: has no test", config.name));
        return Err(failure
            .help("write [[test]] in it, or in a file NAME.test.toml beside it; see watchbell test --help"));
    }
    tests.retain(|found| found.test.name.contains(&options.name));
    if tests.is_empty() {
        let failure =
            Failure::new(ExitStatus::Usage, format!("no test has \"{}\" in its name", options.name));
        return Err(failure);
    }
    let mut tried = Vec::new();
    for found in tests {
        let verdict =
            try_out(&plan, &found.test).map_err(|error| Failure::new(ExitStatus::Configuration, error))?;
        tried.push((found, verdict));
    }
    match global.format {
        Format::Json => written(out::line(&as_json(&tried).to_string()))?,
        Format::Text => written(out::buffered(|out| print(out, &tried, out::colour())))?,
    }
    if tried.iter().all(|(_, verdict)| verdict.is_good()) { Ok(()) } else { Err(finding()) }
}

fn all_tests(config: &File, plan: &Plan, options: &Options) -> Result<Vec<Found>, Failure> {
    let mut tests = Vec::new();
    let mut files = options.files.clone();
    if files.is_empty() {
        let of_config = |test| Found { file: config.name.clone(), test };
        tests.extend(config.tests().into_iter().map(of_config));
        files = files_beside(Path::new(&config.name))?;
    }
    let mut is_wrong = false;
    for path in files {
        let file = File::read(&path)?;
        let CheckedTests { tests: found, problems } = check_tests(&file.source(), plan);
        if !problems.is_empty() {
            say(watchbell_config::render(&problems, &file.source(), out::colour_on_stderr()).trim_end());
            is_wrong |= problems.iter().any(|problem| problem.level == Level::Error);
        }
        tests.extend(found.into_iter().map(|test| Found { file: file.name.clone(), test }));
    }
    if is_wrong { Err(Failure::new(ExitStatus::Configuration, "")) } else { Ok(tests) }
}

/// Every `*.test.toml` in the folder of the plan's file, by name.
fn files_beside(config: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = config.parent().unwrap_or(Path::new(""));
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let unreadable = |error: io::Error| Failure::io(listed.display(), &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(listed).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if name.to_string_lossy().ends_with(".test.toml") {
            files.push(folder.join(name));
        }
    }
    files.sort();
    Ok(files)
}

fn print(out: &mut dyn Write, tried: &[(Found, Verdict)], colour: bool) -> io::Result<()> {
    for (Found { file, test }, verdict) in tried {
        let word =
            if verdict.is_good() { paint("ok  ", "32", colour) } else { paint("FAIL", "1;31", colour) };
        writeln!(out, "{word}  {}  ({file}:{})", visible(&test.name), test.line)?;
        if !verdict.is_good() {
            verdict.changes.iter().try_for_each(|step| print_step(out, step, colour))?;
            verdict.messages.iter().try_for_each(|fault| print_fault(out, fault, colour))?;
        }
        if !verdict.unmentioned.is_empty() {
            writeln!(
                out,
                "      also rang, and the test does not say whether they should: {}",
                verdict.unmentioned.join(", ")
            )?;
        }
    }
    let passed = tried.iter().filter(|(_, verdict)| verdict.is_good()).count();
    writeln!(out, "{passed} passed, {} failed", tried.len() - passed)
}

fn print_step(out: &mut dyn Write, step: &Step, colour: bool) -> io::Result<()> {
    let text = visible(&step.text);
    let (line, note) = match step.side {
        Side::Both => (format!("        {text}"), ""),
        Side::Missing => (paint(&format!("      - {text}"), "31", colour), "   expected, did not happen"),
        Side::Unexpected => (paint(&format!("      + {text}"), "32", colour), "   happened, not expected"),
    };
    writeln!(out, "{line}{note}")?;
    match step.reason.as_ref().filter(|_| step.side == Side::Unexpected) {
        Some(reason) => writeln!(out, "          {reason}"),
        None => Ok(()),
    }
}

fn print_fault(out: &mut dyn Write, fault: &MessageFault, colour: bool) -> io::Result<()> {
    match fault {
        MessageFault::Lacks(text) => writeln!(out, "      no message contains {text:?}"),
        MessageFault::Differs(lines) => {
            writeln!(out, "      the first message is another one:")?;
            lines.iter().try_for_each(|(mark, line)| {
                let line = format!("      {mark} {line}");
                let line = match mark {
                    '-' => paint(&line, "31", colour),
                    '+' => paint(&line, "32", colour),
                    _ => line,
                };
                writeln!(out, "{}", line.trim_end())
            })
        }
    }
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn as_json(tried: &[(Found, Verdict)]) -> Value {
    let tests: Vec<Value> = tried.iter().map(|(found, verdict)| one_as_json(found, verdict)).collect();
    let passed = tried.iter().filter(|(_, verdict)| verdict.is_good()).count();
    json!({ "passed": passed, "failed": tried.len() - passed, "tests": tests })
}

fn one_as_json(Found { file, test }: &Found, verdict: &Verdict) -> Value {
    let changes = verdict.changes.iter().map(|step| {
        let outcome = match step.side {
            Side::Both => "as_expected",
            Side::Missing => "missing",
            Side::Unexpected => "unexpected",
        };
        json!({ "change": step.text, "outcome": outcome, "reason": step.reason })
    });
    let messages = verdict.messages.iter().map(|fault| match fault {
        MessageFault::Lacks(text) => json!({ "lacks": text }),
        MessageFault::Differs(lines) => {
            json!({ "diff": lines.iter().map(|(mark, line)| format!("{mark} {line}")).collect::<Vec<_>>() })
        }
    });
    json!({
        "name": test.name, "file": file, "line": test.line, "passed": verdict.is_good(),
        "changes": changes.collect::<Vec<_>>(), "messages": messages.collect::<Vec<_>>(),
        "unmentioned": verdict.unmentioned,
    })
}
