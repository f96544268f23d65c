//! The journal: one ordered log of entries on disk, read from any offset.
//!
//! Promise: once [`Journal::append_batch`] returned `Ok`, its entries survive a crash of the machine. Offsets
//! are dense (0, 1, 2, …) and never given twice. On open, a torn last write is cut off; anything else that is
//! damaged is an error that names the file and the byte, and nothing is changed. A segment that was let go is used
//! again; nothing of its former life is ever read as an entry.
//! One process writes at a time; any number may read meanwhile.
//!
//! Not here: what entries mean, clocks (the caller gives the time), threads, async, cursors (a consumer keeps
//! the offset it reads next), and when to batch (the caller gathers whatever waits).
//!
//! Start at [`Journal::open`] and [`Reader::next`]; the bytes on disk are described in [`mod@format`].

mod copy;
pub mod disk;
mod error;
pub mod format;
mod journal;
pub mod model_disk;
mod reader;
mod recovery;
mod segment;
mod spare;

pub use copy::{Copied, copy};
pub use disk::{Disk, RealDisk};
pub use error::JournalError;
pub use format::PAYLOAD_BYTES_MAX;
pub use journal::{
    Journal, NewEntry, Options, PAGE_BYTES, RESERVE_BYTES, Recovery, SEGMENT_BYTES_MAX, WRITE_BYTES,
};
pub use model_disk::ModelDisk;
pub use reader::{Entry, Reader, Readers};
pub use spare::{SegmentFile, Upkeep};
