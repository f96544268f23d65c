//! `watchbell test` from outside.

use crate::support::folder::Folder;

const PLAN: &str = r#"
[log_groups."shop/app"]
[metric_filters.errors]
log_group = "shop/app"
pattern = "ERROR"
metric = { namespace = "Shop", name = "Errors" }
[metric_filters.lines]
log_group = "shop/app"
pattern = ""
metric = { namespace = "Shop", name = "Lines" }
[alarms.errors]
metric_filter = "errors"
period = "60s"
condition = ">= 3"
missing_data = "not_breaching"
notify = ["ops"]
[alarms.quiet]
metric_filter = "lines"
period = "60s"
condition = "< 1"
datapoints = "2 of 2"
missing_data = "breaching"
[topics.ops]
console = {}
"#;

fn with(tests: &str) -> Folder {
    Folder::new(&format!("{PLAN}{tests}"))
}

#[test]
fn tests_of_the_file_and_of_files_beside_it_are_run_in_order() {
    let folder = with(
        r#"
[[test]]
name = "three errors in a minute ring"
log_group = "shop/app"
lines = ["12:00:00 ERROR a", "12:00:20 ERROR b", "12:00:40 ERROR c"]
expect = ["12:00:40 ALARM errors early", "12:04:10 OK errors"]
message_contains = ["3 matches in 60 s", "ERROR b"]
"#,
    );
    folder.write(
        "b.test.toml",
        "test = { name = \"b\", lines = \"12:00:00 shop/app ERROR\", no_alarms = \"errors\" }",
    );
    folder.write(
        "a.test.toml",
        "[[test]]\nname = \"a\"\nlines = []\nuntil = \"12:00:05\"\nno_alarms = \"*\"\n",
    );
    folder.write("other.toml", "nonsense");
    let said = folder.run(&["test"]);
    let expected = "ok    three errors in a minute ring  (watchbell.toml:27)\nok    a  (a.test.toml:1)\nok    b  (b.test.toml:1)\n\
                    3 passed, 0 failed\n";
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), expected, ""));
    let one = folder.run(&["test", "b.test.toml"]);
    assert_eq!((one.code, one.stdout.as_str()), (Some(0), "ok    b  (b.test.toml:1)\n1 passed, 0 failed\n"));
    assert!(folder.run(&["test", "--name", "ring"]).stdout.ends_with("1 passed, 0 failed\n"));
    assert_eq!(folder.run(&["test", "--name", "nobody"]).code, Some(2));
}

#[test]
fn a_failure_shows_expected_against_found_with_reasons_and_ends_with_1() {
    let folder = with(
        r#"
[[test]]
name = "wrong"
log_group = "shop/app"
lines = [{ at = "12:00:00", line = "ERROR x", repeat = 4, every = "10s" }]
expect = ["12:00:10 ALARM errors", "12:04:10 OK errors"]
message_contains = "the kitchen is on fire"
message = """
ALARM errors (error): 4 matches in 60 s, threshold >= 3
"""
[[test]]
name = "right"
lines = "12:00:00 shop/app fine"
no_alarms = "errors"
"#,
    );
    let said = folder.run(&["test"]);
    let expected = "\
FAIL  wrong  (watchbell.toml:27)
      - 12:00:10 ALARM errors   expected, did not happen
      + 12:00:20 ALARM errors early   happened, not expected
          Threshold Crossed: 1 out of the last 1 datapoint [3.0 (01/01/26 12:00:00)] was greater than or equal to the threshold (3.0) (minimum 1 datapoint for OK -> ALARM transition).
        12:04:10 OK errors
      no message contains \"the kitchen is on fire\"
      the first message is another one:
      - ALARM errors (error): 4 matches in 60 s, threshold >= 3
      + ALARM errors (error): 3 matches in 60 s, threshold >= 3
      +   when         2026-01-01 12:00:20.000 UTC, slot 12:00:00 to 12:01:00
";
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.starts_with(expected), "{}", said.stdout);
    assert!(
        said.stdout.ends_with("ok    right  (watchbell.toml:36)\n1 passed, 1 failed\n"),
        "{}",
        said.stdout
    );
    let report = folder.json(&["test"], 1);
    assert_eq!((&report["passed"], &report["failed"]), (&1.into(), &1.into()));
    let outcomes: Vec<&str> = report["tests"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["missing", "unexpected", "as_expected"]);
    assert_eq!(report["tests"][0]["messages"][0]["lacks"], "the kitchen is on fire");
    assert_eq!(report["tests"][1]["passed"], true);
}

