//! What the resources of templates cost in a month, as far as that is fixed.
//!
//! Promise: prices come from one dated table (`prices.json`), each with its source; one that nobody has confirmed, and a
//! resource that has no price there, are named. List prices of one region, without taxes, discounts and free tiers.
//! Not here: what depends on use; its unit prices are listed beside the sum.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Hours of a month, as AWS counts them.
const HOURS: f64 = 730.0;

/// The table of prices.
#[derive(Debug, Deserialize)]
struct Table {
    currency: String,
    region: String,
    prices: Vec<Price>,
    /// Items that a type of resource costs by use.
    by_use: BTreeMap<String, Vec<String>>,
    /// Types that cost nothing themselves.
    free: BTreeSet<String>,
}

/// A price.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Price {
    /// What the table calls it.
    pub item: String,
    /// What people call it.
    pub what: String,
    /// What one pays it for: `hour`, `GB`, `1,000,000`.
    pub unit: String,
    /// In the table's currency.
    pub price: f64,
    /// The region it is of.
    pub region: String,
    /// When it was found, `2026-08-21`.
    pub as_of: String,
    /// Where it was found.
    pub source: String,
    /// Whether a second look has confirmed it.
    pub confirmed: bool,
}

static TABLE: LazyLock<Table> =
    LazyLock::new(|| serde_json::from_str(include_str!("prices.json")).expect("a test reads it"));

fn price(item: &str) -> Option<&'static Price> {
    TABLE.prices.iter().find(|price| price.item == item)
}

/// One item of an estimate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Its price.
    pub price: Price,
    /// How many of the unit in a month.
    pub units: f64,
    /// What that costs in a month.
    pub monthly: f64,
}

/// What templates cost in a month.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Fixed costs, in the order of the items' names.
    pub lines: Vec<Line>,
    /// Their sum.
    pub monthly: f64,
    /// What costs by use, and is not in the sum.
    pub by_use: Vec<Price>,
    /// What the table has no price for, and is not in the sum either: `AWS::RDS::DBInstance`, `instance.m7i.large`.
    pub unpriced: BTreeSet<String>,
}

impl Cost {
    /// Of these templates together.
    pub fn of<'t>(templates: impl IntoIterator<Item = &'t Value>) -> Cost {
        let mut count = Count::default();
        for template in templates {
            count.template(template);
        }
        count.priced()
    }

    /// The oldest date of the prices in the sum.
    pub fn as_of(&self) -> Option<&str> {
        self.lines.iter().map(|line| line.price.as_of.as_str()).min()
    }

    /// How many prices in the sum nobody has confirmed.
    pub fn unconfirmed(&self) -> usize {
        self.lines.iter().filter(|line| !line.price.confirmed).count()
    }
}

/// The currency of all prices.
pub fn currency() -> &'static str {
    &TABLE.currency
}

/// The region whose prices they are.
pub fn region() -> &'static str {
    &TABLE.region
}

/// Units in a month, by item.
#[derive(Default)]
struct Count {
    units: BTreeMap<String, f64>,
    by_use: BTreeSet<String>,
    unpriced: BTreeSet<String>,
}

impl Count {
    fn template(&mut self, template: &Value) {
        let resources = &template["Resources"];
        for resource in resources.as_object().into_iter().flatten().map(|(_, resource)| resource) {
            self.resource(resource, resources);
        }
    }

