//! What looks at a running Watchbell from outside: `demo`, and `bench load`.
//!
//! Promise: `watchbell up` is started as a user would, and gets no word that is only for us.

pub(crate) mod children;
pub(crate) mod probes;
pub(crate) mod receiver;
pub(crate) mod stopwatch;
pub(crate) mod web;
