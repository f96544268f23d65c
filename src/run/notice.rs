//! What `watchbell up` says in its own log about decisions that are no message to anybody.
//!
//! Said when the decision's entry comes by while the process runs; reading the journal after a start says nothing again.

use watchbell_functions::queue::Views;
use watchbell_model::{Correction, Datapoint, Decision, Dimensions, Plan, SeriesLimit, Timestamp};

/// Says what is to be said about `decision`.
pub fn say(decision: &Decision) {
    match decision {
        Decision::SeriesLimit(limit) => series_limit(limit),
        Decision::Correction(correction) => corrected(correction),
        // Told to those whom the alarm notifies.
        Decision::Transition(_) | Decision::Released { .. } => {}
    }
}

/// Says which of `queues` end with `plan` though they hold something.
pub fn dropped_queues(queues: &Views, plan: &Plan, now: Timestamp) {
    for (queue, view) in queues.dropped_by(plan) {
        let figures = view.figures(now);
        let messages = figures.visible + figures.in_flight;
        if messages + figures.dead > 0 {
            tracing::warn!(
                queue,
                messages,
                dead_letters = figures.dead,
                "the file has this queue no longer: what it held is gone from it, and stays in the journal and archive"
            );
        }
    }
}

fn series_limit(limit: &SeriesLimit) {
    // Values come from log text: as texts they are escaped in every form of the log.
    tracing::warn!(
        metric = format!("{}/{}", limit.metric.namespace, limit.metric.name),
        metric_filter = limit.filter,
        series_max = limit.series_max,
        refused = spell(&limit.refused),
        "a metric has series_max combinations of dimension values; events with other values count as (other): raise \
         series_max, or choose dimensions with fewer values"
    );
}

fn corrected(correction: &Correction) {
    tracing::info!(
        alarm = correction.alarm,
        dimensions = spell(&correction.dimensions),
        datapoint = %correction.after.start,
        before = value(&correction.before),
        after = value(&correction.after),
        "late events changed a datapoint that had been decided"
    );
}

fn value(datapoint: &Datapoint) -> String {
    datapoint.value.map_or_else(|| "missing".to_owned(), |value| value.to_string())
}

fn spell(dimensions: &Dimensions) -> String {
    dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use watchbell_model::{MetricName, Timestamp};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is said for people about `decision`.
    fn said(decision: &Decision) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber =
            tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time();
        tracing::subscriber::with_default(subscriber.with_target(false).finish(), || say(decision));
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_correction_names_the_alarm_the_datapoint_and_both_values() {
        let point = |value| Datapoint {
            start: Timestamp(60_000),
            value,
            samples: 0,
            breaching: false,
            estimated: false,
        };
        let correction = Correction {
            alarm: "errors".into(),
            dimensions: Dimensions::new(),
            before: point(None),
            after: point(Some(2.0)),
        };
        let line = said(&Decision::Correction(correction));
        assert_eq!(
            line,
            " INFO late events changed a datapoint that had been decided alarm=\"errors\" dimensions=\"\" \
             datapoint=1970-01-01T00:01:00.000Z before=\"missing\" after=\"2\"\n"
        );
    }

    #[test]
    fn log_text_in_a_refused_value_does_nothing_to_the_terminal() {
        let limit = SeriesLimit {
            metric: MetricName { namespace: "Ssh".into(), name: "Failed".into() },
            filter: "failed".into(),
            series_max: 2,
            refused: [("ip".to_owned(), "\u{1b}[2J\nERROR forged".to_owned())].into(),
        };
        let line = said(&Decision::SeriesLimit(limit));
        assert!(line.starts_with(" WARN a metric has series_max combinations"), "{line}");
        assert!(line.ends_with("refused=\"ip=\\u{1b}[2J\\nERROR forged\"\n"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
