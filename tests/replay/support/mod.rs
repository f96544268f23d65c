//! What the tests of replays share.

pub(crate) mod folder;
pub(crate) mod logs;
