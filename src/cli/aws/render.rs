//! `watchbell aws render`: the templates.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use watchbell_aws::{Part, Stack};

use super::OnAws;
use crate::cli::{Global, say, written};
use crate::{ExitStatus, Failure, out};

pub(super) fn run(global: &Global, folder: Option<&Path>, part: Option<Part>) -> Result<(), Failure> {
    let mut stacks = OnAws::read(global)?.stacks()?;
    if let Some(part) = part {
        stacks.retain(|stack| stack.part == part);
        if stacks.is_empty() {
            let failure = Failure::new(ExitStatus::Usage, format!("the plan has no stack \"{part}\""));
            return Err(failure.help("network and app come with a [fleet]"));
        }
    }
    if let Some(folder) = folder {
        return write(&stacks, folder);
    }
    let all: Map<String, Value> =
        stacks.iter().map(|stack| (stack.name.clone(), stack.template.to_value())).collect();
    written(out::text(&format!("{:#}\n", Value::Object(all))))
}

fn write(stacks: &[Stack], folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::io(folder.display(), &error))?;
    for stack in stacks {
        let path = folder.join(format!("{}.json", stack.name));
        fs::write(&path, stack.template.to_text()).map_err(|error| Failure::io(path.display(), &error))?;
        say(&format!("{}: {} resources", path.display(), stack.template.resources().count()));
    }
    Ok(())
}
