//! What is done to `up`: requests as fast as it answers, and a file that grows at a pace.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use memchr::{memchr_iter, memrchr};
use watchbell_corpus::Corpus;

use crate::outside::stopwatch;
use crate::outside::web::Web;
use crate::{ExitStatus, Failure};

/// Bytes of a request's body, about.
const BODY_BYTES: usize = 1 << 20;

/// Requests at a time.
const CONNECTIONS: usize = 4;

/// How long a sender waits that was told to come back.
const AGAIN: Duration = Duration::from_millis(10);

/// Between two writes to the file.
const TICK: Duration = Duration::from_millis(5);

/// The logs as bodies of requests.
pub(super) fn bodies(corpus: &Corpus) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    let mut body = String::new();
    for batch in &corpus.batches {
        body.push_str(&batch.text);
        if body.len() >= BODY_BYTES {
            bodies.push(Bytes::from(std::mem::take(&mut body)));
        }
    }
    if !body.is_empty() {
        bodies.push(Bytes::from(body));
    }
    bodies
}

/// Sends every body once, over a few connections.
pub(super) async fn post(web: &Web, group: &str, bodies: &[Bytes]) -> Result<(), Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let bodies: Arc<[Bytes]> = bodies.into();
    let path = format!("/ingest/{group}");
    let senders = (0..CONNECTIONS).map(|_| {
        let (web, path, next, bodies) = (web.clone(), path.clone(), Arc::clone(&next), Arc::clone(&bodies));
        tokio::spawn(async move {
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                send(&web, &path, body).await?;
            }
            Ok::<_, Failure>(())
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.map_err(|error| Failure::new(ExitStatus::Defect, error))??;
    }
    Ok(())
}

async fn send(web: &Web, path: &str, body: &Bytes) -> Result<(), Failure> {
    let failure = |what: String| Failure::new(ExitStatus::Unavailable, format!("POST {path}: {what}"));
    loop {
        match web.post(path, body.clone()).await {
            Ok((StatusCode::OK, _)) => return Ok(()),
            // It has as much as it can hold.
            Ok((StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _)) => {
                tokio::time::sleep(AGAIN).await;
            }
            Ok((status, text)) => return Err(failure(format!("{status} {text}"))),
            Err(error) => return Err(failure(error.to_string())),
        }
    }
}

/// A thread that writes lines at a pace.
pub(super) struct Paced {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<(u64, u64)>>>,
    path: PathBuf,
}

impl Paced {
    /// Appends the text to the file, again and again, at so many bytes a second.
    pub(super) fn start(path: &Path, text: String, bytes_per_s: f64) -> Result<Paced, Failure> {
        let is_over = Arc::new(AtomicBool::new(false));
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| Failure::io(path.display(), &error))?;
        let ends = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || write(file, text.as_bytes(), bytes_per_s, &ends));
        Ok(Paced { is_over, thread: Some(thread), path: path.to_owned() })
    }

    /// Ends it. Gives the bytes and lines that it has written.
    pub(super) fn stop(mut self) -> Result<(u64, u64), Failure> {
        self.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken only here");
        let written = thread.join().expect("it does not panic");
        written.map_err(|error| Failure::io(self.path.display(), &error))
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pace")]
fn write(
    mut file: impl Write,
    text: &[u8],
    bytes_per_s: f64,
    is_over: &AtomicBool,
) -> std::io::Result<(u64, u64)> {
    let start = stopwatch::now();
    let (mut bytes, mut lines, mut at) = (0, 0, 0);
    while !is_over.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * bytes_per_s) as u64;
        let end = text.len().min(at + usize::try_from(due.saturating_sub(bytes)).unwrap_or(usize::MAX));
        // Whole lines; the text ends with one.
        let piece = memrchr(b'\n', &text[at..end]).map_or(&text[at..at], |last| &text[at..=at + last]);
        file.write_all(piece)?;
        bytes += piece.len() as u64;
        lines += memchr_iter(b'\n', piece).count() as u64;
        at = (at + piece.len()) % text.len();
        std::thread::sleep(TICK);
    }
    Ok((bytes, lines))
}
