//! What is made of an event that has come through the steps.

use watchbell_model::{
    DIMENSION_VALUE_BYTES_MAX, Dimensions, MetricTransformation, Raise, RaiseTo, SAMPLE_MAX, Sample,
};
use watchbell_pattern::{Line, Pattern, PatternError, Selector, number};

/// A pattern for JSON: selectors of a metric that every event raises are read for it.
const ANY_JSON: &str = "{ $.x = * }";

/// What is raised of an event that matches, ready.
pub(super) enum Ready {
    Event,
    Metric(Box<Metric>),
}

/// A metric that gets a value, ready.
pub(super) struct Metric {
    written: MetricTransformation,
    /// `None` for a literal value.
    value: Option<Selector>,
    dimensions: Vec<(String, Selector)>,
}

impl Ready {
    /// With the pattern that events are to match.
    pub(super) fn new(raise: &Raise) -> Result<(Pattern, Ready), PatternError> {
        let when = Pattern::parse(&raise.when)?;
        let RaiseTo::Metric(written) = &raise.to else { return Ok((when, Ready::Event)) };
        let any_json = Pattern::parse(ANY_JSON).expect("a correct pattern");
        let lines_up = if raise.when.is_empty() { &any_json } else { &when };
        let value = match written.literal_value() {
            Some(_) => None,
            None => Some(Selector::parse(&written.value, lines_up)?),
        };
        let dimension =
            |(name, selector): (&String, &String)| Ok((name.clone(), Selector::parse(selector, lines_up)?));
        let dimensions = written.dimensions.iter().map(dimension).collect::<Result<_, PatternError>>()?;
        Ok((when, Ready::Metric(Box::new(Metric { written: written.clone(), value, dimensions }))))
    }
}

impl Metric {
    /// The value; as with a metric filter there is none if a selector finds nothing or no number.
    pub(super) fn sample(&self, line: &Line<'_>) -> Option<Sample> {
        let value = match &self.value {
            None => self.written.literal_value(),
            Some(selector) => number(&selector.value_in(line)?),
        };
        let dimension = |(name, selector): &(String, Selector)| {
            let value = selector.value_in(line).filter(|value| !value.is_empty())?;
            let end = value.floor_char_boundary(DIMENSION_VALUE_BYTES_MAX);
            Some((name.clone(), value[..end].to_owned()))
        };
        Some(Sample {
            metric: self.written.metric.clone(),
            dimensions: self.dimensions.iter().map(dimension).collect::<Option<Dimensions>>()?,
            unit: self.written.unit,
            value: value.filter(|value| value.abs() <= SAMPLE_MAX)?,
        })
    }
}
