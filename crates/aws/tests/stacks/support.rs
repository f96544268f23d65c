//! Plans of every shape, and what they are rendered to.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use watchbell_aws::{Files, Part, render};
use watchbell_model::Plan;

/// A stack as its template says it.
pub(crate) struct Rendered {
    pub(crate) part: Part,
    pub(crate) template: Value,
    pub(crate) body_bytes: usize,
}

impl Rendered {
    /// Resources: id, type and properties.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let resources = self.template["Resources"].as_object().expect("a template has resources");
        resources.iter().map(|(id, resource)| {
            (id.as_str(), resource["Type"].as_str().expect("a resource has a type"), &resource["Properties"])
        })
    }
}

/// A problem of the stacks, for people; none if all is well.
pub(crate) type Check = fn(&[Rendered]) -> Vec<String>;

/// Runs the check on many plans.
pub(crate) fn for_every_plan(check: Check) {
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let holds = TestRunner::new(config).run(&plans(), |plan| {
        let problems = check(&rendered(&plan));
        prop_assert!(problems.is_empty(), "{problems:#?}");
        Ok(())
    });
    if let Err(error) = holds {
        panic!("{error}");
    }
}

/// The stacks of a plan.
pub(crate) fn rendered(plan: &Plan) -> Vec<Rendered> {
    let files = files();
    let stacks = render(plan, &files);
    let of = |stack: watchbell_aws::Stack| Rendered {
        part: stack.part,
        body_bytes: stack.template.to_body().len(),
        template: stack.template.to_value(),
    };
    stacks.into_iter().map(of).collect()
}

/// What the plans below name by path.
pub(crate) fn files() -> Files {
    let scripts = [("/srv/setup.sh", "dnf install -y shop\n"), ("/srv/clean.sh", "rm -rf /tmp/cache\n")];
    Files {
        plan: "version = 1\n".into(),
        scripts: scripts.map(|(path, text)| (path.to_owned(), text.to_owned())).into(),
    }
}

/// What varies in a plan.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the file, each on its own")]
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) cidr: String,
    pub(crate) zones: u32,
    pub(crate) nat_per_zone: bool,
    pub(crate) endpoints: bool,
    pub(crate) flow_logs: bool,
    pub(crate) bastion: Vec<String>,
    /// Number of fleets; `certificate`: whether the first speaks TLS.
    pub(crate) fleets: usize,
    pub(crate) certificate: bool,
    pub(crate) allow: Vec<String>,
    /// Tiers of the archive, with their ages in days; `None`: there is no archive.
    pub(crate) archive: Option<Vec<(&'static str, i64)>>,
    pub(crate) trail: bool,
    pub(crate) secrets: Vec<String>,
    pub(crate) log_groups: Vec<String>,
    pub(crate) queues: usize,
    pub(crate) maintenance: bool,
    pub(crate) tags: bool,
}

impl Shape {
    /// A plan with everything in it.
    pub(crate) fn full() -> Shape {
        Shape {
            name: "shop".into(),
            cidr: "10.0.0.0/16".into(),
            zones: 3,
            nat_per_zone: true,
            endpoints: true,
            flow_logs: true,
            bastion: vec!["198.51.100.0/24".into()],
            fleets: 2,
            certificate: true,
            allow: vec!["0.0.0.0/0".into(), "::/0".into()],
            archive: Some(TIERS.to_vec()),
            trail: true,
            secrets: vec!["hook-key".into(), "smtp".into()],
            log_groups: vec!["shop/access".into(), "shop/app".into()],
            queues: 1,
            maintenance: true,
            tags: true,
        }
    }

