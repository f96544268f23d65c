//! Every file in `tests/cases`, checked. `x.toml` stands beside what must come of it: `x.toml.expected`, the
//! problems as people see them, and `x.plan.json`, the plan, if there is one. `UPDATE=1` rewrites both.

use std::fs;
use std::path::{Path, PathBuf};

use watchbell_config::{Checked, Level, Source, check, render, report};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = fs::read_dir(folder).expect("the cases are there").flatten().map(|entry| entry.path());
    let mut cases: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    cases.sort();
    cases
}

/// Compares what came out with the file beside the case; nothing came out: there must be no file.
fn hold_against(path: &Path, found: Option<String>, differences: &mut Vec<String>) {
    if std::env::var_os("UPDATE").is_some() {
        match found {
            Some(found) => fs::write(path, found).expect("the file can be written"),
            None if path.exists() => fs::remove_file(path).expect("the file can be removed"),
            None => {}
        }
        return;
    }
    let expected = fs::read_to_string(path).ok();
    if expected != found {
        let nothing = "nothing\n".to_owned();
        let (expected, found) = (expected.unwrap_or(nothing.clone()), found.unwrap_or(nothing));
        differences.push(format!("{}\n--- expected\n{expected}--- found\n{found}", path.display()));
    }
}

fn check_case(path: &Path) -> (Checked, String) {
    let text = fs::read_to_string(path).expect("the case is text");
    let source = Source { name: "watchbell.toml", text: &text, folder: Path::new("/etc/watchbell") };
    let checked = check(&source);
    let rendered = render(&checked.problems, &source, false);
    let json = serde_json::to_string(&report(&checked.problems, &source)).expect("a report is plain data");
    for shown in [&rendered, &json] {
        assert!(!shown.contains("hunter2"), "{} shows a secret:\n{shown}", path.display());
    }
    (checked, rendered)
}

#[test]
fn every_case_gives_its_problems_and_its_plan() {
    let mut differences = Vec::new();
    for path in cases() {
        let (checked, rendered) = check_case(&path);
        let plan = checked.plan.map(|plan| serde_json::to_string_pretty(&plan).unwrap() + "\n");
        hold_against(
            &path.with_extension("toml.expected"),
            Some(rendered).filter(|text| !text.is_empty()),
            &mut differences,
        );
        hold_against(&path.with_extension("plan.json"), plan, &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_plan_comes_exactly_without_errors() {
    for path in cases() {
        let (checked, _) = check_case(&path);
        let has_errors = checked.problems.iter().any(|problem| problem.level == Level::Error);
        assert_eq!(checked.plan.is_none(), has_errors, "{}", path.display());
    }
}
