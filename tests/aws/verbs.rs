//! The verbs, as people run them.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchbell_aws::Part;

use crate::emulator::{Client, Emulator, REGION, emulator, wanted};

/// A folder with a file.
fn site(emulator: &Emulator, name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "version = 1\n[secrets.payment-key]\n[aws]\nname = \"{name}\"\nregion = \"{REGION}\"\nendpoint = \"{}\"\n",
        emulator.endpoint
    );
    fs::write(folder.path().join("watchbell.toml"), text).unwrap();
    folder
}

fn run(folder: &TempDir, arguments: &[&str], input: &str, credentials: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchbell"));
    command.arg("aws").args(arguments).current_dir(folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if !credentials {
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("HOME", folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_secret_gets_its_value_from_standard_input() {
    let emulator = emulator();
    let folder = site(emulator, "vault");
    let put = |value: &str| run(&folder, &["secret", "put", "payment-key"], value, true);
    let refused = put("sesame\n");
    assert_eq!(refused.status.code(), Some(69), "the secret is not there yet: {}", text(&refused.stderr));
    emulator.ask(
        "secretsmanager",
        "create_secret",
        &json!({ "Name": "vault/payment-key", "SecretString": "-" }),
    );
    let output = put("open sesame\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("sesame") && !text(&output.stderr).contains("sesame"));
    let read =
        emulator.ask("secretsmanager", "get_secret_value", &json!({ "SecretId": "vault/payment-key" }));
    assert_eq!(read["SecretString"], "open sesame");
    assert_eq!(put("").status.code(), Some(2));
    assert_eq!(run(&folder, &["secret", "put", "unknown"], "x", true).status.code(), Some(2));
}

#[test]
fn status_and_destroy_say_what_is_there() {
    let emulator = emulator();
    let folder = site(emulator, "seen");
    let queue = json!({ "Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain" });
    let template =
        json!({ "Resources": { "Queue": queue }, "Outputs": { "Url": { "Value": { "Ref": "Queue" } } } });
    let client = Client::open(&emulator.aws("seen"));
    let stacks = [wanted("seen", Part::Pipeline, template)];
    let deployed = client.run(client.account.deploy(&stacks, &[], &mut |_| ())).unwrap();

    let output = run(&folder, &["status", "--drift", "--format", "json"], "", true);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pipeline = &status["stacks"][2];
    assert_eq!(
        (&pipeline["stack"], &pipeline["status"]),
        (&json!("seen-pipeline"), &json!("CREATE_COMPLETE"))
    );
    assert_eq!(pipeline["outputs"]["Url"], json!(deployed[0].outputs["Url"]));
    assert_eq!(status["stacks"][0], json!({ "stack": "seen-data", "part": "data" }));

    // Nobody can be asked, so nothing goes.
    assert_eq!(run(&folder, &["destroy"], "seen\n", true).status.code(), Some(2));
    let output = run(&folder, &["destroy", "--yes"], "", true);
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("AWS::SQS::Queue"), "{said}{}", text(&output.stderr));
    assert_eq!(client.run(client.account.stack("seen-pipeline")), Ok(None));
}

#[test]
fn without_credentials_the_way_to_them_is_said() {
    let folder = site(emulator(), "nobody");
    let output = run(&folder, &["status"], "", false);
    assert_eq!(output.status.code(), Some(69));
    let said = text(&output.stderr);
    assert!(said.contains("no credentials for AWS") && said.contains("aws sso login"), "{said}");
}
