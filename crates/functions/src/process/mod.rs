//! What a function does with the events of a message: steps, then what is raised of what came out of them.
//!
//! Promise: the same message and the same files give the same outcome; events do not know of each other, so that one
//! that fails takes nothing from the others; what is raised of a message is bounded.
//! Not here: where messages come from, reading files, journaling what is raised, calling anybody.

mod event;
mod input;
mod path;
mod program;
mod raise;
mod scale;
mod script;
mod step;
mod table;
mod value;
mod words;

pub use input::{Input, InputEvent, single};
pub use program::{
    Became, EVENT_BYTES_MAX, Failed, Keep, Outcome, Program, ProgramError, RAISED_BYTES_MAX, RaisedEvent,
};
pub use scale::{IDLE_MS, Load, Scale, Scaled, WAIT_MS_MAX};
pub use script::{EXPRESSIONS_MAX, PROGRAM_BYTES_MAX};
pub use table::{Table, TableError};