#[test]
fn the_whole_message_can_be_held_against() {
    let folder = with(
        r#"
[[test]]
name = "the message"
log_group = "shop/app"
date = "2026-11-22"
lines = ["12:00:00 ERROR a", "12:00:20 ERROR b", "12:00:40 ERROR c"]
expect = ["12:00:40 ALARM errors", "12:04:10 OK errors"]
message = """
ALARM errors (error): 3 matches in 60 s, threshold >= 3
  when         2026-11-22 12:00:40.000 UTC, slot 12:00:00 to 12:01:00
               early: the slot is not over, but no later event can change the outcome
  state        ALARM, was OK
  rule         Sum of Shop Errors >= 3 over 60 s, 1 of 1 datapoints
               missing data counts as not breaching
  datapoints   11:58:00  no data, 2 slots
               12:00:00  3  breaching
  matched      3 events
  filter       errors on shop/app
               ERROR
  first        2026-11-22 12:00:00.000 UTC  test
                 ERROR a
               2026-11-22 12:00:20.000 UTC  test
                 ERROR b
               2026-11-22 12:00:40.000 UTC  test
                 ERROR c
"""
"#,
    );
    let said = folder.run(&["test"]);
    assert_eq!(said.code, Some(0), "{}", said.stdout);
}

#[test]
fn late_lines_days_and_quiet_alarms() {
    let folder = with(
        r#"
[[test]]
name = "a late line counts where it happened, and too late not at all"
log_group = "shop/app"
lines = [
    "12:00:50 ERROR a",
    "12:00:55 ERROR b",
    { at = "12:01:05", timestamp = "12:00:59.999", line = "ERROR c" },
    { at = "12:30:00", timestamp = "12:20:00", line = "ERROR", repeat = 5 },
]
expect = ["12:01:05 ALARM errors early", "12:04:10 OK errors"]
[[test]]
name = "nothing comes any more"
log_group = "shop/app"
lines = ["23:59:00 hello"]
expect = ["23:59:10 ALARM quiet", "24:00:10 OK quiet", "24:04:10 ALARM quiet"]
[[test]]
name = "until"
log_group = "shop/app"
lines = ["12:00:00 hello"]
expect = ["12:00:10 ALARM quiet", "12:01:10 OK quiet"]
no_alarms = ["*"]
until = "12:04:09"
[[test]]
name = "another alarm is not passed over in silence"
log_group = "shop/app"
lines = { at = "12:00:00", line = "ERROR", repeat = 3 }
expect = ["12:00:10 ALARM quiet", "12:01:10 OK quiet"]
until = "12:02:00"
"#,
    );
    let said = folder.run(&["test"]);
    assert_eq!(said.code, Some(0), "{}", said.stdout);
    let note = "also rang, and the test does not say whether they should: errors\n";
    assert_eq!(said.stdout.matches(note).count(), 1, "{}", said.stdout);
}

