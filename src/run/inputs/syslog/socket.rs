//! Sockets: datagrams, and connections that are accepted, bounded and ended. Who is not allowed is turned away first.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use watchbell_model::{GroupName, Loss, LossReason, Timestamp, Transport};
use watchbell_server::TurnedAway;

use super::drops::Drops;
use super::framing::{Deframer, Frame};
use super::gate::Gate;
use super::{Hands, MESSAGE_BYTES_MIN, Piece, WAITING_BYTES_MAX};
use crate::run::door::TurnedAwayCount;
use crate::{ExitStatus, Failure};

/// Connections of one listener open at a time; further ones wait in the kernel until one ends.
const CONNECTIONS_MAX: usize = 256;

/// Bytes that are read of one connection at a time.
const READ_BYTES: usize = 16 * 1024;

/// A message that is longer than this while it comes needs one of [`LONG_MESSAGES_MAX`] places.
const LONG_MESSAGE_BYTES: usize = 64 * 1024;

/// Messages of one listener that may be long while they come; the connections of others are not read meanwhile.
const LONG_MESSAGES_MAX: usize = 16;

/// How long a connection may say nothing in the middle of a message. Then what came of it is taken, and the connection
/// is closed.
const MESSAGE_QUIET_MAX: Duration = Duration::from_mins(1);

/// How long a connection may be silent before the kernel asks whether the other side still is there, how often it asks,
/// and how many answers may be missing.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_mins(1), Duration::from_secs(10), 6);

/// How long connections may take to hand over what they hold when the process stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection is looked at once more when the process stops. The runtime hears of sockets before it hears that
/// time is up, so nothing that has come is missed, however slow the machine.
const LAST_LOOK: Duration = Duration::from_millis(10);

/// How long the other side may take to hear that its connection is ended. Source: RFC 5425 §4.4 asks for an answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Largest datagram, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Bytes of datagrams that are taken at a time.
const DATAGRAMS_BYTES: usize = 128 * 1024;

/// What the kernel is asked to hold of datagrams that are not read yet, in bytes. It gives at most `net.core.rmem_max`.
const RECEIVE_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// How often the kernel is asked how many datagrams it dropped.
const DROPS_EVERY: Duration = Duration::from_secs(1);

/// Rest after the system refused something, so that want of file descriptors does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that nobody reads yet.
pub(super) struct Opened {
    name: String,
    transport: Transport,
    socket: Socket,
}

enum Socket {
    Udp(std::net::UdpSocket),
    Tcp(std::net::TcpListener),
}

/// Binds.
pub(super) fn open(transport: Transport, address: SocketAddr) -> Result<Opened, Failure> {
    let bind = || -> io::Result<Opened> {
        let (socket, address) = match transport {
            Transport::Udp => {
                let socket = std::net::UdpSocket::bind(address)?;
                socket.set_nonblocking(true)?;
                let address = socket.local_addr()?;
                (Socket::Udp(socket), address)
            }
            Transport::Tcp | Transport::Tls => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                (Socket::Tcp(listener), address)
            }
        };
        Ok(Opened { name: format!("{transport}://{address}"), transport, socket })
    };
    bind().map_err(|error| {
        let failure =
            Failure::new(ExitStatus::Unavailable, format!("syslog.listen {transport}://{address}: {error}"));
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                failure.help("another process has this port; stop it or choose another port")
            }
            io::ErrorKind::PermissionDenied => {
                failure.help("ports below 1024 need a privilege; choose another one, such as 5514")
            }
            _ => failure,
        }
    })
}

/// Where messages go.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) group: GroupName,
    /// The socket's.
    pub(super) name: String,
    pub(super) gate: Gate,
    pub(super) turned_away: Arc<TurnedAwayCount>,
    pub(super) hands: Hands,
    pub(super) room: Arc<Semaphore>,
    pub(super) send: UnboundedSender<Piece>,
}

impl Door {
    /// Whether this peer is allowed; if not, that is counted.
    fn admits(&self, peer: IpAddr) -> bool {
        let is_allowed = self.gate.hears(peer);
        if !is_allowed {
            self.turned_away.count(peer, &TurnedAway::Network, self.hands.clock.now());
        }
        is_allowed
    }

