//! SIGHUP: another plan takes effect, a bad one changes nothing, and both are in the audit trail.

use watchbell_model::{Entry, TrailOutcome};

use crate::support::eventually;
use crate::support::http::post;
use crate::support::process::Up;
use crate::support::receiver::Receiver;
use crate::support::records::{messages, records, trail};
use crate::support::site::Site;

const GROUP: &str = "[log_groups.\"shop/app\"]\nfiles = [\"app.log\"]\n";

fn with_alarm(receiver: &Receiver) -> String {
    format!(
        r#"{GROUP}
[log_groups."shop/new"]
[metric_filters.errors]
log_group = "shop/app"
pattern = 'ERROR'
metric = {{ namespace = "Shop", name = "Errors", value = "1" }}
[alarms.errors]
metric_filter = "errors"
statistic = "Sum"
period = "60s"
condition = ">= 1"
notify = ["ops"]
[topics.ops.webhook]
url = "{}"
"#,
        receiver.url()
    )
}

/// Outcomes of reloads in the trail, with the reason where there is one.
fn reloads(site: &Site) -> Vec<(TrailOutcome, Option<String>)> {
    let records = trail(&site.data()).into_iter().filter(|record| record.action == "configuration.reload");
    records.map(|record| (record.outcome, record.detail.get("reason").cloned())).collect()
}

fn plans(site: &Site) -> usize {
    records(&site.data()).iter().filter(|record| matches!(record.entry, Entry::Plan(_))).count()
}

#[test]
fn a_new_alarm_and_a_new_log_group_work_after_a_reload() {
    let receiver = Receiver::start();
    let site = Site::new(GROUP);
    site.append("app.log", "first\n");
    let up = Up::start(&site);
    up.wait_for_events("shop/app", 1);
    assert_eq!(post(up.address, "shop/new", &[], b"too early\n").status, 404);
    site.configure(&with_alarm(&receiver));
    up.signal("HUP");
    up.wait_for_log("reloaded");
    assert_eq!(post(up.address, "shop/new", &[], b"in time\n").status, 200);
    site.append("app.log", "ERROR now\n");
    assert_eq!(receiver.wait_for(1)[0].json()["state"], "ALARM");
    // The same file again is no new plan.
    up.signal("HUP");
    eventually("the second reload is in the trail", || reloads(&site).len() == 2);
    up.stop();
    assert_eq!(plans(&site), 2);
    assert_eq!(messages(&site.data()), ["first", "in time", "ERROR now"]);
    assert_eq!(reloads(&site), [(TrailOutcome::Done, None), (TrailOutcome::Done, None)]);
}

#[test]
fn a_log_group_that_is_gone_after_a_reload_is_followed_no_more() {
    let site = Site::new(&format!("{GROUP}[log_groups.\"shop/other\"]\nfiles = [\"other.log\"]\n"));
    site.append("app.log", "a\n");
    site.append("other.log", "b\n");
    let up = Up::start(&site);
    up.wait_for_events("shop/app", 1);
    up.wait_for_events("shop/other", 1);
    site.configure("[log_groups.\"shop/other\"]\nfiles = [\"other.log\"]\n");
    up.signal("HUP");
    up.wait_for_log("reloaded");
    site.append("other.log", "d\n");
    up.wait_for_events("shop/other", 2);
    // Once the next line of the other group is in, this one would be too.
    site.append("app.log", "c\n");
    site.append("other.log", "e\n");
    up.wait_for_events("shop/other", 3);
    up.stop();
    assert!(!messages(&site.data()).contains(&"c".to_owned()));
}

