//! What happens to resources, as it happens: lines, and on a terminal what is under way below them.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use watchbell_notify::{visible, visible_cut};

use crate::aws::Event;
use crate::cli::say;

/// How long a reason may be, in characters.
const REASON_WIDTH: usize = 300;

/// Shows events on standard error.
pub(super) struct Progress {
    bar: ProgressBar,
    /// Resources that something is being done to.
    under_way: BTreeMap<String, String>,
}

impl Progress {
    pub(super) fn new() -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style =
            ProgressStyle::with_template("{spinner} {wide_msg}").expect("a template that is always the same");
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress { bar, under_way: BTreeMap::new() }
    }

    pub(super) fn tell(&mut self, event: &Event) {
        let name = format!("{} {}", event.stack, event.resource);
        if event.status.ends_with("_IN_PROGRESS") {
            self.under_way.insert(name, event.status.clone());
        } else {
            self.under_way.remove(&name);
        }
        let line = line(event);
        // In a pipe it draws nothing, and a line must come all the same.
        if self.bar.is_hidden() {
            say(&line);
        } else {
            self.bar.println(line);
        }
        let under_way: Vec<&str> = self.under_way.keys().map(String::as_str).collect();
        self.bar.set_message(under_way.join(", "));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn line(event: &Event) -> String {
    let reason = event
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!("  {}", visible_cut(reason, REASON_WIDTH)));
    let (stack, resource) = (visible(&event.stack), visible(&event.resource));
    format!("{stack}  {:<28} {resource} ({}){reason}", visible(&event.status), visible(&event.resource_type))
}
