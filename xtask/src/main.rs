//! The project's chores: `cargo xtask TASK`.
//!
//! Promise: standard library only, so that a fresh machine needs cargo and a C compiler and nothing else;
//! what a task installs lands under the target directory, Python itself excepted.
//! Not here: anything that ships with Watchbell. Written for Unix.
#![expect(clippy::print_stderr, reason = "talking to the person at the terminal is what these tasks do")]

mod build_cost;
mod ci;
mod step;
mod test;
mod tools;
mod torture;
mod workspace;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use step::Failure;
use workspace::Workspace;

/// One chore.
struct Task {
    name: &'static str,
    about: &'static str,
    takes: Takes,
    run: fn(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Failure>,
}

/// Which arguments a task has.
#[derive(PartialEq)]
enum Takes {
    Nothing,
    /// Those of another program, behind `--`.
    Foreign,
    /// Its own.
    Own,
}

const TASKS: [Task; 4] = [
    Task {
        name: "test",
        about: "install what the tests need, run all tests; `test -- ARGS` hands ARGS to cargo test",
        takes: Takes::Foreign,
        run: test::run,
    },
    Task {
        name: "ci",
        about: "formatting, clippy, docs, dependency rules and all tests: what a change must pass",
        takes: Takes::Nothing,
        run: |workspace, _| ci::run(workspace),
    },
    Task {
        name: "torture",
        about: "kill a real `up` under load again and again; `torture --kills N --seed S`, 200 kills if absent",
        takes: Takes::Own,
        run: torture::run,
    },
    Task {
        name: "build-cost",
        about: "measure a release build from nothing in CPU-seconds against the budget",
        takes: Takes::Nothing,
        run: |workspace, _| build_cost::run(workspace),
    },
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {}", failure.message);
            ExitCode::from(failure.exit_code)
        }
    }
}

fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first().filter(|(name, _)| *name != "--help" && *name != "-h")
    else {
        eprint!("{}", usage());
        return Ok(());
    };
    let task = TASKS
        .iter()
        .find(|task| name == task.name)
        .ok_or_else(|| Failure::usage(format!("no task {}\n{}", name.display(), usage())))?;
    (task.run)(&Workspace::find()?, task_arguments(task, rest)?)
}

/// What is for the task; anything else is a mistake.
fn task_arguments<'a>(task: &Task, rest: &'a [OsString]) -> Result<&'a [OsString], Failure> {
    match rest.split_first() {
        None => Ok(rest),
        Some(_) if task.takes == Takes::Own => Ok(rest),
        Some((separator, behind)) if separator == "--" && task.takes == Takes::Foreign => Ok(behind),
        Some((unexpected, _)) => Err(Failure::usage(format!(
            "unexpected argument \"{}\" of {}\n{}",
            unexpected.display(),
            task.name,
            usage()
        ))),
    }
}

fn usage() -> String {
    let tasks: Vec<String> =
        TASKS.iter().map(|task| format!("  {:<10}  {}\n", task.name, task.about)).collect();
    format!("usage: cargo xtask TASK\n{}", tasks.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn usage_has_one_line_for_each_task() {
        assert_eq!(usage().lines().count(), 1 + TASKS.len());
    }

    #[test]
    fn unknown_task_is_a_usage_error() {
        assert_eq!(run(&words(&["tset"])).unwrap_err().exit_code, 2);
    }

    #[test]
    fn only_the_first_separator_is_taken_from_the_arguments() {
        let rest = words(&["--", "-p", "xtask", "--", "tasks"]);
        assert_eq!(task_arguments(&TASKS[0], &rest).unwrap(), &rest[1..]);
    }

    #[test]
    fn argument_without_separator_is_a_usage_error() {
        assert_eq!(task_arguments(&TASKS[0], &words(&["-p"])).unwrap_err().exit_code, 2);
    }

    #[test]
    fn task_that_takes_no_arguments_refuses_them() {
        assert_eq!(task_arguments(&TASKS[1], &words(&["--", "x"])).unwrap_err().exit_code, 2);
    }
}
