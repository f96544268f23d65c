//! The virtual private cloud that a fleet is in.

use crate::stack::Input;
use crate::template::Template;

pub(crate) fn render(input: Input<'_>) -> Template {
    let _ = (input.plan, input.files);
    Template::new(format!("{}: network", input.aws.name))
}
