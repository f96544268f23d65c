//! `watchbell schema`: the JSON Schema of the file, for editors.

use super::written;
use crate::{Failure, out};

pub(super) fn run() -> Result<(), Failure> {
    let schema = watchbell_config::schema();
    written(out::line(&serde_json::to_string_pretty(&schema).expect("a schema is JSON")))
}
