//! Health, connections, and the end of it all.

use std::io::ErrorKind;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use watchbell_server::{CONNECTIONS_MAX, DRAIN_TIMEOUT, Door, HEADER_READ_TIMEOUT, WRITE_TIMEOUT, serve};

use crate::client::{Served, answer, soon};
use crate::host::Recorder;

#[tokio::test]
async fn the_process_tells_how_it_is() {
    let served = Served::start(Recorder::new());
    let health = served.get("/healthz").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok"));
    assert_eq!(served.get("/readyz").await.status, 200);
    *served.host.unready.lock().unwrap() = Some("the journal is being read".to_owned());
    let unready = served.get("/readyz").await;
    assert_eq!(unready.error(), (503, "not_ready".to_owned()));
    assert_eq!(unready.message(), "the journal is being read");
    assert_eq!(served.get("/healthz").await.status, 200);
    let metrics = served.get("/metrics").await;
    assert!(metrics.has("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_eq!((metrics.status, metrics.body.as_str()), (200, "# EOF\n"));
    let index = served.get("/").await;
    assert!(index.body.starts_with("Watchbell ") && index.body.lines().count() == 1, "{}", index.body);
}

#[tokio::test]
async fn a_connection_carries_one_request_after_another() {
    let served = Served::start(Recorder::new());
    let mut stream = served.connect().await;
    for _ in 0..3 {
        stream.write_all(&kept_alive(&served)).await.unwrap();
        assert_eq!(answer(&mut stream).await.status, 200);
    }
    assert_eq!(served.host.batches().len(), 3);
}

fn kept_alive(served: &Served) -> Vec<u8> {
    format!("POST /ingest/shop/app HTTP/1.1\r\nHost: {}\r\nContent-Length: 1\r\n\r\nx", served.address)
        .into_bytes()
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight_and_accepts_nothing_new() {
    let served = Served::start(Recorder::with_disk(0));
    let (address, host) = (served.address, Arc::clone(&served.host));
    let mut in_flight = served.begin(&kept_alive(&served)).await;
    host.batches_arrived(1).await;
    let ended = served.stop();
    // The listener is gone once this connection is refused.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished());
    host.disk.add_permits(1);
    assert_eq!(answer(&mut in_flight).await.status, 200);
    assert_eq!(soon(in_flight.read(&mut [0])).await.unwrap(), 0);
    soon(ended).await.unwrap().unwrap();
    assert_eq!(host.messages(), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_idle_connections() {
    let served = Served::start(Recorder::new());
    let mut used = served.begin(&kept_alive(&served)).await;
    assert_eq!(answer(&mut used).await.status, 200);
    let began = Instant::now();
    soon(served.stop()).await.unwrap().unwrap();
    assert!(began.elapsed() < DRAIN_TIMEOUT);
    assert_eq!(soon(used.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_cuts_off_what_does_not_finish_in_time() {
    let served = Served::start(Recorder::with_disk(0));
    let host = Arc::clone(&served.host);
    let mut stuck = served.begin(&kept_alive(&served)).await;
    host.batches_arrived(1).await;
    let began = Instant::now();
    soon(served.stop()).await.unwrap().unwrap();
    assert!(began.elapsed() >= DRAIN_TIMEOUT);
    assert!(!matches!(soon(stuck.read(&mut [0])).await, Ok(1..)));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_arrive_in_time_ends_the_connection() {
    let served = Served::start(Recorder::new());
    let mut used = served.begin(&kept_alive(&served)).await;
    assert_eq!(answer(&mut used).await.status, 200);
    for mut stream in [served.begin(b"GET / HTTP/1.1\r\nHost:").await, served.connect().await, used] {
        let began = Instant::now();
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
        assert!(began.elapsed() <= HEADER_READ_TIMEOUT, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_ends_the_connection() {
    let served = Served::start(Recorder::new());
    // More than the kernel keeps for a socket.
    let bytes = 64 * 1024 * 1024;
    *served.host.metrics.lock().unwrap() = "#".repeat(bytes);
    let mut stream = served.begin(&served.request("GET /metrics", "", b"")).await;
    // The first byte tells that the answer is under way.
    assert_eq!(soon(stream.read_u8()).await.unwrap(), b'H');
    tokio::time::sleep(WRITE_TIMEOUT * 2).await;
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.len() < bytes, "{} bytes", rest.len());
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let served = Served::start(Recorder::new());
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = served.begin(&kept_alive(&served)).await;
        assert_eq!(answer(&mut stream).await.status, 200);
        open.push(stream);
    }
    let mut waiting = served.begin(&kept_alive(&served)).await;
    // A round trip on an open connection gives the server the chance to answer the waiting one, too.
    open[0].write_all(&kept_alive(&served)).await.unwrap();
    assert_eq!(answer(&mut open[0]).await.status, 200);
    assert_eq!(waiting.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    open.pop();
    assert_eq!(answer(&mut waiting).await.status, 200);
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused_without_tls() {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let error =
        soon(serve(listener, Recorder::new(), Door::default(), std::future::pending())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
