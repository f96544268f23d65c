//! Log records of OpenTelemetry, from the request to the archive.

use serde_json::json;
use watchbell_model::Severity;

use crate::support::http::{get, request};
use crate::support::process::Up;
use crate::support::records::archived;
use crate::support::site::Site;

#[test]
fn records_keep_what_they_have_into_the_archive_and_rejected_ones_are_counted() {
    let site = Site::new(
        "[log_groups.shop]\notlp = { service = \"shop\" }\n[log_groups.rest]\nparse = \"plain\"\notlp = { service = \"team-*\" }\n\
         [redaction]\npresets = \"emails\"\n",
    );
    let up = Up::start(&site);
    let logs = |service: &str, text: &str| {
        json!({
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] },
            "scopeLogs": [{ "logRecords": [
                { "timeUnixNano": "1795381912125000000", "severityNumber": 18, "body": { "stringValue": text },
                  "attributes": [{ "key": "time", "value": { "stringValue": "2020-01-01T00:00:00Z" } },
                                 { "key": "customer", "value": { "stringValue": "joe@mail.example.com" } }] },
            ] }],
        })
    };
    let all =
        [logs("shop", "INFO of jane@mail.example.com"), logs("team-a", "other"), logs("bank", "nobody's")];
    let body = json!({ "resourceLogs": all }).to_string();
    let json = [("Content-Type", "application/json")];
    let answer = request(up.address, "POST", "/v1/logs", &json, body.as_bytes()).unwrap();
    assert_eq!((answer.status, &answer.json()["partialSuccess"]["rejectedLogRecords"]), (200, &json!("1")));
    up.wait_for_events("shop", 1);
    up.wait_for_events("rest", 1);
    assert_eq!(up.metric("watchbell_otlp_rejected_log_records_total"), 1);
    up.wait_for_log("log records are rejected");
    assert_eq!(get(up.address, "/readyz").status, 200);
    up.stop();
    let mut events = archived(&site.path("data/archive"));
    events.sort_by(|a, b| a.log_group.cmp(&b.log_group));
    let found: Vec<_> =
        events.iter().map(|it| (it.message.as_str(), it.log_group.as_str(), it.severity)).collect();
    assert_eq!(
        found,
        [
            ("other", "rest", Severity::Error),
            (
                r#"{"body":"INFO of [redacted:email]","severity":"ERROR","attributes":{"customer":"[redacted:email]","time":"2020-01-01T00:00:00Z"}}"#,
                "shop",
                Severity::Error
            ),
        ]
    );
    assert!(events.iter().all(|it| it.timestamp.to_string() == "2026-11-22T21:11:52.125Z"));
}
