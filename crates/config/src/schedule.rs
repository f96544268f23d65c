//! Schedules as they are written: `cron(…)` or `at(…)`, how long, and in which zone.

use watchbell_schedule::{Limits, Part, Schedule, ScheduleError};

use crate::reader::Field;

/// Used if `timezone` is absent.
pub(crate) const TIMEZONE_DEFAULT: &str = "UTC";

/// The fields that a schedule was read from, as far as they are there.
pub(crate) struct Places<'f, 'a> {
    pub(crate) schedule: Option<&'f Field<'a>>,
    pub(crate) duration: Option<&'f Field<'a>>,
    pub(crate) timezone: Option<&'f Field<'a>>,
}

/// Whether the schedule works; every mistake is noted at its place.
pub(crate) fn is_good(schedule: &str, duration_ms: i64, timezone: &str, places: &Places<'_, '_>) -> bool {
    // Each part beside good ones, so that all mistakes are told at once; then the parts together.
    let (any_schedule, any_ms, any_zone) = ("cron(0 0 * * *)", 60_000, TIMEZONE_DEFAULT);
    let error_in =
        |schedule, duration_ms, zone| Schedule::parse(schedule, duration_ms, zone, Limits::NONE).err();
    let alone = [
        error_in(schedule, any_ms, any_zone),
        error_in(any_schedule, duration_ms, any_zone),
        error_in(any_schedule, any_ms, timezone),
    ];
    let mut errors: Vec<ScheduleError> = alone.into_iter().flatten().collect();
    if errors.is_empty() {
        errors.extend(error_in(schedule, duration_ms, timezone));
    }
    let is_good = errors.is_empty();
    for error in errors {
        let place = match error.part {
            Part::Expression => places.schedule,
            Part::Zone => places.timezone.or(places.schedule),
            Part::Duration | Part::Limits => places.duration.or(places.schedule),
        };
        let Some(field) = place else { continue };
        let at = match error.part {
            Part::Expression => field.text().map(|text| text.part(field.context.source.text, &error.span)),
            _ => None,
        };
        field.refuse_at(at.unwrap_or_else(|| field.span()), &error.message, Some(error.help));
    }
    is_good
}
