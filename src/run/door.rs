//! Who may connect: TLS and allowed networks of the plan in force, and who was turned away.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use watchbell_model::{Http, Timestamp, Tls};
use watchbell_server::tls::{Certificate, Handshakes, TlsError};
use watchbell_server::{Door, TurnedAway};

/// What is spoken inside TLS.
const HTTP_1: &[u8] = b"http/1.1";

/// Connections turned away that are logged in a minute; more are only counted.
pub const TURNED_AWAY_LOGGED_MAX: u32 = 10;

/// The certificate of HTTP, if it has one.
///
/// # Errors
/// [`TlsError`] names the file and what is wrong with it.
pub fn certificate(tls: Option<&Tls>) -> Result<Option<Certificate>, TlsError> {
    let read = |tls: &Tls| Certificate::read(Path::new(&tls.certificate), Path::new(&tls.key), &[HTTP_1]);
    tls.map(read).transpose()
}

/// The door of a plan with this certificate.
pub fn open(http: &Http, certificate: Option<Certificate>) -> Door {
    Door::new(certificate.map(Handshakes::new), http.allow.clone())
}

/// Where callers find a server that listens at `address`, as they write it.
pub fn web_address(address: SocketAddr, http: &Http) -> String {
    format!("{}://{address}", if http.tls.is_some() { "https" } else { "http" })
}

/// Those that were turned away at one door.
#[derive(Debug)]
pub struct TurnedAwayCount {
    /// The door, as the log names it.
    at: String,
    /// What says which networks are allowed there.
    key: String,
    network: AtomicU64,
    handshake: AtomicU64,
    /// The current minute, and how many in it.
    logged: Mutex<(Timestamp, u32)>,
}

impl TurnedAwayCount {
    /// None yet at this door; `key` is what says which networks are allowed.
    pub fn new(at: impl Into<String>, key: impl Into<String>) -> TurnedAwayCount {
        let (network, handshake, logged) = Default::default();
        TurnedAwayCount { at: at.into(), key: key.into(), network, handshake, logged }
    }

    /// Counts one, and logs it unless there were many in this minute.
    pub fn count(&self, peer: IpAddr, why: &TurnedAway, now: Timestamp) {
        let at = self.at.as_str();
        let counter = match why {
            TurnedAway::Network => &self.network,
            TurnedAway::Handshake(_) => &self.handshake,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let seen = self.seen_in_minute(now);
        match why {
            _ if seen > TURNED_AWAY_LOGGED_MAX => {}
            TurnedAway::Network => tracing::warn!(at, %peer, "refused: its network is not in {}", self.key),
            TurnedAway::Handshake(reason) => {
                tracing::warn!(at, %peer, reason, "refused: no TLS with this peer");
            }
        }
        if seen == TURNED_AWAY_LOGGED_MAX {
            tracing::warn!(at, "what is refused beyond that in this minute is only counted");
        }
    }

    fn seen_in_minute(&self, now: Timestamp) -> u32 {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let (minute, seen) = &mut *logged;
        if *minute != now.floor_to(60_000) {
            (*minute, *seen) = (now.floor_to(60_000), 0);
        }
        *seen = seen.saturating_add(1);
        *seen
    }

    /// How many, by reason.
    pub fn look(&self) -> [(&'static str, u64); 2] {
        let [network, handshake] =
            [&self.network, &self.handshake].map(|counter| counter.load(Ordering::Relaxed));
        [(TurnedAway::Network.as_str(), network), (TurnedAway::Handshake(String::new()).as_str(), handshake)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_turned_away_are_counted_each_and_logged_up_to_a_bound() {
        let count = TurnedAwayCount::new("http", "http.allow");
        let peer = "192.0.2.1".parse().unwrap();
        for _ in 0..100 {
            count.count(peer, &TurnedAway::Network, Timestamp(5000));
        }
        count.count(peer, &TurnedAway::Handshake("no".into()), Timestamp(5000));
        assert_eq!(count.look(), [("network", 100), ("handshake", 1)]);
        assert_eq!(count.seen_in_minute(Timestamp(5001)), 102);
        assert_eq!(count.seen_in_minute(Timestamp(60_000)), 1);
    }
}
