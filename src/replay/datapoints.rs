//! The values that alarms saw, thinned so that a year takes no more room than a day.

use std::collections::BTreeMap;

use serde::Serialize;
use watchbell_engine::Engine;
use watchbell_model::{Datapoint, Timestamp};

use super::timeline::title;

/// How many points are kept of one alarm at most; when there are more, neighbours become one.
const POINTS_MAX: usize = 2048;

/// Neighbouring datapoints as one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Where the first slot starts.
    #[serde(serialize_with = "watchbell_model::rfc3339::time")]
    pub start: Timestamp,
    /// The least value.
    pub minimum: f64,
    /// The greatest.
    pub maximum: f64,
}

/// The datapoints of one alarm, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Points {
    /// How much time one point stands for, in milliseconds; 0 as long as each is one datapoint.
    pub width_ms: i64,
    /// In time order; a slot without a value is not among them.
    pub points: Vec<Point>,
    #[serde(skip)]
    last: Option<Timestamp>,
}

/// Gathers what each evaluation newly looked at.
#[derive(Debug, Default)]
pub(super) struct Gatherer(BTreeMap<String, Points>);

impl Gatherer {
    /// Takes the newest slot of every alarm's last evaluation.
    pub(super) fn look(&mut self, engine: &Engine) {
        for (name, dimensions, _) in engine.alarms() {
            let Some(newest) = engine.datapoints(name, dimensions).pop() else { continue };
            let none = || Points { width_ms: 0, points: Vec::new(), last: None };
            self.0.entry(title(name, dimensions)).or_insert_with(none).take(&newest);
        }
    }

    pub(super) fn of(&self, alarm: &str) -> Option<&Points> {
        self.0.get(alarm)
    }
}

impl Points {
    fn take(&mut self, newest: &Datapoint) {
        if self.last.is_some_and(|last| newest.start <= last) {
            return;
        }
        self.last = Some(newest.start);
        let Some(value) = newest.value else { return };
        match self.points.last_mut() {
            Some(last) if newest.start.ms_since(last.start) < self.width_ms => last.add(value, value),
            _ => self.points.push(Point { start: newest.start, minimum: value, maximum: value }),
        }
        if self.points.len() > POINTS_MAX {
            self.thin();
        }
    }

    /// Makes points twice as wide as they have to be to fit, so that it is rarely done.
    fn thin(&mut self) {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return };
        let many = i64::try_from(POINTS_MAX / 2).expect("a small number");
        self.width_ms = (last.start.ms_since(first.start) / many).max(self.width_ms * 2).max(1);
        let mut kept: Vec<Point> = Vec::new();
        for point in self.points.drain(..) {
            match kept.last_mut() {
                Some(last) if point.start.ms_since(last.start) < self.width_ms => {
                    last.add(point.minimum, point.maximum);
                }
                _ => kept.push(point),
            }
        }
        self.points = kept;
    }
}

impl Point {
    fn add(&mut self, minimum: f64, maximum: f64) {
        self.minimum = self.minimum.min(minimum);
        self.maximum = self.maximum.max(maximum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_become_few_and_keep_their_extremes() {
        let mut points = Points { width_ms: 0, points: Vec::new(), last: None };
        let spike = 77_777;
        for slot in 0..100_000 {
            let value = if slot == spike { 1e6 } else { 1.0 };
            let start = Timestamp(slot * 60_000);
            points.take(&Datapoint {
                start,
                value: Some(value),
                samples: 1,
                breaching: false,
                estimated: false,
            });
        }
        assert!(points.points.len() <= POINTS_MAX && points.points.len() >= POINTS_MAX / 4);
        let highest: Vec<&Point> = points.points.iter().filter(|point| point.maximum > 1.0).collect();
        assert_eq!((highest.len(), highest[0].maximum, highest[0].minimum), (1, 1e6, 1.0));
        let at = Timestamp(spike * 60_000).ms_since(highest[0].start);
        assert!((0..points.width_ms).contains(&at));
    }
}