#[test]
fn a_wrong_test_is_refused_with_its_place() {
    let folder = with("[[test]]\nname = \"x\"\nlines = [\"noon ERROR\"]\nno_alarms = \"*\"\n");
    let said = folder.run(&["test"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(78), ""));
    assert!(said.stderr.contains("watchbell.toml:28"), "{}", said.stderr);
    assert_eq!(folder.run(&["check"]).code, Some(78), "check sees it too");
    let folder = with("");
    let said = folder.run(&["test"]);
    assert!(said.code == Some(78) && said.stderr.contains("has no test"), "{said:?}");
    folder.write(
        "bad.test.toml",
        "version = 1\n[[test]]\nname = \"x\"\nlines = []\nexpect = [\"12:00:00 ALARM erors\"]\n",
    );
    folder.write("empty.test.toml", "# nothing\n");
    let said = folder.run(&["test"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(78), ""));
    for part in [
        "key \"version\" in a file of tests",
        "did you mean \"errors\"?",
        "the file has no test",
        "bad.test.toml:5",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    assert_eq!(folder.run(&["test", "missing.test.toml"]).code, Some(78));
}

#[test]
fn states_of_an_alarm_per_address_composite_alarms_and_mute_rules() {
    let folder = Folder::new(
        r#"
[log_groups."gate/auth"]
[metric_filters.failed]
log_group = "gate/auth"
pattern = '[what=FAILED, ip]'
metric = { namespace = "Gate", name = "Failed", dimensions = { ip = "$ip" } }
[alarms.guessing]
metric = { namespace = "Gate", name = "Failed" }
each = ["ip"]
period = "60s"
condition = ">= 3"
missing_data = "not_breaching"
notify = ["ops"]
[composite_alarms.somebody]
rule = 'ALARM("guessing")'
notify = ["ops"]
[mute_rules.noon]
alarms = "guessing"
schedule = "cron(0 12 * * *)"
duration = "10m"
[topics.ops]
console = {}
[[test]]
name = "each address by itself"
log_group = "gate/auth"
lines = [
    { at = "13:00:00", line = "FAILED 10.0.0.7", repeat = 3, every = "1s" },
    { at = "13:00:10", line = "FAILED 10.0.0.8", repeat = 2, every = "1s" },
]
expect = [
    "13:00:02 ALARM guessing [ip 10.0.0.7] early",
    "13:00:02 ALARM somebody",
    "13:04:10 OK guessing [ip 10.0.0.7]",
    "13:04:10 OK somebody",
]
no_alarms = "*"
message_contains = "guessing [ip 10.0.0.7]"
[[test]]
name = "a mute rule keeps back the message, not the change"
log_group = "gate/auth"
lines = { at = "12:01:00", line = "FAILED 10.0.0.7", repeat = 3, every = "1s" }
expect = ["12:01:02 ALARM guessing [ip 10.0.0.7]", "12:05:10 OK guessing [ip 10.0.0.7]"]
message_contains = "guessing"
[[test]]
name = "what is still true afterwards is told then"
log_group = "gate/auth"
lines = { at = "12:01:00", line = "FAILED 10.0.0.7", repeat = 600, every = "1s" }
expect = ["12:01:02 ALARM guessing", "12:14:10 OK guessing [ip 10.0.0.7]"]
message_contains = "guessing"
"#,
    );
    let said = folder.run(&["test"]);
    let expected = "\
ok    each address by itself  (watchbell.toml:24)
FAIL  a mute rule keeps back the message, not the change  (watchbell.toml:39)
        12:01:02 ALARM guessing [ip 10.0.0.7]
        12:05:10 OK guessing [ip 10.0.0.7]
      no message contains \"guessing\"
      also rang, and the test does not say whether they should: somebody
ok    what is still true afterwards is told then  (watchbell.toml:45)
      also rang, and the test does not say whether they should: somebody
2 passed, 1 failed
";
    assert_eq!((said.stdout.as_str(), said.stderr.as_str(), said.code), (expected, "", Some(1)));
}

#[test]
fn a_test_and_a_replay_see_lines_as_they_would_be_stored() {
    let folder = with(
        r#"
[redaction]
presets = "emails"
[log_groups.mail]
files = ["mail.log"]
timestamp = { format = "%Y-%m-%d %H:%M:%S" }
[alarms.mail]
log_group = "mail"
pattern = '"[redacted:email]" -example'
period = "60s"
missing_data = "not_breaching"
[[test]]
name = "addresses are taken out"
lines = "12:00:00 mail from jane@example.com"
expect = ["12:00:00 ALARM mail early", "12:04:10 OK mail"]
"#,
    );
    let said = folder.run(&["test"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{}", said.stdout);
    folder.write("mail.log", "2026-11-22 12:00:00 from jane@example.com\n");
    let said = folder.run(&["replay", "--format", "json"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("[redacted:email]") && !said.stdout.contains("jane"), "{}", said.stdout);
}
