//! What becomes of lines before they are stored: several of them are put together into one event, and what must not be
//! stored is taken out.
//!
//! Promise: the same lines give the same events, wherever they are read: from a file that grows, from one that is replayed.
//! No line is lost here: what does not fit one event begins the next.
//! Not here: where lines come from, clocks, how long is waited for more, which secrets are known.

mod find;
mod multiline;
mod redact;
mod stream;
mod trace;

pub use multiline::{Joiner, JoinerError, Run, Verdict, without_blank_end};
pub use redact::{BEHIND_CUT_BYTES, Redactor, RedactorError, SECRET_BYTES_MIN};
pub use stream::stream_name;
