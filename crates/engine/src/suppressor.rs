//! Actions suppressors: a composite alarm changes, its messages wait.

use watchbell_model::{ActionsSuppressor, AlarmState, SuppressedBy, Timestamp};

use crate::alarm::Hold;

/// How messages of a change at `at` wait for a suppressor in `state`, if they do.
pub(crate) fn hold(suppressor: &ActionsSuppressor, state: AlarmState, at: Timestamp) -> Option<Hold> {
    let by = if state == AlarmState::Alarm { SuppressedBy::Alarm } else { SuppressedBy::WaitPeriod };
    hold_by(suppressor, by, at)
}

/// What becomes of `hold` when the suppressor is found in `state` at `at`; `None`: it stays as it is.
pub(crate) fn follow(
    suppressor: &ActionsSuppressor,
    hold: Hold,
    state: AlarmState,
    at: Timestamp,
) -> Option<Hold> {
    use SuppressedBy::{Alarm, ExtensionPeriod, WaitPeriod};
    match (hold.suppressed_by?, state == AlarmState::Alarm) {
        (WaitPeriod | ExtensionPeriod, true) => hold_by(suppressor, Alarm, at),
        // Without an extension the wait is over at once.
        (Alarm, false) => Some(
            hold_by(suppressor, ExtensionPeriod, at)
                .unwrap_or(Hold { until: Some(at), suppressed_by: Some(ExtensionPeriod) }),
        ),
        (WaitPeriod | ExtensionPeriod, false) | (Alarm, true) => None,
    }
}

/// `None` if there is nothing to wait for.
pub(crate) fn hold_by(suppressor: &ActionsSuppressor, by: SuppressedBy, at: Timestamp) -> Option<Hold> {
    let period_ms = match by {
        SuppressedBy::Alarm => return Some(Hold { until: None, suppressed_by: Some(by) }),
        SuppressedBy::WaitPeriod => suppressor.wait_period_ms,
        SuppressedBy::ExtensionPeriod => suppressor.extension_period_ms,
    };
    (period_ms > 0).then(|| Hold { until: Some(at.plus_ms(period_ms)), suppressed_by: Some(by) })
}
