//! `watchbell backtest` from outside.

use serde_json::Value;

use crate::support::folder::Folder;
use crate::support::logs::{at, json_line, json_lines};

/// Rules with this condition; the log has the name `app.jsonl`.
fn rules(condition: &str, more: &str) -> String {
    format!(
        r#"
[log_groups."shop/app"]
files = ["app.jsonl"]
parse = "json"
[metric_filters.errors]
log_group = "shop/app"
pattern = '{{ $.level = "error" }}'
metric = {{ namespace = "Shop", name = "Errors" }}
[alarms.errors]
metric_filter = "errors"
period = "60s"
condition = "{condition}"
missing_data = "not_breaching"
notify = ["ops"]
[topics.ops]
console = {{}}
{more}"#
    )
}

/// One burst of errors each hour for three days: 2 in the first, 3 in the second and so on up to 7, again and again.
fn bursts() -> String {
    let burst = |hour: i64| json_lines(at(hour * 3600), 5000, 2 + hour % 6, "error");
    (0..72).map(burst).collect::<String>() + &json_line(at(73 * 3600), "info", "the end")
}

fn folder(condition: &str) -> Folder {
    let folder = Folder::new(&rules(condition, ""));
    folder.write("app.jsonl", bursts());
    folder
}

fn count(report: &Value, kind: &str) -> usize {
    report["against"]["differences"].as_array().unwrap().iter().filter(|it| it["kind"] == kind).count()
}

#[test]
fn against_lists_what_is_gained_lost_and_moved() {
    let folder = folder(">= 3");
    folder.write("old.toml", format!("version = 1\n{}", rules(">= 5", "")));
    let report = folder.json(&["backtest", "--against", "old.toml"], 0);
    // Bursts of 5, 6 and 7 ring under both rules, and 3 errors come sooner than 5.
    assert_eq!((count(&report, "gained"), count(&report, "lost"), count(&report, "moved")), (24, 0, 36));
    assert_eq!(
        (&report["against"]["same"], &report["alarms"][0]["episodes"][59]["until"].is_string()),
        (&0.into(), &true)
    );
    let same = folder.json(&["backtest", "--against", "watchbell.toml"], 0);
    assert_eq!(
        (&same["against"]["same"], same["against"]["differences"].as_array().unwrap().len()),
        (&60.into(), 0)
    );
    let said = folder.run(&["-c", "old.toml", "backtest", "--against", "watchbell.toml"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    for line in [
        "\nagainst watchbell.toml: 0 gained, 24 lost, 36 moved, 0 the same\n",
        "\n- 2026-11-22 01:00:10 UTC  errors  lost    ALARM errors (error): 3 matches in 60 s, threshold >= 3\n",
        "\n~ 2026-11-22 03:00:20 UTC  errors  moved   begins 10 s later\n",
    ] {
        assert!(said.stdout.contains(line), "{line}{}", said.stdout);
    }
}

#[test]
fn alarms_that_only_one_of_the_files_has_are_gained_or_lost() {
    let folder = folder(">= 7");
    let other = rules(">= 7", "").replace("[alarms.errors]", "[alarms.other]");
    folder.write("old.toml", format!("version = 1\n{other}"));
    let report = folder.json(&["backtest", "--against", "old.toml"], 0);
    assert_eq!(
        (count(&report, "gained"), count(&report, "lost"), &report["against"]["same"]),
        (12, 12, &0.into())
    );
    let bad = folder.run(&["backtest", "--against", "missing.toml"]);
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(78), ""));
}

#[test]
fn a_budget_that_is_exceeded_ends_with_1_and_says_whose() {
    let folder = folder(">= 7");
    // Every sixth hour: four a day.
    assert_eq!(folder.run(&["backtest", "--budget", "4/day"]).code, Some(0));
    let said =
        folder.run(&["backtest", "--budget", "4/day", "--budget", "each=3/day", "--budget", "errors=0/hour"]);
    let verdicts = "\
\nbudget 4/day kept: all alarms 4, from 2026-11-22 05:00:30 UTC on
budget each=3/day exceeded: errors 4, from 2026-11-22 05:00:30 UTC on
budget errors=0/hour exceeded: errors 1, from 2026-11-22 05:00:30 UTC on
";
    assert!(said.code == Some(1) && said.stdout.ends_with(verdicts), "{said:?}");
    let report = folder.json(&["backtest", "--budget", "11/week"], 1);
    assert_eq!(
        (&report["budgets"][0]["most"], &report["budgets"][0]["exceeded"]),
        (&12.into(), &true.into())
    );
    assert_eq!(folder.run(&["backtest", "--budget", "5/month"]).code, Some(2));
    let unknown = folder.run(&["backtest", "--budget", "erors=1/day"]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("known: errors"), "{unknown:?}");
}

#[test]
fn the_report_is_one_page_that_needs_nothing_else() {
    let folder = folder(">= 6");
    let attack = "<script>alert(1)</script><img src=x onerror=alert(2)>";
    let lines = bursts() + &json_lines(at(74 * 3600), 1000, 6, "error").replace("number 0", attack);
    folder.write("app.jsonl", lines);
    folder.write("old.toml", format!("version = 1\n{}", rules(">= 5", "")));
    let said =
        folder.run(&["backtest", "--report", "page.html", "--against", "old.toml", "--budget", "1/week"]);
    assert_eq!(said.code, Some(1), "the page is written although the budget is exceeded");
    let page = std::fs::read_to_string(folder.file("page.html")).unwrap();
    assert!(
        page.contains("&lt;script&gt;alert(1)") && !page.contains("<script") && !page.contains("<img"),
        "{page}"
    );
    for outside in ["http:", "https:", "src=", "url(", "@import", "<link"] {
        assert!(!page.replace("src=x", "").contains(outside), "{outside}");
    }
    // 24 bursts of 6 and 7 and the last lines ring; each has its own mark, under the old rules 12 more.
    assert_eq!(page.matches("<rect class=\"alarm\" x=").count(), 25);
    assert_eq!(page.matches("<rect class=\"old\" x=").count(), 37);
    assert!(page.contains("0 gained, 12 lost, 25 moved, 0 the same"), "{page}");
    let bars = page.split("<path class=\"data\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    // 73 minutes with errors; every one has a bar.
    assert_eq!(bars.matches('z').count(), 73);
    assert_eq!(folder.run(&["backtest", "--report", "no/such/folder.html"]).code, Some(74));
}
