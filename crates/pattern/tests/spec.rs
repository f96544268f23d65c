//! The cases of the filter pattern specification, each as data: what matches, what is extracted, what is refused.
//!
//! `WATCHBELL_CASES` may name a folder (absolute path) with more files `filter-pattern*.json` of the same shape.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use watchbell_pattern::{Pattern, Selector};

#[test]
fn every_case_of_the_specification_holds() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/filter-pattern-cases.json");
    let checked = check_file(&own);
    assert_eq!((checked.cases, checked.invalid, checked.extraction), (388, 51, 14), "cases went missing");
}

#[test]
fn every_case_of_the_folder_in_the_environment_holds() {
    let Some(folder) = std::env::var_os("WATCHBELL_CASES") else { return };
    let files = case_files(Path::new(&folder));
    assert!(!files.is_empty(), "no filter-pattern*.json in {}", folder.display());
    for file in files {
        let checked = check_file(&file);
        assert!(checked.cases + checked.invalid + checked.extraction > 0, "{} holds no case", file.display());
    }
}

struct Checked {
    cases: usize,
    invalid: usize,
    extraction: usize,
}

fn case_files(folder: &Path) -> Vec<PathBuf> {
    assert!(folder.is_absolute(), "WATCHBELL_CASES must be an absolute path");
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| is_case_file(path))
        .collect();
    files.sort();
    files
}

fn is_case_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("filter-pattern") && path.extension().is_some_and(|extension| extension == "json")
}

/// Checks every case of a file and reports all mismatches at once.
fn check_file(file: &Path) -> Checked {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let root: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut faults = Vec::new();
    let mut run = |list: &str, check: fn(&Value) -> Result<(), String>| {
        let cases = root.get(list).map_or(&[][..], |cases| cases.as_array().expect("a list of cases"));
        for case in cases {
            if let Err(fault) = check(case) {
                faults.push(format!("{}: {fault}\n  {case}", case["id"]));
            }
        }
        cases.len()
    };
    let checked = Checked {
        cases: run("cases", check_match),
        invalid: run("invalid", check_refusal),
        extraction: run("extraction", check_extraction),
    };
    assert!(faults.is_empty(), "{}: {} mismatches\n{}", file.display(), faults.len(), faults.join("\n"));
    checked
}

fn check_match(case: &Value) -> Result<(), String> {
    let pattern = parse(case)?;
    let message = text(case, "message");
    let matches = pattern.matches(message);
    if Some(matches) != case["matches"].as_bool() {
        return Err(format!("matches is {matches}"));
    }
    let expected: Option<BTreeMap<String, String>> =
        serde_json::from_value(case["extracted"].clone()).expect("null or texts by name");
    let extracted = pattern.extract(message);
    if extracted != expected {
        return Err(format!("extracted {extracted:?}"));
    }
    Ok(())
}

fn check_refusal(case: &Value) -> Result<(), String> {
    let pattern = text(case, "pattern");
    let Err(error) = Pattern::parse(pattern) else { return Err("accepted".to_owned()) };
    let in_text = pattern.get(error.span.clone()).is_some();
    if !in_text || error.message.is_empty() {
        return Err(format!("a bad error: {error:?}"));
    }
    Ok(())
}

fn check_extraction(case: &Value) -> Result<(), String> {
    let pattern = parse(case)?;
    let message = text(case, "message");
    let selector =
        Selector::parse(text(case, "selector"), &pattern).map_err(|error| format!("refused: {error:?}"))?;
    let value = pattern.matches(message).then(|| selector.value(message)).flatten();
    if value.as_deref() != case["value"].as_str() {
        return Err(format!("selected {value:?}"));
    }
    Ok(())
}

fn parse(case: &Value) -> Result<Pattern, String> {
    Pattern::parse(text(case, "pattern")).map_err(|error| format!("refused: {error:?}"))
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_else(|| panic!("{key} is not a text: {case}"))
}
