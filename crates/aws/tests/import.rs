//! Every folder in `tests/import`: its documents, and beside them what must come of them. `expected.toml` is the file,
//! `expected.remarks` what is said, `parameters`, if there is one, what is given by `--parameter`. `UPDATE=1` rewrites
//! the expected files.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

use std::fs;
use std::path::{Path, PathBuf};

use watchbell_aws::{Document, ImportError, Imported, Parameters, import};
use watchbell_config::{Source, check};

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn read(folder: &Path) -> (Vec<Document>, Parameters) {
    let mut documents = Vec::new();
    for path in entries(folder) {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        if ["json", "yaml"].contains(&extension) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            documents.push(Document { name, text: fs::read_to_string(path).unwrap() });
        }
    }
    let given = fs::read_to_string(folder.join("parameters")).unwrap_or_default();
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    (documents, given.lines().filter_map(pair).collect())
}

fn hold_against(path: &Path, found: &str, differences: &mut Vec<String>) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != found {
        differences.push(format!("{}\n--- expected\n{expected}--- found\n{found}", path.display()));
    }
}

#[test]
fn every_folder_gives_its_file_and_its_remarks() {
    let mut differences = Vec::new();
    for folder in entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")) {
        let (documents, given) = read(&folder);
        let imported =
            import(&documents, &given).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let remark = |remark: &watchbell_aws::Remark| {
            format!("{}{remark}\n", if remark.is_lost { "" } else { "note: " })
        };
        let remarks: String = imported.remarks.iter().map(remark).collect();
        hold_against(&folder.join("expected.toml"), &imported.text, &mut differences);
        hold_against(&folder.join("expected.remarks"), &remarks, &mut differences);
        let source = Source { name: "watchbell.toml", text: &imported.text, folder: Path::new("/") };
        let checked = check(&source);
        assert!(checked.plan.is_some(), "{}: {:?}", folder.display(), checked.problems);
        for remark in imported.remarks {
            let comment = format!("{}\n", remark.message);
            assert!(imported.text.contains(&comment), "{}: not in the file: {remark}", folder.display());
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn of(texts: &[&str]) -> Result<Imported, ImportError> {
    let document = |text: &&str| Document { name: "x.yaml".to_owned(), text: (*text).to_owned() };
    import(&texts.iter().map(document).collect::<Vec<_>>(), &Parameters::new())
}

#[test]
fn what_is_no_template_and_no_description_is_refused() {
    assert_eq!(of(&["a: 1"]), Err(ImportError::Unknown { file: "x.yaml".to_owned() }));
    assert!(matches!(of(&["{\n\"Resources\": [}"]), Err(ImportError::Malformed { line: 2, .. })));
    assert!(of(&["Resources: {}"]).unwrap().counts.is_nothing());
}

#[test]
fn the_same_twice_is_the_same_once() {
    let template = include_str!("import/yaml_template/alarms.yaml");
    let once = of(&[template]).unwrap();
    let twice = of(&[template, template]).unwrap();
    assert_eq!(once.counts, twice.counts);
    let tables =
        |text: &str| text.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(tables(&once.text), tables(&twice.text));
}

#[test]
fn composite_alarms_in_chains_and_circles_go_with_what_they_need() {
    let composite = |n: usize| {
        let properties = format!("{{AlarmName: c{n}, AlarmRule: 'ALARM(c{})'}}", n + 1);
        format!("  C{n}: {{Type: AWS::CloudWatch::CompositeAlarm, Properties: {properties}}}")
    };
    let text = "Resources:\n".to_owned() + &(0..300).map(composite).collect::<Vec<_>>().join("\n");
    let imported = of(&[&text]).unwrap();
    assert!(imported.counts.is_nothing());
    assert_eq!(imported.remarks.len(), 300);
    let circle = text.replace("ALARM(c300)", "ALARM(c0)");
    assert_eq!(of(&[&circle]).unwrap().remarks.len(), 300);
}

#[test]
fn a_topic_whose_name_cannot_be_is_not_told() {
    let imported = of(&[r#"
Resources:
  F:
    Type: AWS::Logs::MetricFilter
    Properties:
      FilterName: f
      LogGroupName: g
      FilterPattern: ERROR
      MetricTransformations: [{MetricName: M, MetricNamespace: N, MetricValue: 1}]
  Ops: {Type: AWS::SNS::Topic, Properties: {TopicName: ops, Subscription: [{Protocol: email, Endpoint: nobody}]}}
  A:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: a
      Namespace: N
      MetricName: M
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanThreshold
      AlarmActions: [!Ref Ops, "arn:aws:sns:eu-west-1:123456789012:\u0007"]
"#])
    .unwrap();
    let said: Vec<&str> = imported.remarks.iter().map(|remark| remark.message.as_str()).collect();
    let found = "not taken over: \"to\" in email of topic \"ops\": \"nobody\" is not an address";
    let made = r#"topic "\u{7}" is not told: a topic name cannot hold '\u{7}', as in "\u{7}""#;
    let unknown = "who gets its messages is not known: a console is written instead";
    assert_eq!(said, [unknown, made, found]);
    assert!(imported.text.contains("notify = [\"ops\"]"), "{}", imported.text);
}

#[test]
fn a_log_group_that_only_a_lost_metric_filter_names_is_gone_without_a_word() {
    let filter = |name: &str, group: &str, pattern: &str| {
        let metric = "[{MetricName: M, MetricNamespace: N, MetricValue: 1}]";
        format!(
            "  {name}: {{Type: AWS::Logs::MetricFilter, Properties: {{FilterName: f, LogGroupName: {group}, \
             FilterPattern: '{pattern}', MetricTransformations: {metric}}}}}\n"
        )
    };
    let text = format!("Resources:\n{}{}", filter("Good", "a", "ERROR"), filter("Bad", "b", "{ $.x = "));
    let imported = of(&[&text]).unwrap();
    assert_eq!((imported.counts.log_groups, imported.counts.metric_filters), (1, 1));
    let lost: Vec<&str> =
        imported.remarks.iter().filter(|it| it.is_lost).map(|it| it.what.as_str()).collect();
    assert_eq!(lost, ["metric filter Bad"]);
}

#[test]
fn what_nothing_asks_for_and_what_cannot_be_given_is_said() {
    let text = "Parameters: {Env: {AllowedValues: [dev, prod]}, Other: {}}\n\
                Resources: {G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub 'a-${Env}-${N.Arn}'}}}";
    let given = ["Env", "Other", "N.Arn", "Evn"].map(|name| (name.to_owned(), "prd".to_owned()));
    let document = Document { name: "x.yaml".to_owned(), text: text.to_owned() };
    let imported = import(&[document], &given.into()).unwrap();
    assert_eq!(imported.unasked.iter().collect::<Vec<_>>(), ["Evn"]);
    let said: Vec<String> = imported.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "x.yaml: log group G: not taken over: no metric filter or alarm here names it",
            "x.yaml: parameter Env: \"prd\" is none of its AllowedValues: dev, prod",
        ]
    );
}

mod laws {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use watchbell_aws::{Document, Parameters, import};
    use watchbell_config::{Source, check};
    use watchbell_model::{Comparison, LowSamples, Plan, TreatMissingData, Watched};

    /// What `describe-alarms` and `describe-metric-filters` say of a plan: written here, apart from what reads it.
    fn described(plan: &Plan) -> [Value; 2] {
        let filters: Vec<Value> = plan
            .metric_filters
            .iter()
            .map(|(name, filter)| {
                let metric = &filter.metric;
                let mut transformation = json!({
                    "metricName": metric.metric.name, "metricNamespace": metric.metric.namespace,
                    "metricValue": metric.value, "unit": metric.unit.as_str(), "dimensions": metric.dimensions,
                });
                if let Some(default) = metric.default {
                    transformation["defaultValue"] = json!(default);
                }
                json!({
                    "filterName": name, "filterPattern": filter.pattern, "creationTime": 1,
                    "logGroupName": filter.log_group, "metricTransformations": [transformation],
                })
            })
            .collect();
        let (mut metric_alarms, mut composites) = (Vec::new(), Vec::new());
        for (name, alarm) in &plan.alarms {
            let actions: Vec<String> = alarm
                .notify
                .iter()
                .map(|topic| format!("arn:aws:sns:eu-west-1:123456789012:{topic}"))
                .collect();
            let mut seen = json!({
                "AlarmName": name, "ActionsEnabled": true, "AlarmActions": actions, "OKActions": actions,
                "StateValue": "OK", "AlarmDescription": alarm.description,
            });
            let Some(metric) = alarm.metric() else {
                seen["AlarmRule"] = json!(alarm.composite().unwrap().rule);
                composites.push(seen);
                continue;
            };
            let Watched::Stat(stat) = &metric.watched else { unreachable!("none is made") };
            let dimension = |(name, value): (&String, &String)| json!({ "Name": name, "Value": value });
            seen["Namespace"] = json!(stat.metric.namespace);
            seen["MetricName"] = json!(stat.metric.name);
            seen["Dimensions"] = stat.dimensions.iter().map(dimension).collect();
            let key = if stat.statistic.percentile().is_some() { "ExtendedStatistic" } else { "Statistic" };
            seen[key] = json!(stat.statistic.to_string());
            if let Some(unit) = stat.unit {
                seen["Unit"] = json!(unit.as_str());
            }
            seen["Period"] = json!(metric.period.as_s());
            seen["EvaluationPeriods"] = json!(metric.evaluation_periods);
            seen["DatapointsToAlarm"] = json!(metric.datapoints_to_alarm);
            seen["Threshold"] = json!(metric.threshold);
            seen["ComparisonOperator"] = json!(match metric.comparison {
                Comparison::GreaterThanThreshold => "GreaterThanThreshold",
                Comparison::GreaterThanOrEqualToThreshold => "GreaterThanOrEqualToThreshold",
                Comparison::LessThanThreshold => "LessThanThreshold",
                Comparison::LessThanOrEqualToThreshold => "LessThanOrEqualToThreshold",
            });
            let missing = match metric.treat_missing_data {
                TreatMissingData::Missing => None,
                TreatMissingData::Ignore => Some("ignore"),
                TreatMissingData::Breaching => Some("breaching"),
                TreatMissingData::NotBreaching => Some("notBreaching"),
            };
            if let Some(missing) = missing {
                seen["TreatMissingData"] = json!(missing);
            }
            if metric.low_samples == LowSamples::Ignore {
                seen["EvaluateLowSampleCountPercentile"] = json!("ignore");
            }
            metric_alarms.push(seen);
        }
        [
            json!({ "metricFilters": filters }),
            json!({ "MetricAlarms": metric_alarms, "CompositeAlarms": composites }),
        ]
    }

    fn plan(text: &str) -> Plan {
        let checked = check(&Source { name: "watchbell.toml", text, folder: std::path::Path::new("/") });
        checked.plan.unwrap_or_else(|| panic!("{:?}\n{text}", checked.problems))
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z]{1,8}", "[A-Za-z]{1,4}[ ./'\"\\\\äé-][A-Za-z]{1,4}"]
    }

    /// A filter with an alarm on it, as keys of TOML.
    fn pair() -> impl Strategy<Value = (String, String, String)> {
        let statistic =
            prop_oneof!["Sum", "Average", "Minimum", "Maximum", "SampleCount", "p9[0-9]", "p99\\.9"];
        let condition = ("(>|>=|<|<=)", prop_oneof![any::<i32>().prop_map(f64::from), -1e9..1e9]);
        let missing = prop_oneof!["missing", "ignore", "breaching", "not_breaching"];
        let period = prop_oneof!["10s", "60s", "5m", "1h"];
        let texts = (name(), any::<bool>(), any::<bool>(), "[ -~äπ\n\t]{0,30}");
        let numbers = (statistic, condition, missing, period, 1_u32..4, 0_u32..3);
        (texts, numbers).prop_map(|((name, has_dimension, has_default, description), numbers)| {
            let (statistic, (sign, threshold), missing, period, m, more) = numbers;
            let quoted = serde_json::to_string(&name).unwrap();
            let extra = match (has_dimension, has_default) {
                (true, _) => ", dimensions = { user = \"$.user\" }",
                (false, true) => ", default = 0.5, unit = \"Count\"",
                (false, false) => ", value = \"$.n\"",
            };
            let filter = format!(
                "[metric_filters.{quoted}]\nlog_group = \"a/b\"\npattern = '{{ $.n > 1 }}'\n\
                 metric = {{ namespace = \"N\", name = {quoted}{extra} }}\n"
            );
            let dimensions = if has_dimension { "dimensions = { user = \"root\" }\n" } else { "" };
            let n = m + more;
            let description = serde_json::to_string(&description).unwrap();
            let alarm = format!(
                "[alarms.{quoted}]\nmetric_filter = {quoted}\n{dimensions}statistic = \"{statistic}\"\nperiod = \"{period}\"\n\
                 condition = \"{sign} {threshold}\"\ndatapoints = \"{m} of {n}\"\nmissing_data = \"{missing}\"\n\
                 notify = [\"ops\"]\ndescription = {description}\n"
            );
            (name, filter, alarm)
        })
    }

    /// What of the pipeline's template comes from tables that are imported.
    fn rendered(plan: &Plan) -> (String, Vec<(String, Value)>) {
        let files = watchbell_aws::Files::default();
        let stack = watchbell_aws::render(plan, &files)
            .into_iter()
            .find(|it| it.part == watchbell_aws::Part::Pipeline);
        let template = stack.expect("there are log groups").template;
        let kinds = [
            "AWS::Logs::LogGroup",
            "AWS::Logs::MetricFilter",
            "AWS::CloudWatch::Alarm",
            "AWS::CloudWatch::CompositeAlarm",
            "AWS::CloudWatch::AlarmMuteRule",
            "AWS::SNS::Topic",
            "AWS::SNS::Subscription",
        ];
        let ours =
            template.resources().filter(|(_, resource)| kinds.iter().any(|kind| resource["Type"] == *kind));
        (template.to_text(), ours.map(|(id, resource)| (id.to_owned(), resource.clone())).collect())
    }

    /// What an alarm means and whom it tells, as keys of TOML.
    fn announced() -> impl Strategy<Value = String> {
        let severity = prop::option::of(prop_oneof!["info", "warning", "error", "critical"]);
        // Some that look like what is written for severity and runbook.
        let description = prop_oneof![
            "[ -~äπ\n\t]{0,30}",
            Just("severity: critical".to_owned()),
            Just("runbook: x".to_owned()),
            Just("severity: info\nrunbook: x".to_owned()),
            Just("a\nseverity: error\n".to_owned()),
        ];
        let runbook = prop::option::of("https://example\\.com/[a-z]{1,8}");
        let topics = prop::sample::subsequence(vec!["ops", "night", "quiet"], 0..=3).prop_shuffle();
        (severity, prop::option::of(description), runbook, topics).prop_map(
            |(severity, description, runbook, topics)| {
                let line = |name: &str, value: &str| format!("{name} = {}\n", json!(value));
                severity.map_or_else(String::new, |severity| line("severity", &severity))
                    + &description.map_or_else(String::new, |description| line("description", &description))
                    + &runbook.map_or_else(String::new, |runbook| line("runbook", &runbook))
                    + &format!("notify = {}\n", json!(topics))
            },
        )
    }

    /// What an alarm watches and when it rings, as keys of TOML.
    fn watched() -> impl Strategy<Value = String> {
        let statistic = prop_oneof!["Sum", "Average", "Maximum", "SampleCount", "p9[0-9]", "p99\\.9"];
        let stat = prop_oneof![
            Just("metric_filter = \"by-user\"\neach = [\"user\"]\n"),
            Just("metric_filter = \"by-user\"\ndimensions = { user = \"root\" }\n"),
            Just("metric_filter = \"by-two\"\neach = [\"ip\", \"user\"]\n"),
            Just("metric_filter = \"by-two\"\neach = [\"ip\"]\ndimensions = { user = \"the root\" }\n"),
            Just("metric_filter = \"plain\"\n"),
            Just("metric_filter = \"plain\"\nunit = \"Count\"\n"),
            Just("metric = { namespace = \"N\", name = \"Plain\" }\n"),
            Just(
                "metric = { namespace = \"Watchbell\", name = \"IncomingBytes\" }\ndimensions = { LogGroupName = \"c\" }\n"
            ),
            Just("log_group = \"a/b\"\npattern = '{ $.n > 1 }'\n"),
            Just("log_group = \"c\"\npattern = 'panic -\"a test\"'\n"),
            Just("log_group = \"c\"\npattern = ''\n"),
        ];
        let stat = (stat, statistic).prop_map(|(stat, statistic)| {
            // A percentile of each is nothing that AWS has.
            let statistic = if stat.contains("each") { "Maximum" } else { &statistic };
            format!("{stat}statistic = \"{statistic}\"\n")
        });
        let expression = prop_oneof!["a / b \\* 100", "IF\\(a > b, a, 0\\)", "FILL\\(a, 0\\) - b", "a AND b"];
        let minimum =
            prop_oneof![Just(""), Just("minimum = { a = 20 }\n"), Just("minimum = { a = 0.5, b = 1e3 }\n")];
        let math = (expression, minimum).prop_map(|(expression, minimum)| {
            format!(
                "expression = \"{expression}\"\nmetrics.a = {{ metric_filter = \"plain\" }}\n\
                 metrics.b = {{ metric_filter = \"by-user\", dimensions = {{ user = \"x\" }}, statistic = \"p50\" }}\n{minimum}"
            )
        });
        let condition = ("(>|>=|<|<=)", prop_oneof![any::<i32>().prop_map(f64::from), -1e9..1e9]);
        let missing = prop_oneof!["missing", "ignore", "breaching", "not_breaching"];
        let rings = (condition, missing).prop_map(|((sign, threshold), missing)| {
            format!("condition = \"{sign} {threshold}\"\nmissing_data = \"{missing}\"\n")
        });
        let compared = (prop_oneof![stat, math], rings).prop_map(|(watched, rings)| watched + &rings);
        let heartbeat = prop_oneof![Just("a/b"), Just("c")]
            .prop_map(|group| format!("heartbeat = {{ log_group = \"{group}\" }}\n"));
        // A query of an alarm sees three hours back.
        let when = (prop_oneof!["60s", "5m", "30m"], 1_u32..4, 0_u32..3);
        (prop_oneof![4 => compared.boxed(), 1 => heartbeat.boxed()], when).prop_map(
            |(watched, (period, m, more))| {
                format!("{watched}period = \"{period}\"\ndatapoints = \"{m} of {}\"\n", m + more)
            },
        )
    }

    /// One of the alarms that are there already.
    type Named = prop::sample::Index;

    /// Parts of a rule with what is before each, and what is between them; what holds messages back, and how long.
    type Composite = (Vec<(String, Named)>, String, Option<(Named, u32, u32)>);

    fn composite() -> impl Strategy<Value = Composite> {
        let parts = prop::collection::vec(("(ALARM|OK|NOT ALARM|INSUFFICIENT_DATA)", any::<Named>()), 1..4);
        let suppressor = prop::option::of((any::<Named>(), 0_u32..600, 0_u32..600));
        (parts, " (AND|OR) ", suppressor)
    }

    /// A file with all that is imported; each topic is told, and each log group named.
    fn whole() -> impl Strategy<Value = String> {
        let name = || "[A-Za-z]{1,4}([ ./'\"\\\\-][A-Za-z]{1,4})?";
        let receivers = (
            prop::collection::vec("[a-z]{1,5}@example\\.com", 0..3),
            prop::collection::vec("\\+4917[0-9]{6}", 0..3),
        );
        let retention = prop::option::of(prop_oneof!["1d", "30d", "365d"]);
        let alarms = prop::collection::vec((name(), watched(), announced()), 1..6);
        let composites = prop::collection::vec((name(), composite(), announced()), 0..3);
        let mutes = prop::collection::vec(
            (
                prop::collection::vec(any::<Named>(), 1..3),
                prop_oneof![
                    "cron\\(0 22 \\* \\* \\*\\)",
                    "cron\\(30 1 \\* \\* 6\\)",
                    "at\\(2030-01-31T22:00\\)"
                ],
                prop_oneof!["15m", "90m", "8h", "2d"],
                prop_oneof!["UTC", "Europe/Berlin"],
            ),
            0..3,
        );
        (prop::array::uniform3(receivers), retention, alarms, composites, mutes).prop_map(
            |(topics, retention, alarms, composites, mutes)| {
                let mut text = FILTERS.to_owned();
                let mut put = |part: String| text += &part;
                put(retention.map_or_else(String::new, |it| format!("retention = \"{it}\"\n")));
                for (name, (mails, phones)) in ["ops", "night", "quiet"].iter().zip(topics) {
                    put(format!("[topics.{name}]\nconsole = {{}}\n"));
                    for (kind, mut to) in [("email", mails), ("sms", phones)] {
                        let mut known = std::collections::BTreeSet::new();
                        to.retain(|one| known.insert(one.clone()));
                        if !to.is_empty() {
                            put(format!("{kind} = {{ to = {} }}\n", json!(to)));
                        }
                    }
                }
                put(FIRST.to_owned());
                let mut names = vec!["first".to_owned()];
                for (name, watched, announced) in alarms {
                    let name = format!("{name}{}", names.len());
                    put(format!("[alarms.{}]\n{watched}{announced}", json!(name)));
                    names.push(name);
                }
                for (name, (parts, sign, suppressor), announced) in composites {
                    let part = |(state, at): &(String, Named)| {
                        format!("{state}({})", json!(at.get(&names)))
                    };
                    let rule = parts.iter().map(part).collect::<Vec<_>>().join(&sign);
                    let name = format!("{name}{}", names.len());
                    put(format!("[composite_alarms.{}]\nrule = {}\n{announced}", json!(name), json!(rule)));
                    if let Some((at, wait, extension)) = suppressor {
                        put(format!(
                            "actions_suppressor = {}\nactions_suppressor_wait_period = \"{wait}s\"\n\
                             actions_suppressor_extension_period = \"{extension}s\"\n",
                            json!(at.get(&names))
                        ));
                    }
                    names.push(name);
                }
                for (n, (alarms, schedule, duration, timezone)) in mutes.into_iter().enumerate() {
                    let alarms: std::collections::BTreeSet<&String> =
                        alarms.iter().map(|at| at.get(&names)).collect();
                    put(format!(
                        "[mute_rules.m{n}]\nalarms = {}\nschedule = \"{schedule}\"\nduration = \"{duration}\"\n\
                         timezone = \"{timezone}\"\n",
                        json!(alarms)
                    ));
                }
                text
            },
        )
    }

    /// What alarms are on; the last table takes one more key.
    const FILTERS: &str = r#"version = 1
[metric_filters.plain]
log_group = "a/b"
pattern = "[ip, user, n]"
metric = { namespace = "N", name = "Plain", value = "$n", unit = "Count", default = 0 }
[metric_filters.by-user]
log_group = "a/b"
pattern = "[ip, user]"
metric = { namespace = "N", name = "ByUser", dimensions = { user = "$user" } }
[metric_filters.by-two]
log_group = "a/b"
pattern = "[ip, user]"
metric = { namespace = "N", name = "ByTwo", dimensions = { ip = "$ip", user = "$user" } }
[log_groups."a/b"]
[log_groups.c]
"#;

    /// An alarm that names what else nobody may.
    const FIRST: &str = r#"[alarms.first]
heartbeat = { log_group = "c" }
period = "5m"
notify = ["quiet", "night", "ops"]
"#;

    const AWS: &str = "[aws]\nname = \"shop\"\nregion = \"eu-central-1\"\n";

    const WHOLE: &str = r#"version = 1
[log_groups."shop/app"]
retention = "90d"
[topics.ops]
email = { to = ["a@example.com", "b@example.com"] }
sms = { to = ["+491701234567"] }
[topics.night]
email = { to = ["n@example.com"] }
[metric_filters.requests]
log_group = "shop/app"
pattern = ""
metric = { namespace = "Shop", name = "Requests", unit = "Count", default = 0 }
[metric_filters.by-ip]
log_group = "shop/app"
pattern = "[ip, user]"
metric = { namespace = "Shop", name = "ByIp", dimensions = { ip = "$ip", user = "$user" } }
[alarms.panic]
log_group = "shop/app"
pattern = "panic -test"
period = "60s"
severity = "critical"
runbook = "https://example.com/panic"
notify = ["ops"]
[alarms.ips]
metric_filter = "by-ip"
each = ["ip"]
dimensions = { user = "root" }
period = "5m"
condition = "> 3"
description = "Somebody tries.\nseverity: none"
notify = ["ops", "night"]
[alarms.ratio]
expression = "panics / requests * 100"
metrics.panics = { metric_filter = "requests", statistic = "Maximum" }
metrics.requests = { metric_filter = "requests" }
minimum = { requests = 20 }
period = "60s"
condition = ">= 1.5"
datapoints = "2 of 3"
notify = ["ops"]
[alarms.silent]
heartbeat = { log_group = "shop/app" }
period = "5m"
datapoints = "3 of 3"
notify = ["ops"]
[composite_alarms.bad]
rule = 'ALARM("panic") AND NOT OK(ratio)'
actions_suppressor = "silent"
actions_suppressor_wait_period = "60s"
actions_suppressor_extension_period = "90s"
severity = "info"
notify = ["night"]
[mute_rules.nights]
alarms = ["panic", "bad"]
schedule = "cron(0 22 * * *)"
duration = "8h"
timezone = "Europe/Berlin"
"#;

    #[track_caller]
    fn comes_back(text: &str) {
        let (template, resources) = rendered(&plan(&format!("{text}{AWS}")));
        let document = Document { name: "pipeline.json".to_owned(), text: template };
        let imported = import(&[document], &Parameters::new()).unwrap();
        let again = rendered(&plan(&format!("{}{AWS}", imported.text))).1;
        assert_eq!(again, resources, "{}", imported.text);
    }

    #[test]
    fn a_template_of_watchbell_comes_back_whole() {
        comes_back(WHOLE);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_rendered_imported_and_rendered_again_is_the_same(pairs in prop::collection::vec(pair(), 1..4)) {
            let mut text = "version = 1\n[log_groups.\"a/b\"]\n[topics.ops]\nemail = { to = [\"a@example.com\"] }\n".to_owned();
            let mut names = std::collections::BTreeSet::new();
            for (name, filter, alarm) in pairs {
                // AWS takes no shorter periods, and only ASCII in names of metrics.
                if name.is_ascii() && names.insert(name) {
                    text += &filter;
                    text += &alarm.replace("10s", "60s");
                }
            }
            prop_assume!(!names.is_empty());
            comes_back(&text);
        }

        #[test]
        fn a_whole_file_is_rendered_the_same_after_it_was_imported(text in whole()) {
            // One that can be put on AWS: else what is rendered would say nothing.
            let refused = |finding: &watchbell_aws::Finding| finding.gravity == watchbell_aws::Gravity::Refused;
            let findings = watchbell_aws::findings(&plan(&format!("{text}{AWS}")));
            let refused: Vec<_> = findings.into_iter().filter(refused).collect();
            prop_assert!(refused.is_empty(), "{:?}", refused);
            comes_back(&text);
        }

        #[test]
        fn what_aws_describes_of_a_plan_gives_the_plan(pairs in prop::collection::vec(pair(), 1..5)) {
            let mut text = "version = 1\n[log_groups.\"a/b\"]\n[topics.ops]\nconsole = {}\n".to_owned();
            let mut rule = Vec::new();
            let mut names = std::collections::BTreeSet::new();
            for (name, filter, alarm) in pairs {
                if names.insert(name.clone()) {
                    text += &filter;
                    text += &alarm;
                    rule.push(format!("ALARM({})", serde_json::to_string(&name).unwrap()));
                }
            }
            let rule = serde_json::to_string(&rule.join(" OR ")).unwrap();
            text.extend(["[composite_alarms.ALL]\nrule = ", &rule, "\nnotify = [\"ops\"]\n"]);
            let mut expected = plan(&text);
            // An empty description is as good as none.
            for alarm in expected.alarms.values_mut() {
                alarm.description.take_if(|description| description.is_empty());
            }
            let documents = described(&expected).map(|seen| Document { name: "x.json".to_owned(), text: seen.to_string() });
            let imported = import(&documents, &Parameters::new()).unwrap();
            prop_assert_eq!(plan(&imported.text), expected, "{}", imported.text);
        }

        #[test]
        fn any_text_is_imported_or_refused_with_its_line(text in "[ -~\n\t\\PC]{0,80}") {
            let property = format!("Resources:\n  F:\n    Type: AWS::Logs::MetricFilter\n    Properties: {text}");
            for text in [text, property] {
                let lines = text.split('\n').count() + 1;
                match import(&[Document { name: "x".to_owned(), text }], &Parameters::new()) {
                    Err(watchbell_aws::ImportError::Malformed { line, .. }) => prop_assert!(line <= lines),
                    Err(watchbell_aws::ImportError::Defect { reason }) => panic!("{reason}"),
                    _ => {}
                }
            }
        }
    }
}