    /// The plan of this shape.
    pub(crate) fn plan(&self) -> Plan {
        let mut plan = json!({
            "file": "watchbell.toml",
            "data_dir": "/srv/data",
            "http": { "listen": "127.0.0.1:8420" },
            "log_groups": self.log_groups(),
            "metric_filters": self.metric_filters(),
            "alarms": self.alarms(),
            "topics": { "oncall": { "subscriptions": [
                { "name": "email", "channel": { "kind": "email", "to": ["ops@example.com"] } },
            ]}},
            "queues": self.queues(),
            "fleet": self.fleets(),
            "maintenance": self.maintenance(),
            "secrets": self.secrets.iter().map(|name| (name.clone(), json!({}))).collect::<Map<_, _>>(),
            "aws": self.aws(),
        });
        if let Some(tiers) = &self.archive {
            let day_ms = 24 * 60 * 60 * 1000;
            let lifecycle: Vec<Value> =
                tiers.iter().map(|(tier, days)| json!({ "after_ms": days * day_ms, "to": tier })).collect();
            plan["archive"] = json!({ "folder": "/srv/archive", "lifecycle": lifecycle });
        }
        serde_json::from_value(plan).expect("this is a plan")
    }

    fn log_groups(&self) -> Value {
        let group = json!({
            "files": ["/var/log/shop/*.log"], "app": "shop", "parse": "plain", "timestamp": "arrival",
            "lateness_ms": 10_000, "start": "beginning", "retention_ms": 14 * 24 * 60 * 60 * 1000_i64,
        });
        self.log_groups.iter().map(|name| (name.clone(), group.clone())).collect::<Map<_, _>>().into()
    }

    fn metric_filters(&self) -> Value {
        let filter = |(i, group): (usize, &String)| {
            let metric =
                json!({ "namespace": "Shop", "name": format!("Errors{i}"), "value": "1", "default": 0.0 });
            (format!("errors-{i}"), json!({ "log_group": group, "pattern": "ERROR", "metric": metric }))
        };
        self.log_groups.iter().enumerate().map(filter).collect::<Map<_, _>>().into()
    }

    fn alarms(&self) -> Value {
        let alarm = |i: usize| {
            let metric = json!({ "namespace": "Shop", "name": format!("Errors{i}") });
            let kind = json!({ "metric": {
                "watched": { "stat": { "metric": metric, "statistic": "Sum" } },
                "period": 60, "comparison": "GreaterThanThreshold", "threshold": 0.0,
                "datapoints_to_alarm": 1, "evaluation_periods": 1, "treat_missing_data": "not_breaching",
            }});
            (format!("hot-{i}"), json!({ "kind": kind, "severity": "error", "notify": ["oncall"] }))
        };
        (0..self.log_groups.len()).map(alarm).collect::<Map<_, _>>().into()
    }

    fn queues(&self) -> Value {
        let queue = json!({
            "log_groups": [], "alarms": true, "visibility_timeout_ms": 30_000, "max_receives": 5,
            "retention_ms": 345_600_000, "dead_letter_retention_ms": 1_209_600_000,
        });
        (0..self.queues).map(|i| (format!("events-{i}"), queue.clone())).collect::<Map<_, _>>().into()
    }

    fn fleets(&self) -> Value {
        let fleet = |i: usize| {
            let fleet = json!({
                "command": ["shop-app", "--port", "{port}"],
                "instances": { "min": 2, "max": 6 },
                "health": { "path": "/healthz", "interval_ms": 5_000 },
                "listen": format!("127.0.0.1:{}", 8080 + i),
                "scale_on": [{ "cpu": 60 }, { "requests_per_instance": 6000 }, { "log_bytes_per_instance": 1_048_576 }],
            });
            (format!("fleet-{i}"), fleet)
        };
        (0..self.fleets).map(fleet).collect::<Map<_, _>>().into()
    }

    fn maintenance(&self) -> Value {
        if !self.maintenance || self.fleets == 0 {
            return json!([]);
        }
        let works = [
            ("prune", json!({ "prune": { "files": ["/var/log/shop/*.gz"], "older_than_ms": 604_800_000 } })),
            ("clean", json!({ "run": "/srv/clean.sh" })),
            ("patch", json!({ "patch": { "reboot": true } })),
        ];
        let entry = |(name, work): &(&str, Value)| {
            json!({
                "name": name, "schedule": "cron(0 3 * * 0)", "timezone": "Europe/Berlin",
                "timeout_ms": 3_600_000, "work": work,
            })
        };
        works.iter().map(entry).collect()
    }

