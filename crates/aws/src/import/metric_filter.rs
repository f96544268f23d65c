//! Metric filters and the log groups that they name.

use std::collections::BTreeMap;

use watchbell_model::{GroupName, MetricFilter, MetricName, MetricTransformation, SERIES_MAX_DEFAULT, Unit};

use super::describe::HISTORY;
use super::found::{Lost, Properties};
use super::node::Node;

/// Reads a metric filter; its name, if a property says it.
pub(super) fn read(properties: &mut Properties) -> Result<(Option<String>, MetricFilter), Lost> {
    let name = properties.text("FilterName")?;
    let log_group = properties.need_text("LogGroupName")?;
    let log_group = GroupName::new(log_group).map_err(|error| error.to_string())?;
    let pattern = properties.text("FilterPattern")?.unwrap_or_default();
    let transformations = properties.items("MetricTransformations")?;
    let [Node::Map(transformation)] = &transformations[..] else {
        return Err(format!("it has {} metric transformations, not one", transformations.len()));
    };
    for (key, what) in [
        ("FieldSelectionCriteria", "it looks at events of some accounts or regions only"),
        ("EmitSystemFieldDimensions", "its metric has dimensions that only AWS knows"),
    ] {
        if !properties.items(key)?.is_empty() {
            return Err(format!("{what} ({key})"));
        }
    }
    if properties.flag("ApplyOnTransformedLogs", false)? {
        return Err("it looks at events as a log transformer leaves them (ApplyOnTransformedLogs)".to_owned());
    }
    let mut inner = Properties::new(transformation.clone());
    let metric = transformed(&mut inner)?;
    properties.remarks.extend(inner.finish(&[]));
    Ok((name, MetricFilter { log_group, pattern, metric }))
}

fn transformed(properties: &mut Properties) -> Result<MetricTransformation, Lost> {
    let metric = MetricName {
        namespace: properties.need_text("MetricNamespace")?,
        name: properties.need_text("MetricName")?,
    };
    let value = properties.need_text("MetricValue")?;
    let dimensions: BTreeMap<String, String> = properties.pairs("Dimensions", "Key")?.into_iter().collect();
    Ok(MetricTransformation {
        metric,
        value,
        default: properties.number("DefaultValue")?,
        unit: properties.parsed::<Unit>("Unit")?.unwrap_or_default(),
        dimensions,
        series_max: SERIES_MAX_DEFAULT,
    })
}

/// Reads a log group: its name, if a property says it, and how many days it keeps events.
pub(super) fn log_group(properties: &mut Properties) -> Result<(Option<String>, Option<u32>), Lost> {
    let name = properties.text("LogGroupName")?;
    let retention_days = properties.whole("RetentionInDays").unwrap_or_else(|reason| {
        properties.remark(reason);
        None
    });
    Ok((name, retention_days))
}

/// What says nothing about what is imported.
pub(super) fn silent() -> Vec<&'static str> {
    // Whether AWS encrypts, classifies or forwards what it stores is nothing that alarms depend on.
    let ours = ["Tags", "DataProtectionPolicy", "FieldIndexPolicies", "ResourcePolicyDocument"];
    let more = ["DeletionProtectionEnabled", "BearerTokenAuthenticationEnabled"];
    HISTORY.into_iter().chain(ours).chain(more).collect()
}
