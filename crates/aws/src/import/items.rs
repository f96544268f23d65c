//! What was found, put together: names that are told apart, and only what has everything that it mentions.

use std::collections::{BTreeMap, BTreeSet};

use watchbell_expression::{AlarmRule, evaluation_order};
use watchbell_model::{Alarm, GroupName, MetricFilter, MetricName, MuteRule, OwnMetric, Watched};

use super::found::{Found, Kind, Lost, Origin, Properties};
use super::topic::Told;
use super::{Counts, Remark, alarm, composite, describe, metric_filter, mute_rule, topic};

/// What the names of metric filters cannot begin with: Watchbell's own have it.
const OWN_FILTER: &str = "alarm/";

/// The kind of an item and its name.
pub(super) type Key = (Kind, String);

/// Something that is taken over.
#[derive(Clone, Debug)]
pub(super) struct Item<T> {
    pub(super) origin: Origin,
    /// What is different from what was found.
    pub(super) remarks: Vec<Remark>,
    /// Placeholders that may stand in it.
    assumed: Vec<(String, String)>,
    /// Whether no file has it, but something that is taken over needs it.
    is_made: bool,
    pub(super) what: T,
}

/// An alarm, and whether CloudWatch told its topics of OK.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ringing {
    pub(super) alarm: Alarm,
    tells_ok: bool,
}

/// Everything that is taken over, by name.
#[derive(Default)]
pub(super) struct Items {
    pub(super) groups: BTreeMap<GroupName, Item<Option<u32>>>,
    pub(super) filters: BTreeMap<String, Item<MetricFilter>>,
    pub(super) alarms: BTreeMap<String, Item<Ringing>>,
    pub(super) mute_rules: BTreeMap<String, Item<MuteRule>>,
    pub(super) topics: BTreeMap<String, Item<Vec<Told>>>,
    /// What is not, by its kind.
    pub(super) lost: Vec<(Kind, Remark)>,
}

impl<T> Item<T> {
    fn found(origin: Origin, assumed: Vec<(String, String)>, what: T) -> Item<T> {
        Item { origin, remarks: Vec::new(), assumed, is_made: false, what }
    }

    fn made(origin: Origin, what: T) -> Item<T> {
        Item { origin, remarks: Vec::new(), assumed: Vec::new(), is_made: true, what }
    }

