//! A folder with a `watchbell.toml` and logs, and the program run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use watchbell_model::Plan;

/// A folder that goes away with its test.
pub(crate) struct Folder(TempDir);

/// How the program ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    /// A folder with this `watchbell.toml`, after a line with the version.
    pub(crate) fn new(body: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("watchbell.toml", format!("version = 1\n{body}"));
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The plan that the file holds.
    pub(crate) fn plan(&self) -> Plan {
        let text = fs::read_to_string(self.file("watchbell.toml")).unwrap();
        let source = watchbell_config::Source { name: "watchbell.toml", text: &text, folder: self.path() };
        let checked = watchbell_config::check(&source);
        checked.plan.unwrap_or_else(|| panic!("{:?}", checked.problems))
    }

    /// The program with these arguments, in this folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
        command.args(arguments).current_dir(self.path()).env_remove("WATCHBELL_CONFIG").stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The same with `--format json`; it must end with `code` and print one JSON value.
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
        let said = self.run(&[arguments, &["--format", "json"]].concat());
        assert_eq!(said.code, Some(code), "{said:?}");
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }
}
