//! Messages: at least once, under one id, signed, and without a word of any secret.

use base64::Engine as _;
use ring::hmac;
use serde_json::Value;
use watchbell_model::{DeliveryOutcome, Entry};

use crate::support::eventually;
use crate::support::http::{get, post};
use crate::support::process::{Up, said};
use crate::support::receiver::{Post, Receiver};
use crate::support::records::{decisions, records, transitions};
use crate::support::site::Site;

const ALARM: &str = r#"
[log_groups."shop/app"]
[metric_filters.errors]
log_group = "shop/app"
pattern = 'ERROR'
metric = { namespace = "Shop", name = "Errors", value = "1" }
[alarms.errors]
metric_filter = "errors"
statistic = "Sum"
period = "60s"
condition = ">= 3"
notify = ["ops"]
"#;

/// One request: all lines in one slot, so that the alarm fires at once.
fn burst(up: &Up) {
    assert_eq!(post(up.address, "shop/app", &[], b"ERROR a\nERROR b\nfine\nERROR c\n").status, 200);
}

fn deliveries(site: &Site) -> Vec<(u32, bool)> {
    let delivery = |record: watchbell_model::Record| match record.entry {
        Entry::Delivery(it) => Some((it.attempt, it.outcome == DeliveryOutcome::Delivered)),
        _ => None,
    };
    records(&site.data()).into_iter().filter_map(delivery).collect()
}

fn id(post: &Post) -> (String, Value) {
    (post.header("webhook-id").unwrap().to_owned(), post.json()["id"].clone())
}

#[test]
fn a_receiver_that_was_down_gets_the_message_under_the_same_id() {
    let receiver = Receiver::start();
    receiver.answer(503);
    let site = Site::new(&format!("{ALARM}[topics.ops.webhook]\nurl = \"{}\"\n", receiver.url()));
    let up = Up::start(&site);
    burst(&up);
    receiver.wait_for(1);
    receiver.answer(200);
    let posts = receiver.wait_for(2);
    eventually("the delivery is journaled", || deliveries(&site) == [(1, false), (2, true)]);
    assert_eq!(id(&posts[0]), id(&posts[1]));
    assert_eq!(posts[0].body, posts[1].body);
    assert_eq!(posts[0].path, "/hook");
    up.stop();
    // Delivered is delivered: the next start tells nobody again.
    Up::start(&site).stop();
    assert_eq!(receiver.posts().len(), 2);
}

#[test]
fn what_was_decided_before_a_kill_9_is_told_after_the_restart() {
    let receiver = Receiver::start();
    receiver.answer(503);
    let site = Site::new(&format!("{ALARM}[topics.ops.webhook]\nurl = \"{}\"\n", receiver.url()));
    let up = Up::start(&site);
    burst(&up);
    receiver.wait_for(1);
    up.kill();
    assert_eq!(transitions(&site.data()).len(), 1, "a message goes out only after its decision is on disk");
    let before = receiver.posts().len();
    receiver.answer(200);
    let up = Up::start(&site);
    let posts = receiver.wait_for(before + 1);
    eventually("the delivery is journaled", || deliveries(&site).last().is_some_and(|(_, done)| *done));
    up.stop();
    assert_eq!(id(&posts[0]), id(&posts[before]));
    assert_eq!(receiver.states(), ["ALARM"]);
    assert_eq!(decisions(&site.data()).len(), 1);
}

#[test]
fn the_command_in_a_message_finds_the_lines_and_a_hostile_file_name_does_nothing_else() {
    let receiver = Receiver::start();
    let alarm = ALARM
        .replace("[metric_filters", "files = [\"logs/*\"]\n[metric_filters")
        .replace("'ERROR'", "'ERROR -ok'");
    let site = Site::new(&format!("{alarm}[topics.ops.webhook]\nurl = \"{}\"\n", receiver.url()));
    std::fs::create_dir(site.path("logs")).unwrap();
    let name = "logs/it's $(touch pwned);touch pwned;.log";
    site.append(name, "before\n");
    let up = Up::start(&site);
    up.wait_for_events("shop/app", 1);
    site.append(name, "ERROR a\nERROR ok\nERROR b\nERROR $(touch pwned)\n");
    let message = receiver.wait_for(1)[0].json();
    up.stop();
    let commands = message["look_further"].as_array().unwrap();
    assert_eq!(commands.len(), 1, "{message}");
    let command = commands[0].as_str().unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_watchbell")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let shell = std::process::Command::new("sh")
        .args(["-c", command])
        .env("PATH", path)
        .current_dir(site.path(""))
        .output();
    let (code, stdout, stderr) = said(&shell.unwrap());
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "ERROR a\nERROR b\nERROR $(touch pwned)\n"),
        "{command}: {stderr}"
    );
    assert!(!site.path("pwned").exists());
}