    fn resource(&mut self, resource: &Value, all: &Value) {
        let properties = &resource["Properties"];
        let resource_type = resource["Type"].as_str().unwrap_or_default();
        let items = TABLE.by_use.get(resource_type);
        self.by_use.extend(items.into_iter().flatten().cloned());
        match resource_type {
            "AWS::EC2::NatGateway" => self.add("nat_gateway", HOURS),
            "AWS::EC2::EIP" => self.add("public_address", HOURS),
            "AWS::ElasticLoadBalancingV2::LoadBalancer" => self.add("load_balancer", HOURS),
            "AWS::EC2::VPCEndpoint" if properties["VpcEndpointType"] == "Interface" => {
                let zones = properties["SubnetIds"].as_array().map_or(1, Vec::len);
                self.add("interface_endpoint", HOURS * small(zones));
            }
            "AWS::AutoScaling::AutoScalingGroup" => {
                // What runs when nothing happens.
                let instances = number(&properties["MinSize"]).unwrap_or(0.0);
                self.instances(launched(properties, all), instances);
            }
            "AWS::EC2::Instance" => self.instances(launched(properties, all), 1.0),
            "AWS::KMS::Key" => self.add("key", 1.0),
            "AWS::SecretsManager::Secret" => self.add("secret", 1.0),
            "AWS::CloudWatch::Alarm" => self.alarm(properties),
            "AWS::CloudWatch::CompositeAlarm" => self.add("composite_alarm", 1.0),
            "AWS::CloudWatch::Dashboard" => self.add("dashboard", 1.0),
            // Each has at least one metric; dimensions make one of every combination of values that comes.
            "AWS::Logs::MetricFilter" => {
                let metrics = properties["MetricTransformations"].as_array().map_or(0, Vec::len);
                self.add("custom_metric", small(metrics));
            }
            known if items.is_some() || TABLE.free.contains(known) => {}
            unknown => {
                self.unpriced.insert(unknown.to_owned());
            }
        }
    }

    fn instances(&mut self, properties: &Value, instances: f64) {
        let instance_type = properties["InstanceType"].as_str().unwrap_or("of an unknown type");
        self.add(&format!("instance.{instance_type}"), HOURS * instances);
        for disk in properties["BlockDeviceMappings"].as_array().into_iter().flatten() {
            let disk = &disk["Ebs"];
            let volume_type = disk["VolumeType"].as_str().unwrap_or("gp2");
            let size = number(&disk["VolumeSize"]).unwrap_or(0.0);
            self.add(&format!("volume.{volume_type}"), size * instances);
        }
    }

    /// Source: Amazon CloudWatch pricing: an alarm costs for each metric that it looks at, an anomaly alarm for three.
    fn alarm(&mut self, properties: &Value) {
        let queries = properties["Metrics"].as_array().map_or(&[][..], Vec::as_slice);
        let is_anomaly = queries.iter().any(|query| {
            query["Expression"]
                .as_str()
                .is_some_and(|expression| expression.contains("ANOMALY_DETECTION_BAND"))
        });
        let metrics = queries.iter().filter(|query| query["MetricStat"].is_object()).count();
        let metrics = if is_anomaly { 3 } else { metrics.max(1) };
        let periods =
            queries.iter().map(|query| &query["MetricStat"]["Period"]).chain([&properties["Period"]]);
        let is_high_resolution = periods.filter_map(Value::as_u64).any(|period| period < 60);
        self.add(if is_high_resolution { "alarm_high_resolution" } else { "alarm" }, small(metrics));
    }

    fn add(&mut self, item: &str, units: f64) {
        *self.units.entry(item.to_owned()).or_default() += units;
    }

    fn priced(mut self) -> Cost {
        let mut cost = Cost::default();
        for (item, units) in self.units.into_iter().filter(|(_, units)| *units > 0.0) {
            match price(&item) {
                Some(price) => {
                    let monthly = units * price.price;
                    cost.monthly += monthly;
                    cost.lines.push(Line { price: price.clone(), units, monthly });
                }
                None => {
                    self.unpriced.insert(item);
                }
            }
        }
        cost.by_use = self.by_use.iter().filter_map(|item| price(item)).cloned().collect();
        cost.unpriced = self.unpriced;
        cost
    }
}

/// What says how instances are: the launch template, where there is one.
fn launched<'a>(properties: &'a Value, all: &'a Value) -> &'a Value {
    match properties["LaunchTemplate"]["LaunchTemplateId"]["Ref"].as_str() {
        Some(id) => &all[id]["Properties"]["LaunchTemplateData"],
        None => properties,
    }
}

