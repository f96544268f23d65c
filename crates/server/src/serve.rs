//! Connections: accepting them, bounding them, ending them.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use watchbell_model::admits;

use crate::Host;
use crate::guard::Reached;
use crate::routes::router;
use crate::tls::{HANDSHAKE_TIMEOUT, Handshakes};
use crate::write_timeout::WriteTimeout;

/// Connections open at a time; further ones wait in the kernel until one ends.
pub const CONNECTIONS_MAX: usize = 256;
/// How long a connection may take to send a request's head; also how long it may stay open without one.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests in flight may take to finish once shutdown began; what is left then is cut off.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Rest after the system refused to hand out a connection, so that want of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a peer that speaks plain HTTP to a port of TLS has to take the answer that says so.
const PLAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// What it is told.
const PLAIN_ANSWER: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n\
    Content-Length: 116\r\n\r\n{\"error\":{\"code\":\"tls_needed\",\"message\":\"this port speaks TLS\",\
    \"help\":\"call it with https:// in place of http://\"}}\n";

/// Who may connect, and how.
#[derive(Clone, Default)]
pub struct Door(Arc<Inside>);

#[derive(Default)]
struct Inside {
    tls: Option<Handshakes>,
    networks: Mutex<Vec<IpNet>>,
}

impl Door {
    /// Open to `networks` and this machine; with `tls` nothing else is spoken.
    pub fn new(tls: Option<Handshakes>, networks: Vec<IpNet>) -> Door {
        Door(Arc::new(Inside { tls, networks: Mutex::new(networks) }))
    }

    /// What makes its handshakes.
    pub fn tls(&self) -> Option<&Handshakes> {
        self.0.tls.as_ref()
    }

    /// From the next connection on open to these networks.
    pub fn admit(&self, networks: Vec<IpNet>) {
        *self.networks() = networks;
    }

    fn networks(&self) -> MutexGuard<'_, Vec<IpNet>> {
        self.0.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admits(&self, peer: IpAddr) -> bool {
        admits(&self.networks(), peer)
    }
}

/// Why a connection was turned away before any request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// The peer's network is not allowed.
    Network,
    /// There is no TLS with this peer; says why.
    Handshake(String),
}

impl TurnedAway {
    /// `network` or `handshake`.
    pub fn as_str(&self) -> &'static str {
        match self {
            TurnedAway::Network => "network",
            TurnedAway::Handshake(_) => "handshake",
        }
    }
}

/// Serves HTTP/1.1 on `listener` to those whom `door` lets in until `shutdown` resolves; then stops accepting and
/// finishes the requests in flight within [`DRAIN_TIMEOUT`]. Must run within a tokio runtime with I/O and time enabled.
///
/// # Errors
/// Other machines can reach the listener's address and `door` has no TLS or `host` no token, or tokio cannot take the listener over.
pub async fn serve(
    listener: std::net::TcpListener,
    host: Arc<dyn Host>,
    door: Door,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && (door.tls().is_none() || host.access().is_open()) {
        let reason = format!("other machines can reach {address}, and there is no TLS or no token");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let reached = if door.tls().is_some() { Reached::Tls } else { Reached::Loopback(address.port()) };
    let router = router(Arc::clone(&host), reached);
    let (stop, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((_, peer)) if !door.admits(peer.ip()) => host.turned_away(peer.ip(), &TurnedAway::Network),
                Ok((stream, peer)) => {
                    let stopping = stop.subscribe();
                    let (host, door, router) = (Arc::clone(&host), door.clone(), router.clone());
                    connections.spawn(async move {
                        if let Err(why) = connection(stream, &door, router, stopping).await {
                            host.turned_away(peer.ip(), &why);
                        }
                    });
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(DRAIN_TIMEOUT, drained).await;
    connections.shutdown().await;
    Ok(())
}

/// The connection ended before it was accepted: nothing is wrong here.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection to its end, after the handshake if there is to be one.
async fn connection(
    mut stream: TcpStream,
    door: &Door,
    router: Router,
    stop: watch::Receiver<bool>,
) -> Result<(), TurnedAway> {
    // Answers are small and complete: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let Some(tls) = door.tls() else {
        requests(WriteTimeout::new(stream), router, stop).await;
        return Ok(());
    };
    let why = |error: io::Error| TurnedAway::Handshake(error.to_string());
    let mut stopping = stop.clone();
    let handshake = async {
        if speaks_plain_http(&stream).await {
            answer_plain_http(&mut stream).await;
            return Err(TurnedAway::Handshake("it speaks plain HTTP".to_owned()));
        }
        tls.accept(WriteTimeout::new(stream)).await.map_err(why)
    };
    let stream = tokio::select! {
        made = handshake => made?,
        _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
    };
    requests(stream, router, stop).await;
    Ok(())
}

/// Whether the first byte is a letter, as of `GET`; TLS begins with a 22.
async fn speaks_plain_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = timeout(HANDSHAKE_TIMEOUT, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && first[0].is_ascii_uppercase()
}

/// Says that this port speaks TLS: people mistype addresses.
async fn answer_plain_http(stream: &mut TcpStream) {
    let told = async {
        stream.write_all(PLAIN_ANSWER).await?;
        stream.shutdown().await?;
        // Closing with bytes unread resets the connection, and then many a sender does not see the answer.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(PLAIN_TIMEOUT, told).await;
}

/// Serves requests until the connection ends. Its errors are the peer's: a broken pipe, a malformed head, a timeout.
async fn requests<S>(stream: S, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    tokio::select! {
        _ = &mut served => return,
        _ = stop.wait_for(|stopping| *stopping) => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_has_the_length_it_says() {
        let text = std::str::from_utf8(PLAIN_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"]["code"], "tls_needed");
    }
}
