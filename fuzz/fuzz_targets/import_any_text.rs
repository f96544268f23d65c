//! Any text is imported or refused with its line: as it is, as YAML behind a comment, and as the property of a filter.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell_aws::{Document, ImportError, Parameters, import};

fuzz_target!(|text: &str| {
    let property = format!("Resources:\n  F:\n    Type: AWS::Logs::MetricFilter\n    Properties: {text}");
    for text in [text.to_owned(), format!("# YAML\n{text}"), property] {
        let lines = text.split('\n').count() + 1;
        match import(&[Document { name: "x".to_owned(), text }], &Parameters::new()) {
            Ok(imported) => assert!(imported.text.contains("version = 1")),
            Err(ImportError::Malformed { line, .. }) => assert!(line <= lines, "{line} of {lines}"),
            Err(ImportError::Defect { reason }) => panic!("{reason}"),
            Err(ImportError::Unknown { .. } | ImportError::TooMuch) => {}
        }
    }
});
