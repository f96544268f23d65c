//! Programs from outside that the tasks use: Python, and pinned packages in virtual environments.
//!
//! Promise: what is there already is used as it is, without asking the network; an interrupted or outdated
//! installation is made anew. Packages stay under the target directory; only Python itself, if missing, is
//! installed on the machine, with apt and as root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::step::{self, Failure};
use crate::workspace::Workspace;

/// Prints what a virtual environment depends on; fails where Debian has split `venv` off and it is missing.
const PYTHON_IDENTITY: &str = "import ensurepip, sys, venv; print(sys.version, sys.base_prefix)";

/// Makes sure that the virtual environment `name` has the packages of the file `requirements` (a path
/// from the root of the checkout), and returns its folder of programs.
///
/// # Errors
/// Python or a package is missing and cannot be installed (69 or the installer's code); files cannot be
/// read or written (74).
pub(crate) fn virtual_environment(
    workspace: &Workspace,
    name: &str,
    requirements: &str,
) -> Result<PathBuf, Failure> {
    let folder = workspace.target_dir().join("test-tools").join(name);
    let programs = folder.join("bin");
    let wanted = fs::read_to_string(workspace.root().join(requirements))
        .map_err(|error| Failure::io(requirements, &error))?;
    let stamp = stamp(&wanted, &python_identity(workspace)?);
    if is_current(&folder, &stamp) {
        return Ok(programs);
    }
    eprintln!("xtask: installing {requirements} into {}", folder.display());
    step::run(
        "virtual environment",
        talking(workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&folder)),
    )?;
    step::run("packages", &mut pip_install(workspace, &programs, requirements))?;
    // Last, so that an installation that was cut short is not taken for a whole one.
    fs::write(folder.join("stamp"), stamp).map_err(|error| Failure::io("stamp", &error))?;
    Ok(programs)
}

/// Ready-built packages only: a package compiled here could take an hour and a C++ compiler.
fn pip_install(workspace: &Workspace, programs: &Path, requirements: &str) -> Command {
    let mut pip = workspace.command(programs.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    pip.args(["--only-binary=:all:", "--requirement", requirements]);
    talking(&mut pip);
    pip
}

/// What the environment was made from: another requirement or another Python makes it anew.
fn stamp(requirements: &str, python_identity: &str) -> String {
    format!("{requirements}\npython {python_identity}\n")
}

fn is_current(folder: &Path, stamp: &str) -> bool {
    let python_is_there = folder.join("bin/python").is_file();
    python_is_there && fs::read_to_string(folder.join("stamp")).is_ok_and(|found| found == stamp)
}

/// Version and place of a `python3` that can make virtual environments; installs one if there is none.
fn python_identity(workspace: &Workspace) -> Result<String, Failure> {
    if let Some(identity) = find_python(workspace) {
        return Ok(identity);
    }
    install_python(workspace)?;
    find_python(workspace).ok_or_else(|| {
        Failure::unavailable("no python3 with a venv module on the PATH, though apt installed one".into())
    })
}

fn find_python(workspace: &Workspace) -> Option<String> {
    let output = workspace.command("python3").args(["-c", PYTHON_IDENTITY]).output().ok()?;
    let identity = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| identity.trim().to_string())
}

fn install_python(workspace: &Workspace) -> Result<(), Failure> {
    if !(is_root(workspace) && has_apt(workspace)) {
        return Err(Failure::unavailable(
            "the tests need python3 with its venv module\n  \
             on Debian, as root: apt-get update && apt-get install python3 python3-venv"
                .into(),
        ));
    }
    step::run("package lists", &mut apt_get(workspace, &["update"]))?;
    let packages = ["install", "--yes", "--no-install-recommends", "python3", "python3-venv"];
    step::run("python", &mut apt_get(workspace, &packages))
}

fn apt_get(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut apt_get = workspace.command("apt-get");
    apt_get.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet").args(arguments);
    talking(&mut apt_get);
    apt_get
}

fn is_root(workspace: &Workspace) -> bool {
    workspace.command("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn has_apt(workspace: &Workspace) -> bool {
    workspace.command("apt-get").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Installers talk; standard output belongs to the tests.
fn talking(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(io::stderr())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a virtual environment, gone when dropped.
    struct Environment(PathBuf);

    impl Environment {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("watchbell-xtask-{}-{name}", std::process::id()));
            fs::create_dir_all(folder.join("bin")).unwrap();
            Self(folder)
        }

        fn with(self, file: &str, text: &str) -> Self {
            fs::write(self.0.join(file), text).unwrap();
            self
        }
    }

    impl Drop for Environment {
        fn drop(&mut self) {
            // A folder left behind in the temporary directory is no reason to fail.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn same_requirements_and_python_need_no_installation() {
        let stamp = stamp("duckdb==1", "3.11");
        let environment = Environment::new("same").with("bin/python", "").with("stamp", &stamp);
        assert!(is_current(&environment.0, &stamp));
    }

    #[test]
    fn changed_requirement_or_python_is_installed_anew() {
        let made_from = stamp("duckdb==1", "3.11");
        let environment = Environment::new("changed").with("bin/python", "").with("stamp", &made_from);
        assert!(!is_current(&environment.0, &stamp("duckdb==2", "3.11")));
        assert!(!is_current(&environment.0, &stamp("duckdb==1", "3.13")));
    }

    #[test]
    fn interrupted_installation_has_no_stamp_and_is_made_anew() {
        let environment = Environment::new("interrupted").with("bin/python", "");
        assert!(!is_current(&environment.0, &stamp("duckdb==1", "3.11")));
    }

    #[test]
    fn environment_without_its_python_is_made_anew() {
        let stamp = stamp("duckdb==1", "3.11");
        let environment = Environment::new("no-python").with("stamp", &stamp);
        assert!(!is_current(&environment.0, &stamp));
    }
}