    /// Hands messages over as soon as there is room for them.
    async fn pass(&self, transport: Transport, messages: Vec<(IpAddr, Frame)>, at: Timestamp) {
        if messages.is_empty() {
            return;
        }
        let bytes: usize = messages.iter().map(|(_, frame)| frame.text.len() + MESSAGE_BYTES_MIN).sum();
        let share = u32::try_from(bytes.min(WAITING_BYTES_MAX)).expect("4 MiB");
        let share = Arc::clone(&self.room).acquire_many_owned(share).await.expect("it is never closed");
        // Without a taker the process is at its end, by a panic that was told.
        let _ = self.send.send(Piece { transport, messages, at, share });
    }
}

impl Opened {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads until the process stops, then what has come by then.
    pub(super) async fn serve(self, door: Door, stopping: watch::Receiver<bool>) {
        let served = match self.socket {
            Socket::Udp(socket) => match UdpSocket::from_std(socket) {
                Ok(socket) => udp(socket, &door, stopping).await,
                Err(error) => Err(error),
            },
            Socket::Tcp(listener) => match TcpListener::from_std(listener) {
                Ok(listener) => connections(listener, self.transport, &door, stopping).await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = served {
            tracing::error!(log_group = %door.group, input = door.name, %error, "nothing is taken from here any more");
            let (state, reason) = (crate::run::sources::SourceState::Error, Some(error.to_string()));
            door.hands.tell(&door.group, &door.name, state, reason);
        }
    }
}

/// Resolves when the process stops.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: stop as well.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn udp(socket: UdpSocket, door: &Door, mut stopping: watch::Receiver<bool>) -> io::Result<()> {
    // What is granted is told; less than what was asked for is no error.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES);
    let granted = sockopt::socket_recv_buffer_size(&socket)?;
    tracing::info!(
        input = door.name,
        receive_buffer_bytes = granted,
        "datagrams that come while this is full are dropped by the kernel and counted"
    );
    let mut drops = Drops::of(&socket);
    let mut look_for_drops = interval(DROPS_EVERY);
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            _ = look_for_drops.tick() => tell_drops(door, &mut drops),
            ready = socket.readable() => ready?,
        }
        let mut passed = pin!(pass_datagrams(&socket, &mut buffer, door));
        // While there is no room, the kernel drops.
        while tokio::select! { _ = &mut passed => false, _ = look_for_drops.tick() => true } {
            tell_drops(door, &mut drops);
        }
    }
    // What has come by now: the buffer held no more than this, whatever comes meanwhile.
    let mut left = granted;
    while left > 0 {
        let bytes = pass_datagrams(&socket, &mut buffer, door).await;
        left = if bytes == 0 { 0 } else { left.saturating_sub(bytes) };
    }
    tell_drops(door, &mut drops);
    Ok(())
}

