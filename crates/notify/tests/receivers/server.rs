//! A receiver on loopback that answers each connection with prepared bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What to do with one request.
pub(crate) enum Answer {
    /// These bytes, then close.
    Bytes(String),
    /// Nothing, until the client has gone.
    Silence,
    /// Close with the request unread, which resets the connection.
    Reset,
}

/// `status` with `headers`, each ending in CRLF, and a body.
pub(crate) fn http(status: &str, headers: &str, body: &str) -> Answer {
    Answer::Bytes(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

/// A server; its thread ends after the last answer.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Receiver<String>,
}

impl Server {
    /// Gives one answer to each connection, in order.
    pub(crate) fn start(answers: Vec<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                if let Answer::Reset = answer {
                    // Bytes that wait unread when a socket is closed make the kernel send a reset.
                    stream.read_exact(&mut [0]).unwrap();
                    continue;
                }
                sender.send(read_request(&mut stream).unwrap()).unwrap();
                match answer {
                    Answer::Bytes(bytes) => stream.write_all(bytes.as_bytes()).unwrap(),
                    Answer::Silence => drop(stream.read(&mut [0])),
                    Answer::Reset => {}
                }
            }
        });
        Server { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request, head and body.
    pub(crate) fn request(&self) -> String {
        self.requests.recv().unwrap()
    }
}

/// Head and as much body as it announces.
pub(crate) fn read_request(stream: &mut impl Read) -> io::Result<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body)?;
    request.extend(body);
    Ok(String::from_utf8(request).unwrap())
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
