//! What the tests of the whole program share.

pub(crate) mod authority;
pub(crate) mod http;
pub(crate) mod input;
pub(crate) mod journalctl;
pub(crate) mod process;
pub(crate) mod receiver;
pub(crate) mod records;
pub(crate) mod relay;
pub(crate) mod running;
pub(crate) mod site;

use std::time::Duration;

/// How often [`eventually`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How often it looks at most: patience for a machine with much else to do.
const LOOKS_MAX: usize = 6000;

/// Waits until `look` gives something.
///
/// # Panics
/// If it never does; `what` says what was waited for.
pub(crate) fn eventually_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS_MAX {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    panic!("never happened: {what}")
}

/// Waits until `holds` does.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    eventually_some(what, || holds().then_some(()));
}
