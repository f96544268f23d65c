//! What AWS makes of a plan otherwise than it says, or not at all, as problems of the file.

use watchbell_aws::{Finding, Gravity};
use watchbell_config::{Checked, Level, Problem, Source, place};

use crate::out;

/// Everything that is wrong with a file: what its checker says, and what AWS refuses or does otherwise if it is to run
/// there. No plan comes of what AWS refuses.
pub(super) fn check(source: &Source<'_>) -> Checked {
    let mut checked = watchbell_config::check(source);
    let findings = checked.plan.as_ref().map(watchbell_aws::findings).unwrap_or_default();
    if findings.iter().any(|finding| finding.gravity == Gravity::Refused) {
        checked.plan = None;
    }
    checked.problems.extend(findings.into_iter().map(|finding| problem(finding, source)));
    checked.problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
    checked
}

/// Says findings, those that only show with the files that a plan names, and whether something is refused.
pub(super) fn say_refused(findings: Vec<Finding>, source: &Source<'_>) -> bool {
    let is_refused = findings.iter().any(|finding| finding.gravity == Gravity::Refused);
    if !findings.is_empty() {
        let problems: Vec<Problem> = findings.into_iter().map(|finding| problem(finding, source)).collect();
        super::say(watchbell_config::render(&problems, source, out::colour_on_stderr()).trim_end());
    }
    is_refused
}

fn problem(finding: Finding, source: &Source<'_>) -> Problem {
    Problem {
        level: match finding.gravity {
            Gravity::Refused => Level::Error,
            Gravity::Difference => Level::Note,
        },
        span: place(source, &finding.path),
        message: finding.message,
        label: None,
        help: finding.help,
        is_about_aws: true,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_finding_is_a_problem_at_its_line() {
        let text = "version = 1\n[alarms.slow]\nperiod = \"45s\"\n";
        let source = Source { name: "watchbell.toml", text, folder: Path::new("/x") };
        let finding = |gravity, key: &str| Finding {
            path: ["alarms", "slow", key].map(str::to_owned).to_vec(),
            gravity,
            message: "a message".to_owned(),
            help: Some("a way out".to_owned()),
        };
        let refused = problem(finding(Gravity::Refused, "period"), &source);
        let difference = problem(finding(Gravity::Difference, "threshold"), &source);
        assert_eq!(&text[refused.span.clone()], "\"45s\"");
        assert_eq!((refused.level, difference.level), (Level::Error, Level::Note));
        let drawn = watchbell_config::render(&[refused, difference], &source, false);
        assert!(drawn.contains("watchbell.toml:3:10") && drawn.contains("a way out"), "{drawn}");
    }
}
