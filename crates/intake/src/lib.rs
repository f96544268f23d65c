//! What becomes of lines before they are stored: several of them are put together into one event.
//!
//! Promise: the same lines give the same events, wherever they are read: from a file that grows, from one that is replayed.
//! Nothing is lost here: what does not fit one event begins the next.
//! Not here: where lines come from, clocks, how long is waited for more.

mod multiline;
mod trace;

pub use multiline::{Joiner, JoinerError, Run, Verdict, without_blank_end};