#[test]
fn a_log_group_that_comes_back_goes_on_where_it_was_left() {
    let site = Site::new(GROUP);
    site.append("app.log", "a\n");
    let up = Up::start(&site);
    up.wait_for_events("shop/app", 1);
    for body in ["[log_groups.\"shop/other\"]\n", GROUP] {
        site.configure(body);
        let before = reloads(&site).len();
        up.signal("HUP");
        eventually("the reload is in the trail", || reloads(&site).len() == before + 1);
    }
    site.append("app.log", "b\n");
    up.wait_for_events("shop/app", 2);
    up.stop();
    assert_eq!(messages(&site.data()), ["a", "b"]);
}

#[test]
fn a_bad_file_says_so_and_the_plan_before_stays_in_force() {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    site.configure("[log_groups.\"shop/app\"]\nfils = [\"app.log\"]\n");
    up.signal("HUP");
    up.wait_for_log("not reloaded");
    assert!(up.stderr().contains("did you mean"), "{}", up.stderr());
    assert_eq!(post(up.address, "shop/app", &[], b"still here\n").status, 200);
    std::fs::remove_file(site.config()).unwrap();
    up.signal("HUP");
    eventually("both are in the trail", || reloads(&site).len() == 2);
    site.configure(&format!("{GROUP}[topics.t.slack]\nwebhook_url = {{ file = \"missing-secret\" }}\n"));
    up.signal("HUP");
    eventually("all three are in the trail", || reloads(&site).len() == 3);
    assert_eq!(post(up.address, "shop/app", &[], b"and still\n").status, 200);
    up.stop();
    assert_eq!(plans(&site), 1);
    let reloads = reloads(&site);
    assert!(reloads.iter().all(|(outcome, reason)| *outcome == TrailOutcome::Failed && reason.is_some()));
    assert!(reloads[2].1.as_ref().unwrap().contains("missing-secret"), "{reloads:?}");
    assert_eq!(messages(&site.data()), ["still here", "and still"]);
}

#[test]
fn a_token_works_from_the_reload_that_brings_it_to_the_one_that_takes_it_away() {
    let site = Site::new(GROUP);
    let with_token = |file: &str| {
        format!(
            "{GROUP}[[roles.all]]\nallow = [\"logs:PutLogEvents\"]\non = \"*\"\n\
             [tokens.ci]\nvalue = {{ file = \"{file}\" }}\nroles = \"all\"\n"
        )
    };
    site.write("old", "old-value");
    site.write("new", "new-value");
    let up = Up::start(&site);
    let status = |value: &str| {
        post(up.address, "shop/app", &[("Authorization", &format!("Bearer {value}"))], b"line\n").status
    };
    assert_eq!((status("old-value"), status("any")), (200, 200), "open while no token is configured");
    for (number, (file, expected)) in [("old", (200, 401)), ("new", (401, 200))].into_iter().enumerate() {
        site.configure(&with_token(file));
        up.signal("HUP");
        eventually("the reload is in the trail", || reloads(&site).len() == number + 1);
        // The trail comes before the token: wait for the one that must work.
        eventually("the token works", || status(&format!("{file}-value")) == 200);
        assert_eq!((status("old-value"), status("new-value")), expected);
    }
    up.stop();
}

#[test]
fn what_cannot_change_while_it_runs_is_refused_by_name() {
    let site = Site::new(GROUP);
    let up = Up::start(&site);
    let good = std::fs::read_to_string(site.config()).unwrap();
    for (number, (from, to, key)) in
        [("\"data\"", "\"other\"", "data_dir"), ("127.0.0.1:0", "[::1]:0", "http.listen")]
            .into_iter()
            .enumerate()
    {
        site.write("watchbell.toml", good.replace(from, to));
        up.signal("HUP");
        eventually("the refusal is in the trail", || reloads(&site).len() == number + 1);
        let (outcome, reason) = reloads(&site).pop().unwrap();
        assert_eq!(outcome, TrailOutcome::Failed);
        assert!(reason.as_ref().unwrap().contains(key), "{reason:?}");
    }
    up.stop();
    assert!(!site.path("other").exists());
    assert_eq!(plans(&site), 1);
}
