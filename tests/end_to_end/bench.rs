//! `watchbell bench`: that it measures what it says; how fast is not asked here.

use serde_json::{Value, json};

use crate::support::process::{said, watchbell};
use crate::support::site::Site;

#[test]
fn bench_detect_gives_every_figure_and_leaves_nothing_behind() {
    let site = Site::new("");
    let arguments = [
        "bench",
        "detect",
        "--mb",
        "1",
        "--filters",
        "3,12",
        "--kind",
        "text,json",
        "--seed",
        "7",
        "--format",
        "json",
    ];
    // Without mtail, whether it is installed or not.
    let output = watchbell(&site, &arguments).env("PATH", "").output().unwrap();
    let (code, stdout, stderr) = said(&output);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["seed"], &report["mtail"]), (&json!(7), &Value::Null));
    assert_eq!(report["folder"], site.path("").canonicalize().unwrap().to_str().unwrap());
    let kinds = report["kinds"].as_array().unwrap();
    assert_eq!(kinds.iter().map(|kind| &kind["kind"]).collect::<Vec<_>>(), ["text", "json"]);
    for kind in kinds {
        assert!(kind["bytes"].as_u64().unwrap() >= 1_000_000, "{kind}");
        let rows = kind["rows"].as_array().unwrap();
        let sizes: Vec<_> = rows.iter().map(|row| (&row["filters"], &row["alarms"])).collect();
        assert_eq!(sizes, [(&json!(3), &json!(3)), (&json!(12), &json!(10)), (&json!(12), &json!(12))]);
        for row in rows {
            for rate in
                [&kind["memchr"], &row["path"], &row["with_archive"], &row["set"], &row["plain"]["rate"]]
            {
                assert!(rate.as_f64().unwrap() > 0.0, "{row}");
            }
            // The program ends with 70 if a count of matches differs; so that it is about every line:
            assert_eq!(row["plain"]["bytes"], kind["bytes"], "{row}");
            assert!(row["matches"].as_u64().unwrap() > 0, "{row}");
            assert!(row["path"].as_f64() > row["with_archive"].as_f64(), "{row}");
        }
    }
    let left: Vec<_> =
        std::fs::read_dir(site.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["watchbell.toml"]);
}

#[test]
fn bench_load_gives_every_figure_of_a_whole_up_and_leaves_nothing_behind() {
    let site = Site::new("");
    let arguments = ["bench", "load", "--mb", "1", "--filters", "12", "--kind", "json", "--format", "json"];
    let (code, stdout, stderr) = said(&watchbell(&site, &arguments).output().unwrap());
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&report["kind"], &report["filters"]), (&json!("json"), &json!(12)));
    let phases = report["phases"].as_array().unwrap();
    let names: Vec<_> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["idle", "a file", "HTTP", "80 % of a file's"]);
    for phase in phases {
        assert!(phase["memory"].as_u64().unwrap() > 1_000_000, "{phase}");
        assert!(phase["cpu"].as_object().unwrap().contains_key("watchbell-fold"), "{phase}");
        assert!(phase["latency"]["p50_ms"].as_f64() <= phase["latency"]["max_ms"].as_f64(), "{phase}");
    }
    for loaded in &phases[1..3] {
        assert!(loaded["bytes"].as_u64().unwrap() >= 1_000_000, "{loaded}");
        assert!(loaded["matched"].as_f64() >= loaded["sustained"].as_f64(), "{loaded}");
        assert!(loaded["sustained"].as_f64().unwrap() > 0.0, "{loaded}");
    }
    assert!(report["restart"]["ms"].as_f64().unwrap() > 0.0, "{report}");
    assert!(report["restart"]["journal_bytes"].as_u64().unwrap() > 2_000_000, "{report}");
    assert_eq!(std::fs::read_dir(site.path("")).unwrap().count(), 1, "only the file is left");
}
