//! What of a plan's file the agent on an instance reads: the rest would have instances replaced for every change of an alarm.

use toml::{Table, Value};

/// Tables and keys that are its own.
const KEPT: [&str; 6] = ["version", "data_dir", "log_groups", "redaction", "agent", "aws"];

/// Of `[aws]`.
const KEPT_OF_AWS: [&str; 3] = ["name", "region", "endpoint"];

/// Where the unit lets the agent write, whatever the file says of other machines.
const DATA_DIR: &str = "/var/lib/watchbell";

/// The file with these only, in the order of their names and without comments.
pub(super) fn agent_file(file: &str) -> String {
    let mut table: Table = file.parse().expect("a plan came of it");
    table.retain(|key, _| KEPT.contains(&key));
    table.insert("data_dir".to_owned(), Value::String(DATA_DIR.to_owned()));
    if let Some(Value::Table(aws)) = table.get_mut("aws") {
        aws.retain(|key, _| KEPT_OF_AWS.contains(&key));
    }
    toml::to_string(&table).expect("it was TOML before")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use watchbell_config::{Source, check};

    use super::*;

    #[test]
    fn the_agent_reads_the_same_of_it_and_a_threshold_changes_nothing() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/aws");
        let text = std::fs::read_to_string(folder.join("watchbell.toml")).unwrap();
        let plan =
            |text: &str| check(&Source { name: "watchbell.toml", text, folder: &folder }).plan.unwrap();
        let (whole, reduced) = (plan(&text), plan(&agent_file(&text)));
        assert_eq!(reduced.log_groups, whole.log_groups);
        assert_eq!((&reduced.redaction, &reduced.agent), (&whole.redaction, &whole.agent));
        assert_eq!(reduced.data_dir, DATA_DIR);
        let region = |plan: &watchbell_model::Plan| {
            plan.aws.as_ref().map(|aws| (aws.name.clone(), aws.region.clone()))
        };
        assert_eq!(region(&reduced), region(&whole));
        assert!(reduced.alarms.is_empty() && reduced.fleet.is_empty());
        let changed = text.replace("condition = \">= 5\"", "condition = \">= 6\"");
        assert_ne!(changed, text);
        assert_eq!(agent_file(&changed), agent_file(&text));
    }
}
