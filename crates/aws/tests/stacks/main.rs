//! What plans are rendered to.

mod invariants;
mod network_and_data;
mod support;
