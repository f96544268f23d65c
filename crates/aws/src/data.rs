//! What outlives everything else: the key, the archive's bucket, the trail and secrets.

use crate::stack::Input;
use crate::template::Template;

pub(crate) fn render(input: Input<'_>) -> Template {
    let _ = (input.plan, input.files);
    Template::new(format!("{}: data", input.aws.name))
}
