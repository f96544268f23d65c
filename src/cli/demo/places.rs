//! The folder that the demo works in, with the file that `watchbell up` runs.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::random;
use crate::outside::probes;
use crate::{ExitStatus, Failure};

/// The file that the demo runs, and that a reader finds in `examples/shop`.
const CONFIG: &str = include_str!("../../../examples/shop/watchbell.toml");

/// How many other alarms are timed.
pub(super) const PROBES: usize = 100;

/// Where everything is, all in one folder.
pub(super) struct Places {
    pub(super) folder: PathBuf,
    pub(super) config: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) data: PathBuf,
    pub(super) archive: PathBuf,
    /// What `watchbell up` writes to its standard output: the messages of the console channel.
    pub(super) console: PathBuf,
}

impl Places {
    /// Makes the folder with the file in it.
    pub(super) fn make(dir: Option<&Path>) -> Result<Places, Failure> {
        let folder = match dir {
            Some(dir) => std::path::absolute(dir).map_err(|error| Failure::io(dir.display(), &error))?,
            None => std::env::temp_dir().join(format!("watchbell-demo-{}", folder_name()?)),
        };
        let failure = |error: std::io::Error| {
            let failure = Failure::io(format!("folder {}", folder.display()), &error);
            failure.help("name a folder that can be made or written to: watchbell demo --dir FOLDER")
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failure)?;
        if std::fs::read_dir(&folder).map_err(failure)?.next().is_some() {
            let message = format!("folder {} is not empty", folder.display());
            return Err(Failure::new(ExitStatus::Usage, message).help("name a new folder, or none at all"));
        }
        let at = |name: &str| folder.join(name);
        let places = Places {
            config: at("watchbell.toml"),
            logs: at("logs"),
            data: at("data"),
            archive: at("archive"),
            console: at("messages.txt"),
            folder: folder.clone(),
        };
        std::fs::write(&places.config, format!("{CONFIG}{}", probes::config_text(PROBES)))
            .map_err(failure)?;
        Ok(places)
    }
}

/// The end of a temporary folder's name, like no other's.
fn folder_name() -> Result<String, Failure> {
    Ok(format!("{:08x}", u32::from_be_bytes(random()?)))
}

#[cfg(test)]
mod tests {
    use watchbell_config::{Source, check};

    use super::*;

    #[test]
    fn the_example_and_what_the_demo_adds_are_a_good_file() {
        let with_probes = format!("{CONFIG}{}", probes::config_text(PROBES));
        for (text, alarms) in [(CONFIG, 3), (&with_probes, 3 + PROBES)] {
            let checked = check(&Source { name: "watchbell.toml", text, folder: Path::new("/shop") });
            assert!(checked.problems.is_empty(), "{:?}", checked.problems);
            assert_eq!(checked.plan.unwrap().alarms.len(), alarms);
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Places::make(Some(&folder.path().join("new"))).is_ok());
        let refused = Places::make(Some(folder.path())).err().unwrap();
        assert!(refused.message.contains("is not empty"), "{refused}");
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Places::make(Some(&file.join("below"))).is_err());
    }
}
