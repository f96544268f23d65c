//! The long form of the test that kills a real `up` under load: `tests/end_to_end/torture.rs`.

use std::ffi::OsString;

use crate::step::{self, Failure};
use crate::workspace::Workspace;

/// How often it is killed if nobody says: some two minutes.
const KILLS: &str = "200";

/// # Errors
/// Arguments that it does not know (2), or something was lost or doubled (1, cargo's exit code).
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<(), Failure> {
    let mut torture = workspace.cargo();
    torture.args([
        "test",
        "--locked",
        "-p",
        "watchbell",
        "--test",
        "end_to_end",
        "--",
        "torture",
        "--nocapture",
    ]);
    for (name, value) in settings(arguments)? {
        torture.env(name, value);
    }
    step::run("torture", &mut torture)
}

/// The environment that tells the test.
fn settings(arguments: &[OsString]) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut settings = vec![("WATCHBELL_KILLS", KILLS.to_owned())];
    for pair in arguments.chunks(2) {
        let [option, value] = pair else {
            return Err(Failure::usage(format!("{} needs a number", pair[0].display())));
        };
        let name = match option.to_str() {
            Some("--kills") => "WATCHBELL_KILLS",
            Some("--seed") => "WATCHBELL_SEED",
            _ => {
                return Err(Failure::usage(format!(
                    "torture has --kills N and --seed S, not {}",
                    option.display()
                )));
            }
        };
        let number = value.to_str().filter(|text| text.parse::<u64>().is_ok());
        let number = number.ok_or_else(|| Failure::usage(format!("{} is no number", value.display())))?;
        settings.push((name, number.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Vec<(&'static str, String)>, u8> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        settings(&words).map_err(|failure| failure.exit_code)
    }

    #[test]
    fn what_is_said_last_counts() {
        let settings = of(&["--kills", "1000", "--seed", "7"]).unwrap();
        assert_eq!(settings.last(), Some(&("WATCHBELL_SEED", "7".to_owned())));
        assert_eq!(settings[1], ("WATCHBELL_KILLS", "1000".to_owned()));
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for words in [&["--kills"][..], &["--kills", "many"], &["--times", "3"]] {
            assert_eq!(of(words).unwrap_err(), 2, "{words:?}");
        }
    }
}