/// Passes on what has come from those who are allowed. The bytes that were read, as the kernel counts them at least.
async fn pass_datagrams(socket: &UdpSocket, buffer: &mut [u8], door: &Door) -> usize {
    let at = door.hands.clock.now();
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while bytes < DATAGRAMS_BYTES {
        match socket.try_recv_from(buffer) {
            Ok((length, peer)) => {
                bytes += length + MESSAGE_BYTES_MIN;
                // Of an empty one there is nothing to account for.
                if !door.admits(peer.ip()) || length == 0 {
                    continue;
                }
                let text = buffer[..length].to_vec();
                messages.push((peer.ip(), Frame { text, bytes: length as u64, beyond: 0, broken: false }));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => {
                tracing::warn!(input = door.name, %error, "a datagram cannot be read");
                sleep(PAUSE).await;
                break;
            }
        }
    }
    door.pass(Transport::Udp, messages, at).await;
    bytes
}

fn tell_drops(door: &Door, drops: &mut Drops) {
    if let Some(times @ 1..) = drops.since_last() {
        let (group, stream) = (door.group.clone(), door.name.clone());
        door.hands.lose(Loss {
            group,
            stream,
            reason: LossReason::ReceiveBuffer,
            bytes: 0,
            times,
            shipped: None,
        });
    }
}

async fn connections(
    listener: TcpListener,
    transport: Transport,
    door: &Door,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    let long = Arc::new(Semaphore::new(LONG_MESSAGES_MAX));
    let (mut is_full, told) = (false, stopping.clone());
    loop {
        if connections.len() >= CONNECTIONS_MAX && !is_full {
            tracing::warn!(
                input = door.name,
                "{CONNECTIONS_MAX} connections are open: further ones wait until one ends"
            );
        }
        is_full = connections.len() >= CONNECTIONS_MAX;
        tokio::select! {
            () = stopped(&mut stopping) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if !is_full => match accepted {
                Ok((_, peer)) if !door.admits(peer.ip()) => {}
                Ok((stream, peer)) => {
                    let (door, long, stopping) = (door.clone(), Arc::clone(&long), told.clone());
                    connections.spawn(connection(stream, (transport, peer.ip()), door, long, stopping));
                }
                Err(error) => {
                    tracing::warn!(input = door.name, %error, "a connection cannot be accepted");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN_TIMEOUT, ended).await.is_err() {
        tracing::warn!(input = door.name, "connections did not end in time; what they still had is lost");
    }
    Ok(())
}

/// Serves one connection to its end, after the handshake if there is to be one.
async fn connection(
    stream: TcpStream,
    from: (Transport, IpAddr),
    door: Door,
    long: Arc<Semaphore>,
    mut stopping: watch::Receiver<bool>,
) {
    let (transport, peer) = from;
    if let Err(error) = keep_alive(&stream) {
        tracing::debug!(%peer, %error, "a connection whose other side is gone may stay open");
    }
    if transport != Transport::Tls {
        return messages(stream, from, &door, &long, stopping).await;
    }
    let handshakes = door.gate.handshakes().expect("check asks for a certificate with this transport");
    let made = tokio::select! {
        made = handshakes.accept(stream) => made,
        () = stopped(&mut stopping) => return,
    };
    match made {
        Ok(stream) => messages(stream, from, &door, &long, stopping).await,
        Err(error) => {
            let why = TurnedAway::Handshake(error.to_string());
            door.turned_away.count(peer, &why, door.hands.clock.now());
        }
    }
}

/// Reads messages until the connection ends. Its errors are the peer's: what came before them counts.
async fn messages<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    (transport, peer): (Transport, IpAddr),
    door: &Door,
    long: &Arc<Semaphore>,
    mut stopping: watch::Receiver<bool>,
) {
    let (mut deframer, mut buffer) = (Deframer::default(), vec![0; READ_BYTES]);
    let mut place = None;
    loop {
        let quiet_max = if deframer.is_between() { Duration::MAX } else { MESSAGE_QUIET_MAX };
        let read = tokio::select! {
            biased;
            read = timeout(quiet_max, stream.read(&mut buffer)) => read,
            () = stopped(&mut stopping) => match timeout(LAST_LOOK, stream.read(&mut buffer)).await {
                Err(_) => break,
                read => read,
            },
        };
        let length = match read {
            Ok(Ok(0)) => break,
            Ok(Ok(length)) => length,
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "a connection broke off");
                break;
            }
            Err(_) => {
                tracing::warn!(%peer, input = door.name, "a connection is quiet in the middle of a message: closed");
                break;
            }
        };
        let at = door.hands.clock.now();
        let mut frames = Vec::new();
        deframer.push(&buffer[..length], &mut frames);
        let messages = frames.into_iter().map(|frame| (peer, frame)).collect();
        door.pass(transport, messages, at).await;
        if deframer.held_bytes() <= LONG_MESSAGE_BYTES {
            place = None;
        } else if place.is_none() {
            tokio::select! {
                got = Arc::clone(long).acquire_owned() => place = got.ok(),
                () = stopped(&mut stopping) => break,
            }
        }
    }
    if let Some(frame) = deframer.finish() {
        door.pass(transport, vec![(peer, frame)], door.hands.clock.now()).await;
    }
    let _ = timeout(CLOSE_TIMEOUT, stream.shutdown()).await;
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let (idle, every, missing) = KEEPALIVE;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, idle)?;
    sockopt::set_tcp_keepintvl(stream, every)?;
    Ok(sockopt::set_tcp_keepcnt(stream, missing)?)
}
