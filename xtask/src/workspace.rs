//! The checkout: where it is, where builds go, and cargo as a person would call it there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Failure;

/// Folders of the checkout, absolute.
pub(crate) struct Workspace {
    root: PathBuf,
    /// From `CARGO_TARGET_DIR`, if that is set.
    chosen_target_dir: Option<PathBuf>,
}

impl Workspace {
    /// # Errors
    /// The current folder is gone (74): a relative `CARGO_TARGET_DIR` has no meaning then.
    pub(crate) fn find() -> Result<Self, Failure> {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = xtask.parent().expect("xtask is a folder of the workspace").to_path_buf();
        let chosen_target_dir = env::var_os("CARGO_TARGET_DIR")
            .filter(|dir| !dir.is_empty())
            .map(std::path::absolute)
            .transpose()
            .map_err(|error| Failure::io("CARGO_TARGET_DIR", &error))?;
        Ok(Self { root, chosen_target_dir })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn target_dir(&self) -> PathBuf {
        self.chosen_target_dir.clone().unwrap_or_else(|| self.root.join("target"))
    }

    /// A command run in the root of the checkout, with the environment of the person who called `cargo xtask`.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_set_by_cargo_run) {
                command.env_remove(name);
            }
        }
        if let Some(dir) = &self.chosen_target_dir {
            command.env("CARGO_TARGET_DIR", dir);
        }
        command
    }

    /// The cargo that called this program.
    pub(crate) fn cargo(&self) -> Command {
        self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }
}

/// Variables in which `cargo run` describes the package it runs. Build scripts watch some of them (ring's
/// does): left in place, every switch between `cargo xtask` and plain cargo would rebuild those crates.
fn is_set_by_cargo_run(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_holds_the_manifest_of_the_workspace() {
        let workspace = Workspace::find().unwrap();
        let manifest = std::fs::read_to_string(workspace.root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn commands_do_not_see_the_package_that_cargo_runs() {
        let cargo = Workspace::find().unwrap().cargo();
        let removed: Vec<_> =
            cargo.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert!(removed.contains(&"CARGO_PKG_NAME".as_ref()), "{removed:?}");
        assert!(removed.contains(&"CARGO_MANIFEST_DIR".as_ref()), "{removed:?}");
    }

    #[test]
    fn settings_of_the_person_stay() {
        assert!(!is_set_by_cargo_run("CARGO_INCREMENTAL"));
        assert!(!is_set_by_cargo_run("CARGO_TARGET_DIR"));
    }
}