/// Sizes are written as numbers, and as texts where CloudFormation wants texts.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[expect(clippy::cast_precision_loss, reason = "how many there are of something in a template")]
fn small(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn the_table_is_whole() {
        let mut items = BTreeSet::new();
        for price in &TABLE.prices {
            assert!(items.insert(&price.item), "{} is there twice", price.item);
            assert!(price.price > 0.0 && !price.source.is_empty(), "{}", price.item);
            assert_eq!(price.confirmed, price.source != "from memory", "{}", price.item);
            assert_eq!(price.region, TABLE.region, "{}", price.item);
            assert!(price.as_of.parse::<DateLike>().is_ok(), "{}: {}", price.item, price.as_of);
        }
        for (resource_type, used) in &TABLE.by_use {
            assert!(!TABLE.free.contains(resource_type), "{resource_type} is free and is not");
            assert!(used.iter().all(|item| price(item).is_some()), "{resource_type}");
        }
    }

    /// `2026-11-22`
    struct DateLike;

    impl std::str::FromStr for DateLike {
        type Err = ();

        fn from_str(text: &str) -> Result<DateLike, ()> {
            let parts: Vec<&str> = text.split('-').collect();
            let is_date = parts.iter().map(|part| part.len()).eq([4, 2, 2])
                && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            if is_date { Ok(DateLike) } else { Err(()) }
        }
    }

    #[test]
    fn fixed_costs_are_counted() {
        let stat = |period: u32| json!({ "Id": "m", "MetricStat": { "Period": period } });
        let network = json!({ "Resources": {
            "Nat": { "Type": "AWS::EC2::NatGateway" },
            "Address": { "Type": "AWS::EC2::EIP" },
            "Logs": { "Type": "AWS::EC2::VPCEndpoint", "Properties": { "VpcEndpointType": "Interface", "SubnetIds": ["a", "b"] } },
            "S3": { "Type": "AWS::EC2::VPCEndpoint", "Properties": { "VpcEndpointType": "Gateway" } },
        }});
        let cost = Cost::of([&network]);
        assert!(about(cost.monthly, 730.0 * (0.045 + 0.005 + 0.02)), "{cost:?}");
        assert_eq!((cost.unconfirmed(), cost.as_of()), (3, Some("2026-11-22")));
        assert!(cost.unpriced.is_empty() && cost.by_use.iter().any(|price| price.item == "nat_gateway_data"));
        let alarms = json!({ "Resources": {
            "Plain": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "Period": 60 } },
            "Fast": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "Period": 10 } },
            "Ratio": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "Metrics": [stat(60), stat(300), { "Id": "e", "Expression": "a/b" }] } },
            "Odd": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "Metrics": [stat(60), { "Id": "b", "Expression": "ANOMALY_DETECTION_BAND(m, 2)" }] } },
            "Filter": { "Type": "AWS::Logs::MetricFilter", "Properties": { "MetricTransformations": [{}] } },
        }});
        let cost = Cost::of([&alarms]);
        assert!(about(cost.monthly, 0.10 + 0.30 + 0.20 + 0.30 + 0.30), "{cost:?}");
        assert_eq!(cost.unconfirmed(), 0);
    }

    #[test]
    fn a_fleet_costs_its_smallest_size() {
        let disk = json!([{ "Ebs": { "VolumeSize": 20, "VolumeType": "gp3" } }]);
        let data = json!({ "InstanceType": "t3.small", "BlockDeviceMappings": disk });
        let app = |instance_type: &str| {
            let mut data = data.clone();
            data["InstanceType"] = json!(instance_type);
            json!({ "Resources": {
                "Launch": { "Type": "AWS::EC2::LaunchTemplate", "Properties": { "LaunchTemplateData": data } },
                "Bastion": { "Type": "AWS::EC2::Instance", "Properties": {
                    "LaunchTemplate": { "LaunchTemplateId": { "Ref": "Launch" } },
                }},
                "Group": { "Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": {
                    "MinSize": "2", "MaxSize": "6", "LaunchTemplate": { "LaunchTemplateId": { "Ref": "Launch" } },
                }},
            }})
        };
        let cost = Cost::of([&app("t3.small")]);
        assert!(about(cost.monthly, 3.0 * (730.0 * 0.0208 + 20.0 * 0.08)), "{cost:?}");
        assert!(Cost::of([&app("x9.huge")]).unpriced.contains("instance.x9.huge"));
    }

    #[test]
    fn what_has_no_price_is_named() {
        let template = json!({ "Resources": { "Db": { "Type": "AWS::RDS::DBInstance" } } });
        assert!(Cost::of([&template]).unpriced.contains("AWS::RDS::DBInstance"));
        assert_eq!(Cost::of([]), Cost::default());
    }
}
