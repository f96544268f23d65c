//! The receivers that need no network.

use std::io;
use std::sync::{Arc, Mutex};

use watchbell_notify::{Console, Notifier, Recorder, SendError, TEXT_WIDTH};

use super::message;

#[tokio::test]
async fn the_console_writes_the_text_in_one_piece() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let pieces = Arc::clone(&written);
    let console = Console::new(
        true,
        Box::new(move |text| {
            pieces.lock().unwrap().push(text.to_owned());
            Ok(())
        }),
    );
    console.send(&message()).await.unwrap();
    assert_eq!(*written.lock().unwrap(), [message().text(TEXT_WIDTH, true)]);
}

#[tokio::test]
async fn a_console_that_cannot_be_written_to_has_not_taken_the_message() {
    let closed = Console::new(false, Box::new(|_| Err(io::ErrorKind::BrokenPipe.into())));
    let reason = "console: broken pipe".to_owned();
    assert_eq!(closed.send(&message()).await, Err(SendError::Again { reason, after: None }));
}

#[tokio::test]
async fn a_recorder_fails_as_often_as_told_and_then_keeps_messages() {
    let recorder = Recorder::new();
    let error = SendError::Never { reason: "told to".to_owned() };
    recorder.fail(2, &error);
    assert_eq!(recorder.send(&message()).await, Err(error.clone()));
    assert_eq!(recorder.send(&message()).await, Err(error));
    assert_eq!(recorder.send(&message()).await, Ok(()));
    assert_eq!(recorder.messages(), [message()]);
}
