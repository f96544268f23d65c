//! What the default release build costs from nothing, in CPU-seconds.
//!
//! CPU-seconds (user and system, of cargo and all it starts) vary less than wall time with cores and
//! neighbours. Not counted: downloading and unpacking the crates.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::step::{self, Failure, Stopwatch};
use crate::workspace::Workspace;

/// A newcomer's first command is a release build; this is the most it may cost. It was 439 before the demo, 491 with it, and
/// 728 with the agent, TLS, inputs and functions, on a machine that was not idle.
const BUDGET_CPU_S: f64 = 900.0;

/// Runs its arguments and then prints the shell's `times`: the second line is of the processes it waited for.
const WITH_TIMES: &str = r#""$@"; code=$?; times; exit $code"#;

/// Measures, prints, and removes what it built.
///
/// # Errors
/// The build fails (its exit code) or costs more than the budget (1).
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    step::run("crates", workspace.cargo().args(["fetch", "--locked", "--quiet"]))?;
    let folder = workspace.target_dir().join("build-cost");
    empty(&folder)?; // an earlier run may have been interrupted
    let cost = measure(workspace, &folder);
    empty(&folder)?;
    let cost = cost?;
    let cpu_s = cost.cpu_s;
    eprintln!(
        "build cost: {cpu_s:.0} CPU-seconds of {BUDGET_CPU_S:.0}, {:.0} s wall, {} crates",
        cost.wall_s, cost.crates
    );
    eprintln!("machine: {} cores, {}", cores(), cpu_model());
    if cpu_s > BUDGET_CPU_S {
        return Err(Failure::finding(format!(
            "build cost: {:.0} CPU-seconds above the budget",
            cpu_s - BUDGET_CPU_S
        )));
    }
    Ok(())
}

fn empty(folder: &Path) -> Result<(), Failure> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| Failure::io(&folder.display().to_string(), &error))
}

#[derive(Debug, PartialEq)]
struct Cost {
    crates: usize,
    cpu_s: f64,
    wall_s: f64,
}

fn measure(workspace: &Workspace, target_dir: &Path) -> Result<Cost, Failure> {
    let mut build = shell_with_times(workspace, target_dir);
    eprintln!("xtask: build cost: cargo build --release, from nothing");
    let stopwatch = Stopwatch::start();
    let output = build.output().map_err(|error| step::cannot_start(&build, &error))?;
    let elapsed = stopwatch.elapsed();
    step::finish("release build", output.status, elapsed)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let cpu_s = children_cpu_s(&text).ok_or_else(|| {
        Failure::finding("build cost: the shell's `times` printed something unexpected".into())
    })?;
    Ok(Cost { crates: crate_count(&text), cpu_s, wall_s: elapsed.as_secs_f64() })
}

fn shell_with_times(workspace: &Workspace, target_dir: &Path) -> Command {
    let cargo = workspace.cargo();
    let mut shell = workspace.command("sh");
    shell.args(["-c", WITH_TIMES, "sh"]).arg(cargo.get_program());
    shell.args(["build", "--release", "--locked", "--message-format=json-render-diagnostics"]);
    shell.env("CARGO_TARGET_DIR", target_dir);
    shell.env("LC_ALL", "C"); // `times` uses the locale's decimal point
    shell.env("RUSTC_WRAPPER", ""); // a compiler cache would do the work elsewhere, or not at all
    shell.stdin(Stdio::null()).stderr(Stdio::inherit());
    shell
}

/// Packages compiled, from cargo's JSON messages; one package may make several artifacts.
fn crate_count(messages: &str) -> usize {
    let artifacts = messages.lines().filter(|line| line.starts_with(r#"{"reason":"compiler-artifact""#));
    let packages = artifacts.filter_map(|line| line.split_once(r#""package_id":""#)?.1.split('"').next());
    packages.collect::<std::collections::BTreeSet<_>>().len()
}

/// User and system time of the shell's children, in seconds: the last line of its `times`.
fn children_cpu_s(output: &str) -> Option<f64> {
    let (user, system) = output.lines().last()?.split_once(' ')?;
    Some(seconds(user)? + seconds(system)?)
}

/// `1m2.34s` as seconds.
fn seconds(time: &str) -> Option<f64> {
    let (minutes, seconds) = time.trim().strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

fn cores() -> String {
    thread::available_parallelism().map_or_else(|_| "unknown".into(), |cores| cores.to_string())
}

/// As Linux names it on x86; other machines do not say.
fn cpu_model() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    name.map_or_else(|| "unknown CPU".into(), |(_, name)| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_dash_and_bash_are_read() {
        assert_eq!(children_cpu_s("0m0.010000s 0m0.020000s\n2m30.500000s 0m9.250000s\n"), Some(159.75));
        assert_eq!(children_cpu_s("0m0.001s 0m0.000s\n0m0.500s 0m0.250s\n"), Some(0.75));
    }

    #[test]
    fn anything_else_than_times_is_refused() {
        assert_eq!(children_cpu_s(""), None);
        assert_eq!(children_cpu_s("real 12.3\n"), None);
        assert_eq!(children_cpu_s("0m1,5s 0m0,1s\n"), None);
    }

    #[test]
    fn shell_of_this_machine_prints_times_that_are_read() {
        let output = Command::new("sh").args(["-c", WITH_TIMES, "sh", "echo", "built"]).output().unwrap();
        let cpu_s = children_cpu_s(&String::from_utf8(output.stdout).unwrap()).unwrap();
        assert!((0.0..60.0).contains(&cpu_s), "{cpu_s}");
    }

    #[test]
    fn package_with_several_artifacts_counts_once() {
        let messages = r#"{"reason":"compiler-artifact","package_id":"registry+https://x#serde@1.0.0","target":{}}
{"reason":"build-script-executed","package_id":"registry+https://x#libc@0.2.0"}
{"reason":"compiler-artifact","package_id":"registry+https://x#serde@1.0.0","target":{}}
{"reason":"compiler-artifact","package_id":"path+file:///w/model#watchbell-model@0.1.0","target":{}}
0m0.0s 0m0.0s
"#;
        assert_eq!(crate_count(messages), 2);
    }
}