#[test]
fn a_message_to_a_subscription_that_a_reload_took_away_is_given_up_and_journaled() {
    let receiver = Receiver::start();
    receiver.answer(503);
    let site = Site::new(&format!("{ALARM}[topics.ops.webhook]\nurl = \"{}\"\n", receiver.url()));
    let up = Up::start(&site);
    burst(&up);
    receiver.wait_for(1);
    site.configure(&format!("{ALARM}[topics.ops]\nconsole = {{}}\n"));
    up.signal("HUP");
    up.wait_for_log("given up");
    up.stop();
    assert!(deliveries(&site).len() >= 2 && deliveries(&site).iter().all(|(_, delivered)| !delivered));
    let before = receiver.posts().len();
    Up::start(&site).stop();
    assert_eq!(receiver.posts().len(), before);
}

#[test]
fn a_webhook_is_signed_and_slack_gets_blocks_and_no_secret_is_anywhere() {
    const KEY: &[u8] = b"a-key-that-nobody-knows-0001";
    const TOKEN: &str = "token-hunter2-of-prometheus";
    let receiver = Receiver::start();
    let failing = Receiver::start();
    failing.answer(500);
    let site = Site::new(&format!(
        "{ALARM}[topics.ops]\nconsole = {{}}\n\
         webhook = [{{ url = \"{}\", signing_key = {{ file = \"key\" }} }}, {{ url = {{ file = \"hook\" }} }}]\n\
         slack = {{ webhook_url = {{ file = \"slack\" }} }}\n\
         [[roles.all]]\nallow = [\"logs:PutLogEvents\", \"watchbell:GetMetrics\"]\non = \"*\"\n\
         [tokens.prometheus]\nvalue = {{ file = \"token\" }}\nroles = \"all\"\n",
        receiver.url()
    ));
    let key = format!("whsec_{}", base64::prelude::BASE64_STANDARD.encode(KEY));
    site.write("key", &key);
    site.write("token", TOKEN);
    site.write(
        "hook",
        format!("http://user-hunter2:pass-hunter2@{}/hook-hunter2?t=query-hunter2", failing.address),
    );
    site.write("slack", format!("http://{}/services/slack-hunter2", receiver.address));
    let up = Up::start(&site);
    let shown = ("Authorization", format!("Bearer {TOKEN}"));
    let shown = [(shown.0, shown.1.as_str())];
    assert_eq!(post(up.address, "shop/app", &shown, b"ERROR <a>\nERROR b\nERROR c\n").status, 200);
    let posts = receiver.wait_for(2);
    failing.wait_for(1);
    up.wait_for_log("not delivered");
    // A reload reads every secret once more.
    up.signal("HUP");
    up.wait_for_log("reloaded");
    let metrics = crate::support::http::request(up.address, "GET", "/metrics", &shown, b"").unwrap();
    assert_eq!(metrics.status, 200);
    assert_eq!(get(up.address, "/metrics").status, 401);
    up.stop();

    let webhook = posts.iter().find(|post| post.path == "/hook").unwrap();
    let signed = [
        webhook.header("webhook-id").unwrap().as_bytes(),
        b".",
        webhook.header("webhook-timestamp").unwrap().as_bytes(),
        b".",
        &webhook.body,
    ]
    .concat();
    let signature = webhook.header("webhook-signature").unwrap().strip_prefix("v1,").unwrap();
    let signature = base64::prelude::BASE64_STANDARD.decode(signature).unwrap();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, KEY), &signed, &signature).unwrap();

    let slack = posts.iter().find(|post| post.path == "/services/slack-hunter2").unwrap().json();
    assert!(slack["blocks"].is_array() || slack["attachments"].is_array(), "{slack}");
    assert!(slack["text"].as_str().unwrap().contains("errors"), "{slack}");
    assert!(!slack.to_string().contains("<a>"), "log text must not be markup: {slack}");

    let secrets = [KEY, key.as_bytes(), &key.as_bytes()[6..], TOKEN.as_bytes(), b"hunter2"];
    let holders = ["key", "token", "hook", "slack"].map(|name| site.path(name));
    let everything = site.files().into_iter().chain([("/metrics".into(), metrics.body.into_bytes())]);
    for (path, bytes) in everything.filter(|(path, _)| !holders.contains(path)) {
        for secret in secrets {
            let found = memchr::memmem::find(&bytes, secret).is_some();
            assert!(!found, "{} stands in {}", String::from_utf8_lossy(secret), path.display());
        }
    }
}
