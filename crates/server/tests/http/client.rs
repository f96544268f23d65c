//! A client that sends exactly the bytes a test gives it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use watchbell_server::{Door, serve};

use crate::host::Recorder;

/// A server that runs until it is dropped or stopped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) host: Arc<Recorder>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub(crate) fn start(host: Arc<Recorder>) -> Served {
        Served::behind(Door::default(), host)
    }

    /// The same behind this door.
    pub(crate) fn behind(door: Door, host: Arc<Recorder>) -> Served {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { stopped.await.unwrap_or_default() };
        let task = tokio::spawn(serve(listener, Arc::clone(&host) as _, door, shutdown));
        Served { address, host, stop, task }
    }

    pub(crate) fn with_tokens() -> Served {
        let host = Recorder::new();
        host.ask_for_tokens();
        Served::start(host)
    }

    /// Begins the shutdown; what comes back resolves when the server has ended.
    pub(crate) fn stop(self) -> JoinHandle<std::io::Result<()>> {
        self.stop.send(()).expect("the server runs");
        self.task
    }

    /// `METHOD /path`, header lines with their ends, and a body with its length.
    pub(crate) fn request(&self, line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    pub(crate) async fn call(&self, line: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(&self.request(line, headers, body.as_ref())).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(&format!("GET {path}"), "", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.call(&format!("POST {path}"), "", body).await
    }

    /// Sends these bytes on a new connection and reads the answer.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        answer(&mut stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A new connection on which this was sent.
    pub(crate) async fn begin(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The result of what should happen soon: a broken promise shows as a failure, not as a test without end.
pub(crate) async fn soon<T>(it: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), it).await.expect("it happens")
}

/// Reads one answer, which must have a `Content-Length`.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    soon(read_answer(stream)).await
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.split_once("\r\ncontent-length: ").unwrap().1.split_once('\r').unwrap().0;
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    // An answer in protobuf is no text.
    Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert!(self.has("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether the head has this line.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.lines().any(|it| it == line)
    }

    /// Status and code of an error; asserts that it explains itself.
    pub(crate) fn error(&self) -> (u16, String) {
        let error = &self.json()["error"];
        for part in ["message", "help"] {
            assert!(error[part].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        }
        (self.status, error["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn help(&self) -> String {
        self.json()["error"]["help"].as_str().unwrap().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }
}

/// Compressed as gzip does.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}
