//! Receivers, each against a real counterpart on loopback.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may")]

mod environment;
mod local;
mod server;
mod web;

use std::fs;
use std::path::Path;

use watchbell_model::{DecisionId, InstallationId, Offset};
use watchbell_notify::Message;

fn message() -> Message {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forms/burst.transition.json");
    let transition = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let id = DecisionId { offset: Offset(12), index: 0 };
    Message::new(InstallationId([0x0f, 0, 0, 0, 0, 0, 0, 1]), id, &transition)
}
