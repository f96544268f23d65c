//! An address that stays while the server behind it comes and goes.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes connections on, or drops them while nobody is behind it.
pub(crate) struct Relay {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    to: Option<SocketAddr>,
    open: Vec<TcpStream>,
}

impl Relay {
    pub(crate) fn start() -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = Arc::clone(&inner);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // What cannot be passed on is dropped.
                let _ = pass(stream, &shared);
            }
        });
        Relay { address, inner }
    }

    /// Where to call.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on passes connections to this server, or to nobody; those that are open end.
    pub(crate) fn lead_to(&self, to: Option<SocketAddr>) {
        let mut inner = self.inner.lock().unwrap();
        inner.to = to;
        for stream in inner.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(from: TcpStream, shared: &Mutex<Inner>) -> io::Result<()> {
    let mut inner = shared.lock().unwrap();
    let Some(to) = inner.to else { return Ok(()) };
    let to = TcpStream::connect(to)?;
    inner.open.extend([from.try_clone()?, to.try_clone()?]);
    for (mut reads, mut writes) in [(from.try_clone()?, to.try_clone()?), (to, from)] {
        std::thread::spawn(move || {
            let _ = io::copy(&mut reads, &mut writes);
            let _ = writes.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
