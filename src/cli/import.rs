//! `watchbell import`: alarms that exist on AWS as a `watchbell.toml`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use watchbell_aws::{
    Counts, DOCUMENT_BYTES_MAX, Document, ImportError, Imported, Parameters, Remark, import,
};

use super::init::{in_the_way, store};
use super::{Format, Global, finding, printable, say, written};
use crate::{ExitStatus, Failure, out};

/// Makes a watchbell.toml of metric filters and alarms that exist on AWS.
#[derive(Args)]
#[command(after_help = "Examples:\n  watchbell import template.yaml -o watchbell.toml\n  \
                        watchbell import template.yaml --parameter Environment=prod\n  \
                        aws logs describe-metric-filters > filters.json\n  \
                        aws cloudwatch describe-alarms --alarm-types MetricAlarm CompositeAlarm > alarms.json\n  \
                        watchbell import filters.json alarms.json\n\n\
                        Several files are put together. What is not taken over is said, and stands in the file as a\n\
                        comment. Exit code 0 if something was, 1 if nothing.")]
pub(super) struct Options {
    /// CloudFormation templates, or output of the AWS CLI, in JSON or YAML; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What a parameter of a template is, or `AWS::Region`, or a resource's name
    #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Where the file goes; by default, and with -, to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let target = options.output.as_deref().filter(|output| *output != Path::new("-"));
    // Before the work, not after it; the write itself looks again.
    if let Some(target) = target
        && target.exists()
        && !options.force
    {
        return Err(in_the_way(target));
    }
    let documents = options.files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let parameters: Parameters = options.parameters.iter().cloned().collect();
    let imported = import(&documents, &parameters).map_err(|error| failure(&error))?;
    if global.format == Format::Text {
        for line in told(&imported) {
            say(&printable(&line));
        }
    }
    let is_nothing = imported.counts.is_nothing();
    if let Some(target) = target.filter(|_| !is_nothing) {
        store(target, &imported.text, options.force)?;
    }
    if global.format == Format::Text {
        say(&printable(&summary(imported.counts, target)));
    }
    match global.format {
        Format::Json => written(out::line(&report(&imported, target).to_string()))?,
        Format::Text if target.is_none() && !is_nothing => written(out::text(&imported.text))?,
        Format::Text => {}
    }
    if is_nothing { Err(finding()) } else { Ok(()) }
}

fn read(path: &Path) -> Result<Document, Failure> {
    let name =
        if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy().into_owned() };
    let failed = |error: std::io::Error| Failure::io(&name, &error);
    let mut bytes = Vec::new();
    // One byte more than is read tells that there is more.
    let bytes_max = DOCUMENT_BYTES_MAX as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(bytes_max).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        std::fs::File::open(path).map_err(failed)?.take(bytes_max).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() > DOCUMENT_BYTES_MAX {
        let message =
            format!("{name}: more than the {} MiB that are read", DOCUMENT_BYTES_MAX / (1024 * 1024));
        return Err(Failure::new(ExitStatus::Configuration, message).help("split it"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(ExitStatus::Configuration, format!("{name}: byte {at} is not UTF-8"))
    })?;
    Ok(Document { name, text })
}

fn failure(error: &ImportError) -> Failure {
    let message = printable(&error.to_string());
    match error {
        ImportError::Defect { .. } => Failure::new(ExitStatus::Defect, message),
        ImportError::Unknown { .. } => Failure::new(ExitStatus::Configuration, message).help(
            "name a template with Resources, or the output of aws logs describe-metric-filters, \
             aws logs describe-log-groups, aws cloudwatch describe-alarms or aws sns list-subscriptions",
        ),
        ImportError::TooMuch => {
            Failure::new(ExitStatus::Configuration, message).help("import fewer files at a time")
        }
        ImportError::Malformed { .. } => Failure::new(ExitStatus::Configuration, message),
    }
}

/// What is lost, then what is only otherwise, each file by itself; what is said of many is said once.
fn told(imported: &Imported) -> Vec<String> {
    let mut about: BTreeMap<(&str, bool, &str), Vec<&str>> = BTreeMap::new();
    for Remark { file, what, message, is_lost } in &imported.remarks {
        about.entry((file, !is_lost, message)).or_default().push(what);
    }
    let line = |((file, is_note, message), whats): ((&str, bool, &str), Vec<&str>)| {
        format!("{}{file}: {}: {message}", if is_note { "note: " } else { "" }, whats.join(", "))
    };
    let unasked = imported.unasked.iter();
    let unasked = unasked.map(|name| format!("note: --parameter {name}: nothing in these files asks for it"));
    about.into_iter().map(line).chain(unasked).collect()
}

fn summary(counts: Counts, target: Option<&Path>) -> String {
    if counts.is_nothing() {
        return "imported nothing: no metric filter and no alarm is taken over".to_owned();
    }
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let into = target.map_or_else(String::new, |target| format!(" into {}", target.display()));
    format!(
        "imported {}, {}, {}, {}, {}{into}",
        count(counts.log_groups, "log group"),
        count(counts.metric_filters, "metric filter"),
        count(counts.alarms, "alarm"),
        count(counts.mute_rules, "mute rule"),
        count(counts.topics, "topic"),
    )
}

fn report(imported: &Imported, target: Option<&Path>) -> Value {
    let Counts { log_groups, metric_filters, alarms, mute_rules, topics } = imported.counts;
    let remark = |remark: &Remark| {
        json!({
            "file": remark.file, "what": remark.what, "message": remark.message, "lost": remark.is_lost,
        })
    };
    let mut report = json!({
        "imported": {
            "log_groups": log_groups, "metric_filters": metric_filters, "alarms": alarms,
            "mute_rules": mute_rules, "topics": topics,
        },
        "remarks": imported.remarks.iter().map(remark).collect::<Vec<_>>(),
        "unasked_parameters": imported.unasked,
    });
    match target {
        _ if imported.counts.is_nothing() => {}
        Some(target) => report["file"] = json!(target.to_string_lossy()),
        None => report["text"] = json!(imported.text),
    }
    report
}