    fn aws(&self) -> Value {
        let fleet = |i: usize| {
            let certificate =
                (self.certificate && i == 0).then_some("arn:aws:acm:eu-central-1:123456789012:certificate/0");
            let fleet = json!({
                "instance_type": "t3.small", "volume_gib": 16, "setup": "/srv/setup.sh",
                "certificate": certificate, "port": if certificate.is_some() { 443 } else { 80 },
                "allow": self.allow,
            });
            (format!("fleet-{i}"), fleet)
        };
        let tags = if self.tags { json!({ "team": "shop" }) } else { json!({}) };
        let bastion = (!self.bastion.is_empty())
            .then(|| json!({ "allow": self.bastion, "instance_type": "t3.nano", "key_pair": "ops" }));
        json!({
            "name": self.name,
            "region": "eu-central-1",
            "tags": tags,
            "artifacts": { "bucket": "shop-artifacts", "prefix": "", "watchbell_sha256": "0".repeat(64) },
            "network": {
                "cidr": self.cidr, "zones": self.zones,
                "nat": if self.nat_per_zone { "per_zone" } else { "single" },
                "endpoints": self.endpoints, "flow_logs_days": self.flow_logs.then_some(30), "bastion": bastion,
            },
            "fleet": (0..self.fleets).map(fleet).collect::<Map<_, _>>(),
            "trail": {
                "enabled": self.trail, "retention_days": 90, "cis": self.trail,
                "notify": if self.trail { vec!["oncall"] } else { vec![] },
            },
            "dashboard": true,
        })
    }
}

/// Every tier, at ages that S3 takes.
const TIERS: [(&str, i64); 4] = [("infrequent_access", 30), ("cold", 90), ("deep", 180), ("expire", 400)];

/// Plans of every shape that [`Shape`] has.
fn plans() -> impl Strategy<Value = Plan> {
    let network = (
        prop::sample::select(vec!["10.0.0.0/16", "172.16.8.0/22", "192.168.0.0/20"]),
        2..=3_u32,
        any::<(bool, bool, bool)>(),
        prop::sample::select(vec![vec![], vec!["198.51.100.7/32"], vec!["198.51.100.0/24", "2001:db8::/32"]]),
    );
    let fleets = (
        0..=3_usize,
        any::<bool>(),
        prop::sample::select(vec![vec!["0.0.0.0/0"], vec!["203.0.113.0/24", "2001:db8::/32"], vec![]]),
    );
    let archive = prop::option::of(prop::sample::subsequence(TIERS.to_vec(), 0..=TIERS.len()));
    let secrets = prop::collection::btree_set("[a-z][a-z0-9-]{0,40}", 0..4);
    let groups = prop::collection::btree_set("[a-zA-Z#][a-zA-Z0-9._/#-]{0,60}", 1..5);
    let rest = (any::<(bool, bool, bool)>(), 0..=2_usize);
    ("[a-z]([a-z0-9-]{0,22}[a-z0-9])?", network, fleets, archive, secrets, groups, rest).prop_map(
        |(name, (cidr, zones, switches, bastion), fleets, archive, secrets, groups, rest)| {
            let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
            let shape = Shape {
                name,
                cidr: cidr.into(),
                zones,
                nat_per_zone: switches.0,
                endpoints: switches.1,
                flow_logs: switches.2,
                bastion: texts(bastion),
                fleets: fleets.0,
                certificate: fleets.1,
                allow: texts(fleets.2),
                archive,
                trail: rest.0.0,
                secrets: secrets.into_iter().collect(),
                log_groups: groups.into_iter().collect(),
                queues: rest.1,
                maintenance: rest.0.1,
                tags: rest.0.2,
            };
            shape.plan()
        },
    )
}
