//! What a deployment costs in a month, beside what it changes.

use std::fmt::Write as _;

use serde_json::{Value, json};
use watchbell_aws::cost::{Cost, currency, region};

use crate::aws::StackPlan;

/// Fixed costs as they are, and as they would be.
pub(super) struct Costs {
    before: Cost,
    after: Cost,
}

impl Costs {
    pub(super) fn of(plans: &[StackPlan]) -> Costs {
        Costs {
            before: Cost::of(plans.iter().filter_map(|plan| plan.old.as_ref())),
            after: Cost::of(plans.iter().filter_map(|plan| plan.new.as_ref())),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "currency": currency(), "region": region(), "as_of": self.after.as_of(), "unconfirmed": self.after.unconfirmed(),
            "change": self.after.monthly - self.before.monthly, "before": self.before, "after": self.after,
        })
    }

    pub(super) fn text(&self) -> String {
        let Costs { before, after } = self;
        let change = after.monthly - before.monthly;
        let mut text = format!(
            "a month: {} {:.2}, {change:+.2} (fixed costs at list prices of {} as of {}, {} of {} unconfirmed)\n",
            currency(),
            after.monthly,
            region(),
            after.as_of().unwrap_or("no date"),
            after.unconfirmed(),
            after.lines.len(),
        );
        for line in &after.lines {
            let mark = if line.price.confirmed { "" } else { "  unconfirmed" };
            let used_to = before.lines.iter().find(|old| old.price.item == line.price.item);
            let change = line.monthly - used_to.map_or(0.0, |old| old.monthly);
            let change = if change.abs() < 0.005 { String::new() } else { format!("  {change:+.2}") };
            writeln!(text, "  {:>9.2}  {}{change}{mark}", line.monthly, line.price.what)
                .expect("a string takes all");
        }
        for gone in before
            .lines
            .iter()
            .filter(|old| !after.lines.iter().any(|line| line.price.item == old.price.item))
        {
            writeln!(text, "  {:>9.2}  {}  {:+.2}", 0.0, gone.price.what, -gone.monthly)
                .expect("a string takes all");
        }
        if !after.unpriced.is_empty() {
            let unpriced: Vec<&str> = after.unpriced.iter().map(String::as_str).collect();
            writeln!(text, "  not in it, no price known: {}", unpriced.join(", "))
                .expect("a string takes all");
        }
        if !after.by_use.is_empty() {
            let prices = after.by_use.iter().map(|price| {
                let mark = if price.confirmed { "" } else { "?" };
                format!("{} {}/{}{mark}", price.what, price.price, price.unit)
            });
            writeln!(text, "  not in it, by use: {}", prices.collect::<Vec<_>>().join("; "))
                .expect("a string takes all");
        }
        text
    }
}
