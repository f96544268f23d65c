//! The script that a new instance runs once: it installs the agent and the application, starts both, and says whether the
//! application is well.

use std::fmt::Write as _;

use watchbell_model::PORT_PLACEHOLDER;

use crate::finding::{Finding, Gravity};
use crate::stack::{Files, Input};

use super::agent_file::agent_file;
use super::quote::{packed, shell, systemd};
use super::{Place, auto_scaling, maintenance};

/// Largest user data, in bytes.
///
/// Source: Amazon EC2 User Guide, "Run commands when you launch an EC2 instance with user data input": 16 KB, before Base64.
pub const BYTES_MAX: usize = 16_384;

/// The agent's unit, as it is shipped.
const UNIT: &str = include_str!("../../../../deploy/watchbell-agent.service");

/// What is otherwise with CloudWatch, as it is shipped.
const DROP_IN: &str = include_str!("../../../../deploy/watchbell-agent-cloudwatch.conf");

/// What a program's name or path begins with, beside letters and digits. Other signs have a meaning in units.
const PROGRAM_STARTS: &[char] = &['/', '_'];

/// The name of the application's unit.
fn unit_name(place: Place<'_>) -> String {
    format!("fleet-{}.service", place.name)
}

/// The script.
pub(super) fn script(input: Input<'_>, place: Place<'_>) -> String {
    let artifacts = input.aws.artifacts.as_ref().expect("a plan with [aws] and a fleet has artifacts");
    let Place { aws, fleet, .. } = place;
    let full_name = place.full_name();
    let mut text = format!(
        r#"#!/bin/bash
# Makes this machine an instance of the fleet {full_name}. What it prints is in /var/log/cloud-init-output.log.
set -euo pipefail

work=$(mktemp -d)
finish() {{
  local status=$?
  rm -rf "$work"
  # Only a deployment waits for it; when the fleet grows later, nobody takes it.
  /opt/aws/bin/cfn-signal --exit-code "$status" --region {region} --stack {stack} --resource {group} ||
    echo 'the signal was not taken'
}}
trap finish EXIT

# unpack MODE FILE: what stands behind it
unpack() {{
  base64 --decode | gunzip >"$2"
  chmod "$1" "$2"
}}

export AWS_DEFAULT_REGION={region}
export WATCHBELL_FLEET={fleet_name}
export WATCHBELL_ARTIFACTS={url}

aws s3 cp --only-show-errors "$WATCHBELL_ARTIFACTS/watchbell" "$work/watchbell"
sha256sum --check --quiet <<<"{sha256}  $work/watchbell"
install -m 755 "$work/watchbell" /usr/local/bin/watchbell
# The application's own user: if the image has one of this name, it is another's.
useradd --system --user-group --create-home --home-dir /var/lib/fleet-{user} --shell /sbin/nologin {user}

install -d -m 755 /etc/watchbell /etc/systemd/system/watchbell-agent.service.d
unpack 644 /etc/watchbell/watchbell.toml <<'END'
{plan}END
unpack 644 /etc/systemd/system/watchbell-agent.service <<'END'
{unit}END
unpack 644 /etc/systemd/system/watchbell-agent.service.d/cloudwatch.conf <<'END'
{drop_in}END
cat >/etc/systemd/system/watchbell-agent.service.d/fleet.conf <<'END'
[Service]
Environment=AWS_REGION={region_name} WATCHBELL_FLEET={full_name}
SupplementaryGroups={user}
END
cat >/etc/systemd/system/{unit_name} <<'END'
{application}END
systemctl daemon-reload
systemctl enable --now watchbell-agent.service
"#,
        region = shell(&aws.region),
        region_name = aws.region,
        user = place.name,
        stack = shell(&format!("{}-app", aws.name)),
        group = shell(&auto_scaling::id(place)),
        fleet_name = shell(&full_name),
        url = shell(format!("s3://{}/{}", artifacts.bucket, artifacts.prefix).trim_end_matches('/')),
        sha256 = artifacts.watchbell_sha256,
        plan = packed(&agent_file(&input.files.plan)),
        unit = packed(UNIT),
        drop_in = packed(DROP_IN),
        unit_name = unit_name(place),
        application = application(place),
    );
    let mut add = |lines: &str| text.push_str(lines);
    if maintenance::patches(input.plan) {
        add("\n# Without it, no update of Amazon Linux is newer than the image.\n");
        add("echo latest >/etc/dnf/vars/releasever\n");
    }
    if let Some(setup) = setup(input.files, place) {
        add("\nunpack 700 \"$work/setup\" <<'END'\n");
        add(&packed(setup));
        add("END\n(cd \"$work\" && ./setup)\n");
    }
    let path = shell(&format!(":{}{}", fleet.listen.port(), fleet.health.path));
    write!(
        text,
        r#"
systemctl enable --now {unit}
# Where the load balancer asks: an application that listens on 127.0.0.1 only is not well.
metadata=http://169.254.169.254/latest
token=$(curl --fail --silent --show-error -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/api/token")
address=$(curl --fail --silent --show-error -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/local-ipv4")
curl --fail --silent --show-error --output /dev/null --max-time 5 --retry 120 --retry-delay 5 --retry-all-errors "http://$address"{path}
systemctl is-active watchbell-agent.service {unit}
"#,
        unit = unit_name(place),
    )
    .expect("a String takes everything");
    text
}

/// The fleet's own script.
fn setup<'a>(files: &'a Files, place: Place<'_>) -> Option<&'a str> {
    let path = place.own.setup.as_ref()?;
    Some(files.scripts.get(path).expect("files have every script that the plan names"))
}

/// The application's unit.
fn application(place: Place<'_>) -> String {
    let port = place.fleet.listen.port().to_string();
    let command: Vec<String> = place
        .fleet
        .command
        .iter()
        .map(|argument| systemd(&argument.replace(PORT_PLACEHOLDER, &port)))
        .collect();
    format!(
        "[Unit]\n\
         Description=Application of the fleet {name}\n\
         Wants=network-online.target\n\
         After=network-online.target watchbell-agent.service\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         ExecStart={command}\n\
         User={user}\n\
         WorkingDirectory=/var/lib/fleet-{user}\n\
         Restart=always\n\
         RestartSec=1s\n\
         StandardOutput=journal\n\
         StandardError=journal\n\
         NoNewPrivileges=yes\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        name = place.full_name(),
        user = place.name,
        command = command.join(" "),
    )
}

pub(super) fn findings(place: Place<'_>) -> Option<Finding> {
    let program = place.fleet.command.first()?;
    let starts_well = program.starts_with(|c: char| c.is_ascii_alphanumeric() || PROGRAM_STARTS.contains(&c));
    let is_found = program.starts_with('/') || !program.contains('/');
    (!starts_well || !is_found).then(|| Finding {
        path: place.path(&["command"]),
        gravity: Gravity::Refused,
        message: format!("systemd does not find the program {program:?} on an instance"),
        help: Some("write where it is there, as in \"/usr/local/bin/shop\", or its name alone".to_owned()),
    })
}

/// If the script is larger than AWS takes it.
pub(super) fn size_finding(input: Input<'_>, place: Place<'_>) -> Option<Finding> {
    let bytes = script(input, place).len();
    if bytes <= BYTES_MAX {
        return None;
    }
    let plan_bytes = packed(&agent_file(&input.files.plan)).len();
    let setup_bytes = setup(input.files, place).map_or(0, |setup| packed(setup).len());
    Some(Finding {
        path: ["aws", "fleet", place.name, "setup"].map(str::to_owned).into(),
        gravity: Gravity::Refused,
        message: format!(
            "what a new instance is told has {bytes} bytes, and AWS takes {BYTES_MAX}; packed, this file has \
             {plan_bytes} of them and \"setup\" {setup_bytes}"
        ),
        help: Some("let a short script fetch the rest from the artifacts".to_owned()),
    })
}
