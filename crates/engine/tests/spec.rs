//! Runs the alarm evaluation vectors, ours and any from the folder that `WATCHBELL_CASES` names.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use watchbell_engine::evaluation::{Rule, evaluate};
use watchbell_model::{AlarmState, Comparison, Datapoint, Timestamp, TreatMissingData};

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    period_s: i64,
    evaluation_periods: usize,
    datapoints_to_alarm: usize,
    operator: Comparison,
    threshold: f64,
    treat_missing: String,
    datapoints: Vec<Option<f64>>,
    previous_state: AlarmState,
    expected_state: AlarmState,
}

impl Case {
    fn evaluate(&self) -> AlarmState {
        let treat_missing_data = match self.treat_missing.as_str() {
            "missing" => TreatMissingData::Missing,
            "ignore" => TreatMissingData::Ignore,
            "breaching" => TreatMissingData::Breaching,
            "notBreaching" => TreatMissingData::NotBreaching,
            other => panic!("{}: unknown way to treat missing data {other:?}", self.id),
        };
        let (datapoints_to_alarm, evaluation_periods) = (self.datapoints_to_alarm, self.evaluation_periods);
        let range: Vec<Datapoint> = (0..)
            .zip(&self.datapoints)
            .map(|(slot, value)| Datapoint {
                start: Timestamp(slot * self.period_s * 1000),
                value: *value,
                samples: u64::from(value.is_some()),
                breaching: value.is_some_and(|value| self.operator.breaches(value, self.threshold)),
                estimated: false,
            })
            .collect();
        evaluate(
            Rule { datapoints_to_alarm, evaluation_periods, treat_missing_data },
            &range,
            self.previous_state,
        )
    }
}

fn mismatches(path: &Path) -> (usize, Vec<String>) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: File =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let wrong = |case: &&Case| case.evaluate() != case.expected_state;
    let describe =
        |case: &Case| format!("{}: {} instead of {}", case.id, case.evaluate(), case.expected_state);
    (file.cases.len(), file.cases.iter().filter(wrong).map(describe).collect())
}

fn assert_all_hold(path: &Path) {
    let (count, mismatches) = mismatches(path);
    assert!(count > 0, "{} holds no case", path.display());
    assert!(
        mismatches.is_empty(),
        "{} of {count} in {}:\n{}",
        mismatches.len(),
        path.display(),
        mismatches.join("\n")
    );
}

#[test]
fn every_vector_of_the_specification_holds() {
    assert_all_hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/alarm-cases.json"));
}

#[test]
fn every_vector_of_the_folder_in_the_environment_holds() {
    let Some(folder) = std::env::var_os("WATCHBELL_CASES").map(PathBuf::from) else { return };
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("alarm") && Path::new(&name).extension().is_some_and(|extension| extension == "json")
    };
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(named).collect();
    assert!(!files.is_empty(), "{} holds no file alarm*.json", folder.display());
    for path in &files {
        assert_all_hold(path);
    }
}
