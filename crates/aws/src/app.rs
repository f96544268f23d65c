//! The application: instances, load balancer, scaling, maintenance.

use crate::stack::Input;
use crate::template::Template;

pub(crate) fn render(input: Input<'_>) -> Template {
    let _ = (input.plan, input.files);
    Template::new(format!("{}: app", input.aws.name))
}
