//! A folder of its own with a `watchbell.toml`, logs, and what Watchbell makes of them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use watchbell_model::Plan;

/// What every file starts with.
const HEAD: &str = "version = 1\ndata_dir = \"data\"\n[http]\nlisten = \"127.0.0.1:0\"\n";

/// A folder, usually one that goes away with its test.
pub(crate) struct Site {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Site {
    /// A folder with a file of the head and `body`.
    pub(crate) fn new(body: &str) -> Site {
        let temporary = tempfile::tempdir().unwrap();
        let site = Site { folder: temporary.path().to_owned(), _temporary: Some(temporary) };
        site.configure(body);
        site
    }

    /// The same in a folder that stays.
    pub(crate) fn at(folder: &Path, body: &str) -> Site {
        fs::create_dir_all(folder).unwrap();
        let site = Site { folder: folder.to_owned(), _temporary: None };
        site.configure(body);
        site
    }

    /// One that is there already, and stays.
    pub(crate) fn existing(folder: &Path) -> Site {
        Site { folder: folder.to_owned(), _temporary: None }
    }

    /// Replaces the file by the head and `body`.
    pub(crate) fn configure(&self, body: &str) {
        self.write("watchbell.toml", format!("{HEAD}{body}"));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("watchbell.toml")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        append(&self.path(name), bytes.as_ref());
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// The plan that the file holds.
    pub(crate) fn plan(&self) -> Plan {
        let text = fs::read_to_string(self.config()).unwrap();
        let source = watchbell_config::Source { name: "watchbell.toml", text: &text, folder: &self.folder };
        let checked = watchbell_config::check(&source);
        let said = watchbell_config::render(&checked.problems, &source, false);
        checked.plan.unwrap_or_else(|| panic!("{said}"))
    }

    /// Every file below the folder, with its bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.folder, &mut files);
        files
    }
}

/// Appends in one write, as a program that logs does.
pub(crate) fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
}

/// Copies a folder with everything in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
