//! Detection and alerts: log groups, metric filters, alarms, topics, queues, the dashboard.

use crate::stack::Input;
use crate::template::Template;

pub(crate) fn render(input: Input<'_>) -> Template {
    let _ = (input.plan, input.files);
    Template::new(format!("{}: pipeline", input.aws.name))
}
