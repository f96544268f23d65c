//! The whole file, and the keys that stand alone.

use toml::de::{DeTable, DeValue};
use watchbell_model::Plan;

use crate::metric_filter::Quotas;
use crate::names::Names;
use crate::problem::Problem;
use crate::reader::{Context, Field, Table};
use crate::test_case::{Known, TestCase};
use crate::{
    access, agent, alarm, archive, aws, composite, fleet, function, http, journal, log_group, maintenance,
    metric_filter, mute, path, queue, redaction, secret, test_case, topic,
};

/// The version of the file's format that this version of Watchbell reads.
const VERSION: &str = "1";
/// Used if `data_dir` is absent.
const DATA_DIR_DEFAULT: &str = "./data";

/// The plan, or `None` with problems noted, and the tests beside it. Also a plan may come with errors noted; it must not
/// be used then.
pub(crate) fn read<'a>(context: &'a Context<'a>, document: &'a DeTable<'a>) -> (Option<Plan>, Vec<TestCase>) {
    let mut root = Table::root(context, document);
    let tests = test_case::read(&mut root, &Known::of(document));
    (read_plan(root, document), tests)
}

fn read_plan<'a>(mut root: Table<'a>, document: &'a DeTable<'a>) -> Option<Plan> {
    let context = root.context;
    let log_group_names = Names::of(document, "log_groups", "log group");
    let filter_names = Names::of(document, "metric_filters", "metric filter");
    let alarm_names = Names::of(document, "alarms", "alarm");
    let composite_names = Names::of(document, "composite_alarms", "composite alarm");
    let topic_names = Names::of(document, "topics", "topic");
    let queue_names = Names::of(document, "queues", "queue");
    let fleet_names = Names::of(document, "fleet", "fleet");
    let role_names = Names::of(document, "roles", "role");

    check_version(&mut root);
    let data_dir = data_dir(&mut root);
    let http = http::read(&mut root, document);
    let redaction = redaction::read(&mut root);
    let log_groups = log_group::read(&mut root);
    let mut quotas = Quotas::default();
    let mut filters = metric_filter::read(&mut root, &log_group_names, &mut quotas);
    let queues = queue::read(&mut root, &log_groups);
    let takes_lines =
        queues.iter().map(|(name, queue)| (name.clone(), !queue.log_groups.is_empty())).collect();
    let mentions = function::Mentions { queues: &queue_names, groups: &log_group_names, takes_lines };
    let functions = function::read(&mut root, &mentions, &mut filters);
    let in_rules = composite::mentioned(document);
    let mentions = alarm::Mentions {
        filters: &filters,
        filter_names: &filter_names,
        group_names: &log_group_names,
        topic_names: &topic_names,
        in_rules: &in_rules,
    };
    let mut alarms = alarm::read(&mut root, &mentions, &mut quotas);
    quotas.finish(context);
    let mentions = composite::Mentions {
        alarms: &alarm_names,
        composites: &composite_names,
        topics: &topic_names,
        in_rules: &in_rules,
    };
    composite::read(&mut root, &mentions, &mut alarms);
    let every_name: Vec<String> =
        alarm_names.iter().chain(composite_names.iter()).map(str::to_owned).collect();
    let mute_rules = mute::read(&mut root, &every_name);
    filters.plan.append(&mut alarms.filters);
    let fleet = fleet::read(&mut root, http.as_ref().map(|http| http.listen));
    let maintenance = maintenance::read(&mut root);
    let aws = aws::read(&mut root, &fleet_names, &topic_names, &mut alarms.told);
    let topics = topic::read(&mut root, &alarms.told);
    let access = access::read(&mut root, &role_names);
    let agent = agent::read(&mut root);
    let archive = archive::read(&mut root, data_dir.as_deref(), context.is_on_aws);
    let journal = journal::read(&mut root);
    let mut secrets = secret::read_stored(&mut root);
    for name in context.stored() {
        secrets.entry(name).or_default();
    }
    root.finish();

    Some(Plan {
        file: context.source.name.to_owned(),
        data_dir: data_dir?,
        http: http?,
        log_groups,
        redaction: redaction?,
        metric_filters: filters.plan,
        alarms: alarms.plan,
        mute_rules,
        topics,
        queues,
        functions,
        access,
        agent: agent?,
        archive: Some(archive?),
        journal: journal?,
        fleet,
        maintenance,
        secrets,
        aws: aws?,
    })
}

fn check_version(root: &mut Table<'_>) {
    let Some(field) = root.need("version") else { return };
    match field.value() {
        DeValue::Integer(integer) if integer.radix() == 10 && integer.as_str() == VERSION => {}
        DeValue::Integer(integer) => field.refuse(
            format!("version {integer} of the file's format is not known to this version of Watchbell"),
            format!("this version reads version = {VERSION}"),
        ),
        _ => field.mismatch(),
    }
}

fn data_dir(root: &mut Table<'_>) -> Option<String> {
    if let Some(field) = root.field("data_dir") {
        return absolute_path(&field, field.text()?.value);
    }
    path::absolute(root.context.source.folder, DATA_DIR_DEFAULT)
        .map_err(|reason| root.context.report(Problem::error(0..0, format!("data_dir's default {reason}"))))
        .ok()
}

/// The path that a field holds, absolute; what is wrong with it is noted.
pub(crate) fn absolute_path(field: &Field<'_>, text: &str) -> Option<String> {
    let refuse = |reason| {
        let message = format!("{} {reason}", field.title());
        field.refuse(message, "write a path, absolute or relative to this file");
    };
    path::absolute(field.context.source.folder, text).map_err(refuse).ok()
}
