//! What AWS makes of a plan otherwise than it says, drawn with its line.

use watchbell_aws::{Finding, Gravity};
use watchbell_config::{Level, Problem, Source, place};
use watchbell_model::Plan;

use crate::cli::file::File;
use crate::cli::say;
use crate::{ExitStatus, Failure, out};

/// Findings as problems of the file: what is refused is an error, a difference a warning.
fn problems(findings: Vec<Finding>, source: &Source<'_>) -> Vec<Problem> {
    let problem = |finding: Finding| Problem {
        level: match finding.gravity {
            Gravity::Refused => Level::Error,
            Gravity::Difference => Level::Warning,
        },
        span: place(source, &finding.path),
        message: finding.message,
        label: None,
        help: finding.help,
    };
    findings.into_iter().map(problem).collect()
}

/// Says them.
///
/// # Errors
/// One of them is refused.
pub(super) fn show(file: &File, plan: &Plan) -> Result<(), Failure> {
    let findings = watchbell_aws::findings(plan);
    let is_refused = findings.iter().any(|finding| finding.gravity == Gravity::Refused);
    if !findings.is_empty() {
        let problems = problems(findings, &file.source());
        say(watchbell_config::render(&problems, &file.source(), out::colour_on_stderr()).trim_end());
    }
    if is_refused { Err(Failure::new(ExitStatus::Configuration, "")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_finding_is_drawn_at_its_line() {
        let text = "version = 1\n[alarms.slow]\nperiod = \"45s\"\n";
        let source = Source { name: "watchbell.toml", text, folder: Path::new("/x") };
        let finding = |gravity, key: &str| Finding {
            path: ["alarms", "slow", key].map(str::to_owned).to_vec(),
            gravity,
            message: "a message".to_owned(),
            help: Some("a way out".to_owned()),
        };
        let findings = vec![finding(Gravity::Refused, "period"), finding(Gravity::Difference, "threshold")];
        let problems = problems(findings, &source);
        assert_eq!(&text[problems[0].span.clone()], "\"45s\"");
        assert_eq!((problems[0].level, problems[1].level), (Level::Error, Level::Warning));
        let drawn = watchbell_config::render(&problems, &source, false);
        assert!(drawn.contains("watchbell.toml:3:10") && drawn.contains("a way out"), "{drawn}");
    }
}