    fn remark(&mut self, message: impl Into<String>, is_lost: bool) {
        let Origin { file, what } = self.origin.clone();
        let remark = Remark { file, what, message: message.into(), is_lost };
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

impl Items {
    /// Reads what was found; what cannot be read is lost.
    pub(super) fn new(found: Vec<Found>) -> Items {
        let mut items = Items::default();
        let mut subscriptions = Vec::new();
        for found in found {
            let (kind, origin) = (found.kind, found.origin.clone());
            if let Err(reason) = items.take(found, &mut subscriptions) {
                items.note_lost(kind, &origin, &reason);
            }
        }
        for (origin, name, told, remarks) in subscriptions {
            let new = || Item::found(origin.clone(), Vec::new(), Vec::new());
            let item = items.topics.entry(name).or_insert_with(new);
            item.what.push(told);
            item.remarks.extend(remarks);
        }
        for topic in items.topics.values_mut() {
            topic.what.sort();
            topic.what.dedup();
        }
        items
    }

    fn note_lost(&mut self, kind: Kind, origin: &Origin, reason: &str) {
        let Origin { file, what } = origin.clone();
        self.lost
            .push((kind, Remark { file, what, message: format!("not taken over: {reason}"), is_lost: true }));
    }

    fn take(
        &mut self,
        found: Found,
        subscriptions: &mut Vec<(Origin, String, Told, Vec<Remark>)>,
    ) -> Result<(), Lost> {
        let Found { kind, origin, id, properties, assumed } = found;
        let mut properties = Properties::new(properties);
        match kind {
            Kind::LogGroup => {
                let (name, retention) = metric_filter::log_group(&mut properties)?;
                let (mut item, name) = named(origin, assumed, name, &id, retention, "LogGroupName");
                finish(&mut item, properties, &metric_filter::silent());
                let name = GroupName::new(name).map_err(|error| error.to_string())?;
                self.groups.entry(name).or_insert(item);
            }
            Kind::MetricFilter => {
                let (name, filter) = metric_filter::read(&mut properties)?;
                let (mut item, name) = named(origin, assumed, name, &id, filter, "FilterName");
                finish(&mut item, properties, &describe::HISTORY);
                self.add_filter(&name, item)?;
            }
            Kind::Alarm | Kind::CompositeAlarm => {
                let read = match kind {
                    Kind::Alarm => alarm::read(&mut properties)?,
                    _ => composite::read(&mut properties)?,
                };
                let ringing = Ringing { alarm: read.alarm, tells_ok: read.tells_ok };
                let (mut item, name) = named(origin, assumed, read.name, &id, ringing, "AlarmName");
                finish(&mut item, properties, &alarm::silent());
                let first =
                    self.alarms.get(&name).map(|first| (first.what == item.what, first.origin.clone()));
                taken_once(first, "alarm", &name)?.then(|| self.alarms.insert(name, item));
            }
            Kind::MuteRule => {
                let (name, rule) = mute_rule::read(&mut properties)?;
                let (mut item, name) = named(origin, assumed, name, &id, rule, "Name");
                finish(&mut item, properties, &alarm::silent());
                let first =
                    self.mute_rules.get(&name).map(|first| (first.what == item.what, first.origin.clone()));
                taken_once(first, "mute rule", &name)?.then(|| self.mute_rules.insert(name, item));
            }
            Kind::Topic => {
                let (name, told) = topic::read(&mut properties)?;
                let (mut item, name) = named(origin, assumed, Some(name), &id, told, "TopicName");
                finish(
                    &mut item,
                    properties,
                    &[
                        "Tags",
                        "KmsMasterKeyId",
                        "DisplayName",
                        "SignatureVersion",
                        "TracingConfig",
                        "DataProtectionPolicy",
                        "ArchivePolicy",
                        "DeliveryStatusLogging",
                    ],
                );
                match self.topics.get_mut(&name) {
                    Some(topic) => topic.what.extend(item.what),
                    None => drop(self.topics.insert(name, item)),
                }
            }
            Kind::Subscription => {
                let (name, told) = topic::subscription(&mut properties)?;
                let mut item = Item::found(origin, assumed, ());
                let silent = [
                    "SubscriptionArn",
                    "Owner",
                    "RawMessageDelivery",
                    "DeliveryPolicy",
                    "RedrivePolicy",
                    "Region",
                    "SubscriptionRoleArn",
                    "ReplayPolicy",
                ];
                finish(&mut item, properties, &silent);
                subscriptions.push((item.origin, name, told, item.remarks));
            }
        }
        Ok(())
    }

    /// A name may be used once in each log group of AWS, and once here.
    fn add_filter(&mut self, name: &str, mut item: Item<MetricFilter>) -> Result<(), Lost> {
        let mut free = match name.strip_prefix(OWN_FILTER) {
            Some(rest) if item.what.metric.metric.namespace != super::text::PATTERN_NAMESPACE => {
                rest.to_owned()
            }
            _ => name.to_owned(),
        };
        let mut number = 1;
        while let Some(first) = self.filters.get(&free) {
            let is_same_place = first.what.log_group == item.what.log_group;
            if is_same_place {
                let first = Some((first.what == item.what, first.origin.clone()));
                taken_once(first, "metric filter of this log group", name)?;
                return Ok(());
            }
            number += 1;
            free = format!("{name}-{number}");
        }
        if free != name {
            item.remark(
                format!("it is called {free:?} here, not {name:?}: each name stands for one metric filter"),
                false,
            );
        }
        self.filters.insert(free, item);
        Ok(())
    }

    /// Leaves out what mentions something that is not there.
    pub(super) fn settle(&mut self) {
        // What the last round made is made anew, if it is still needed.
        self.groups.retain(|_, group| !group.is_made);
        self.topics.retain(|_, topic| !topic.is_made);
        self.lose_unpublished();
        self.lose_orphans();
        self.lose_circles();
        self.told_topics();
        self.muted_alarms();
        self.named_groups();
    }

    /// Alarms on metrics that no metric filter publishes.
    fn lose_unpublished(&mut self) {
        let published: BTreeSet<&MetricName> =
            self.filters.values().map(|filter| &filter.what.metric.metric).collect();
        let mut lost = Vec::new();
        for (name, item) in &self.alarms {
            let Some(alarm) = item.what.alarm.metric() else { continue };
            let is_foreign = |metric: &&MetricName| {
                metric.namespace != OwnMetric::NAMESPACE && !published.contains(*metric)
            };
            let stats = alarm.watched.stats();
            let foreign = stats.iter().map(|stat| &stat.metric).find(is_foreign);
            if let Some(MetricName { namespace, name: metric }) = foreign {
                let reason = format!("no metric filter in these files publishes {namespace} {metric}");
                lost.push((name.clone(), reason));
            }
        }
        for (name, reason) in lost {
            self.lose_alarm(&name, &reason);
        }
    }

    fn lose_alarm(&mut self, name: &str, reason: &str) {
        if let Some(item) = self.alarms.remove(name) {
            let kind = if item.what.alarm.composite().is_some() { Kind::CompositeAlarm } else { Kind::Alarm };
            self.note_lost(kind, &item.origin, reason);
        }
    }

    /// The alarms that each composite alarm needs.
    fn needs(&self) -> BTreeMap<&str, BTreeSet<String>> {
        let of = |item: &Item<Ringing>| {
            let composite = item.what.alarm.composite()?;
            let rule = AlarmRule::parse(&composite.rule).ok()?;
            Some(rule.names().iter().map(|reference| reference.name.clone()).collect())
        };
        self.alarms.iter().filter_map(|(name, item)| Some((name.as_str(), of(item)?))).collect()
    }

    /// Composite alarms whose rules name alarms that are not there; and those that name them, in turn.
    fn lose_orphans(&mut self) {
        let needs = self.needs();
        let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (user, needed) in &needs {
            for name in needed {
                users.entry(name.as_str()).or_default().push(user);
            }
        }
        let mut gone: Vec<&str> =
            users.keys().copied().filter(|name| !self.alarms.contains_key(*name)).collect();
        let mut lost: BTreeMap<String, String> = BTreeMap::new();
        while let Some(name) = gone.pop() {
            for user in users.get(name).into_iter().flatten() {
                if !lost.contains_key(*user) {
                    lost.insert(
                        (*user).to_owned(),
                        format!("its rule names alarm {name:?}, which is not taken over"),
                    );
                    gone.push(user);
                }
            }
        }
        for (name, reason) in lost {
            self.lose_alarm(&name, &reason);
        }
        let there: BTreeSet<String> = self.alarms.keys().cloned().collect();
        for item in self.alarms.values_mut() {
            let watchbell_model::AlarmKind::Composite(composite) = &mut item.what.alarm.kind else {
                continue;
            };
            if let Some(suppressor) = composite.suppressor.take_if(|it| !there.contains(&it.alarm)) {
                let message = format!(
                    "alarm {:?}, which held its messages back, is not taken over: nothing holds them back",
                    suppressor.alarm
                );
                item.remark(message, true);
            }
        }
    }

    fn lose_circles(&mut self) {
        loop {
            let needs = self.needs();
            let graph =
                needs.iter().map(|(name, used)| (*name, used.iter().map(String::as_str).collect())).collect();
            let Err(circle) = evaluation_order(&graph) else { return };
            let circle: Vec<String> = circle.into_iter().map(str::to_owned).collect();
            for name in &circle {
                self.lose_alarm(
                    name,
                    &format!("composite alarms name each other in a circle: {}", circle.join(", ")),
                );
            }
            self.lose_orphans();
        }
    }

    /// Topics that some alarm tells; those that the files do not have are made, the others are left out.
    fn told_topics(&mut self) {
        let mut told: BTreeMap<&str, &Origin> = BTreeMap::new();
        for item in self.alarms.values() {
            for topic in &item.what.alarm.notify {
                told.entry(topic).or_insert(&item.origin);
            }
        }
        for (topic, origin) in &told {
            let new = || Item::made((*origin).clone(), Vec::new());
            self.topics.entry((*topic).to_owned()).or_insert_with(new);
        }
        let told: BTreeSet<String> = told.into_keys().map(str::to_owned).collect();
        let untold: Vec<String> = self.topics.keys().filter(|name| !told.contains(*name)).cloned().collect();
        for name in untold {
            if let Some(item) = self.topics.remove(&name) {
                self.note_lost(Kind::Topic, &item.origin, "no alarm here tells it");
            }
        }
        for item in self.topics.values_mut().filter(|item| item.what.is_empty()) {
            let Origin { file, what } = item.origin.clone();
            let what = if what.starts_with("topic ") { what } else { format!("a topic that {what} tells") };
            let message = "who gets its messages is not known: a console is written instead".to_owned();
            let remark = Remark { file, what, message, is_lost: true };
            if !item.remarks.contains(&remark) {
                item.remarks.push(remark);
            }
        }
    }

    fn muted_alarms(&mut self) {
        let mut lost = Vec::new();
        for (name, item) in &mut self.mute_rules {
            let all = std::mem::take(&mut item.what.alarms);
            for alarm in all {
                if self.alarms.contains_key(&alarm) {
                    item.what.alarms.push(alarm);
                } else {
                    item.remark(format!("alarm {alarm:?} is left out of it, for it is not taken over"), true);
                }
            }
            if item.what.alarms.is_empty() {
                lost.push(name.clone());
            }
        }
        for name in lost {
            self.lose(&(Kind::MuteRule, name), "none of its alarms is taken over");
        }
    }

    /// Log groups that something here names.
    fn named_groups(&mut self) {
        let mut named: BTreeMap<GroupName, Origin> = BTreeMap::new();
        for filter in self.filters.values() {
            named.entry(filter.what.log_group.clone()).or_insert_with(|| filter.origin.clone());
        }
        for item in self.alarms.values() {
            let stats = item.what.alarm.metric().map(|alarm| alarm.watched.stats()).unwrap_or_default();
            for group in stats.iter().filter_map(|stat| stat.dimensions.get(OwnMetric::LOG_GROUP)) {
                let group = GroupName::new(group.clone()).ok();
                group.map(|group| named.entry(group).or_insert_with(|| item.origin.clone()));
            }
        }
        let unnamed: Vec<GroupName> =
            self.groups.keys().filter(|name| !named.contains_key(*name)).cloned().collect();
        for name in unnamed {
            if let Some(item) = self.groups.remove(&name) {
                self.note_lost(Kind::LogGroup, &item.origin, "no metric filter or alarm here names it");
            }
        }
        for (name, origin) in named {
            self.groups.entry(name).or_insert(Item::made(origin, None));
        }
    }

    /// Takes an item out, and says why; whether it was there.
    pub(super) fn lose(&mut self, key: &Key, reason: &str) -> bool {
        let (kind, name) = key;
        let origin = match kind {
            Kind::LogGroup => {
                let group = GroupName::new(name.clone()).ok();
                let Some((group, item)) = group.and_then(|group| self.groups.remove_entry(&group)) else {
                    return false;
                };
                if item.is_made {
                    self.lose_users_of(&group, reason);
                    return true;
                }
                Some(item.origin)
            }
            Kind::MetricFilter => self.filters.remove(name).map(|item| item.origin),
            Kind::Alarm | Kind::CompositeAlarm => self.alarms.remove(name).map(|item| item.origin),
            Kind::MuteRule => self.mute_rules.remove(name).map(|item| item.origin),
            Kind::Topic | Kind::Subscription => {
                let item = self.topics.remove(name);
                if item.as_ref().is_some_and(|item| item.is_made) {
                    self.tell_no_more(name, reason);
                    return true;
                }
                item.map(|item| item.origin)
            }
        };
        if let Some(origin) = &origin {
            self.note_lost(*kind, origin, reason);
        }
        origin.is_some()
    }

    /// Metric filters and alarms of a log group that cannot be made: it would be made for them again and again.
    fn lose_users_of(&mut self, group: &GroupName, reason: &str) {
        let filters = self.filters.iter().filter(|(_, item)| item.what.log_group == *group);
        let filters = filters.map(|(name, _)| (Kind::MetricFilter, name.clone()));
        let is_of_group = |item: &Item<Ringing>| {
            let stats = item.what.alarm.metric().map(|alarm| alarm.watched.stats()).unwrap_or_default();
            let mut groups = stats.iter().filter_map(|stat| stat.dimensions.get(OwnMetric::LOG_GROUP));
            groups.any(|name| name == group.as_str())
        };
        let alarms = self.alarms.iter().filter(|(_, item)| is_of_group(item));
        let alarms = alarms.map(|(name, _)| (Kind::Alarm, name.clone()));
        for user in filters.chain(alarms).collect::<Vec<Key>>() {
            self.lose(&user, reason);
        }
    }

    /// A topic that cannot be made: it would be made for the alarms that tell it again and again.
    fn tell_no_more(&mut self, topic: &str, reason: &str) {
        for item in self.alarms.values_mut() {
            let notify = &mut item.what.alarm.notify;
            if let Some(at) = notify.iter().position(|told| told == topic) {
                notify.remove(at);
                item.remark(format!("topic {topic:?} is not told: {reason}"), true);
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            log_groups: self.groups.len(),
            metric_filters: self.filters.len(),
            alarms: self.alarms.len(),
            mute_rules: self.mute_rules.len(),
            topics: self.topics.len(),
        }
    }

    /// Alarms whose topics Watchbell tells of OK, which CloudWatch did not.
    pub(super) fn newly_told_of_ok(&self) -> usize {
        self.alarms.values().filter(|item| !item.what.tells_ok && !item.what.alarm.notify.is_empty()).count()
    }

    /// All that is to be said.
    pub(super) fn remarks(&self) -> Vec<Remark> {
        let groups = self.groups.values().flat_map(|item| &item.remarks);
        let filters = self.filters.values().flat_map(|item| &item.remarks);
        let alarms = self.alarms.values().flat_map(|item| &item.remarks);
        let mute_rules = self.mute_rules.values().flat_map(|item| &item.remarks);
        let topics = self.topics.values().flat_map(|item| &item.remarks);
        let kept = groups.chain(filters).chain(alarms).chain(mute_rules).chain(topics);
        kept.chain(self.lost.iter().map(|(_, remark)| remark)).cloned().collect()
    }

    /// Statistics of alarms name a metric by its filter where only one publishes it.
    pub(super) fn only_filter_of(&self) -> BTreeMap<&MetricName, Option<&str>> {
        let mut filters: BTreeMap<&MetricName, Option<&str>> = BTreeMap::new();
        for (name, filter) in &self.filters {
            let only = filters.entry(&filter.what.metric.metric).or_insert(Some(name));
            if *only != Some(name) {
                *only = None;
            }
        }
        filters
    }
}

/// An item with its name: the one that a property says, or the id.
fn named<T>(
    origin: Origin,
    assumed: Vec<(String, String)>,
    name: Option<String>,
    id: &str,
    what: T,
    property: &str,
) -> (Item<T>, String) {
    let mut item = Item::found(origin, assumed, what);
    let name = name.unwrap_or_else(|| {
        item.remark(format!("it has no {property}: it is called {id:?} here"), false);
        id.to_owned()
    });
    (item, name)
}

/// Notes what the reader said, and each property that it did not take.
fn finish<T>(item: &mut Item<T>, properties: Properties, silent: &[&str]) {
    for message in properties.finish(silent) {
        item.remark(message, true);
    }
}

/// Whether something of that name is new; the same once more is nothing, another one is lost.
fn taken_once(first: Option<(bool, Origin)>, noun: &str, name: &str) -> Result<bool, Lost> {
    match first {
        None => Ok(true),
        Some((true, _)) => Ok(false),
        Some((false, first)) => Err(format!("{} has another {noun} that is called {name:?}", first.file)),
    }
}

impl<T> Item<T> {
    /// The placeholders that stand in its table, whose header begins with its kind and a dot.
    pub(super) fn assumptions(&self, body: &str) -> Vec<Remark> {
        let (_, text) = body.split_once('.').unwrap_or(("", body));
        let standing = self.assumed.iter().filter(|(_, value)| text.contains(value.as_str()));
        let Origin { file, what } = &self.origin;
        let remark = |(name, value): &(String, String)| Remark {
            file: file.clone(),
            what: what.clone(),
            message: format!("{name} is taken to be {value:?}: --parameter {name}=VALUE says otherwise"),
            is_lost: false,
        };
        standing.map(remark).collect()
    }
}

/// Whether all its statistics are of metrics with the same name as the alarm: then it is written as one on a pattern.
pub(super) fn own_pattern<'i>(items: &'i Items, name: &str, watched: &Watched) -> Option<&'i MetricFilter> {
    let Watched::Stat(stat) = watched else { return None };
    let is_own = stat.metric.namespace == super::text::PATTERN_NAMESPACE && stat.metric.name == name;
    let filter = items.filters.get(&format!("{OWN_FILTER}{name}"))?;
    (is_own && filter.what.metric.metric == stat.metric && stat.dimensions.is_empty() && stat.unit.is_none())
        .then_some(&filter.what)
}
