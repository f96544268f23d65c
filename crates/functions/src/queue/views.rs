//! Every queue of the plan in force.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchbell_model::{Entry, Offset, Plan, Record};

use super::messages;
use super::view::{Limits, Place, View, ViewSnapshot};

/// Every queue, by name. A fold of the journal's records.
///
/// A queue sees what is accepted after the plan that has it. It ends with the plan that has it no longer, and all that it
/// holds with it.
#[derive(Clone, Debug, Default)]
pub struct Views {
    views: BTreeMap<String, View>,
    /// Entries with the plans that were in force since the first message that is only counted; the newest at least.
    plans: Vec<Offset>,
}

/// The same as data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewsSnapshot {
    views: BTreeMap<String, ViewSnapshot>,
    plans: Vec<Offset>,
}

impl Views {
    /// Takes note of the next record.
    pub fn apply(&mut self, record: &Record) {
        match &record.entry {
            Entry::Batch(_) | Entry::Decisions(_) => {
                for view in self.views.values_mut() {
                    let messages = messages(record, view.rule());
                    view.enqueue(messages);
                }
            }
            Entry::Plan(plan) => self.replace_plan(record.offset, plan),
            Entry::Release(release) => {
                for view in self.views.values_mut() {
                    view.released(release.before);
                }
            }
            _ => {}
        }
        let Some(changes) = record.entry.queue_changes() else { return };
        // A queue that has just been taken out of the plan may still have changes on their way.
        let Some(view) = self.views.get_mut(&changes.queue) else { return };
        for (change, index) in changes.changes.iter().zip(0..) {
            view.apply(change, Place { entry: record.offset, change: index });
        }
    }

    fn replace_plan(&mut self, offset: Offset, plan: &Plan) {
        self.views.retain(|name, _| plan.queues.contains_key(name));
        for (name, rule) in &plan.queues {
            match self.views.get_mut(name) {
                Some(view) => view.replace_rule(rule.clone()),
                None => {
                    self.views.insert(name.clone(), View::new(rule.clone(), Limits::default()));
                }
            }
        }
        let needed = self.views.values().filter_map(View::beyond).min();
        let before = self.plans.iter().rposition(|plan| needed.is_some_and(|(from, _)| *plan <= from));
        self.plans.drain(..before.unwrap_or(if needed.is_some() { 0 } else { self.plans.len() }));
        self.plans.push(offset);
    }

    /// Queues that `plan` has no longer, though they hold something.
    pub fn dropped_by<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a str, &'a View)> {
        self.iter().filter(|(name, _)| !plan.queues.contains_key(*name))
    }

    /// One queue.
    pub fn get(&self, name: &str) -> Option<&View> {
        self.views.get(name)
    }

    /// One queue, to tell it what was read ahead.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut View> {
        self.views.get_mut(name)
    }

    /// Every queue, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &View)> {
        self.views.iter().map(|(name, view)| (name.as_str(), view))
    }

    /// The entry with the plan that was in force at `offset`.
    pub fn plan_at(&self, offset: Offset) -> Option<Offset> {
        self.plans.iter().rev().find(|plan| **plan <= offset).copied()
    }

    /// The oldest entry with a plan that is still asked for.
    pub fn oldest_plan(&self) -> Option<Offset> {
        self.plans.first().copied()
    }

    /// Whether some message of some queue, or its payload, stands in an entry before this one.
    pub fn need_before(&self, before: Offset) -> bool {
        self.views.values().any(|view| view.needs_before(before))
    }

    /// As data.
    pub fn snapshot(&self) -> ViewsSnapshot {
        let views = self.views.iter().map(|(name, view)| (name.clone(), view.snapshot())).collect();
        ViewsSnapshot { views, plans: self.plans.clone() }
    }

    /// Back from data.
    pub fn restore(snapshot: ViewsSnapshot) -> Views {
        let restored = |(name, view)| (name, View::restore(view, Limits::default()));
        Views { views: snapshot.views.into_iter().map(restored).collect(), plans: snapshot.plans }
    }
}
