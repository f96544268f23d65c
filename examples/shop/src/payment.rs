//! The payment back end: a line `charge CENTS` in, a line `ok` out. A process of its own in real life.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long the shop waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Answers until the task is dropped. While `works` is false every connection is closed without an answer.
///
/// # Errors
/// What the operating system says about the listener.
pub async fn serve(listener: TcpListener, works: watch::Receiver<bool>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        if *works.borrow() {
            tokio::spawn(answer(stream));
        }
    }
}

async fn answer(stream: TcpStream) {
    let mut stream = BufReader::new(stream.take(64));
    let mut line = String::new();
    let read = stream.read_line(&mut line).await;
    if read.is_ok() && line.starts_with("charge ") {
        // A shop that has gone away needs no answer.
        let _ = stream.into_inner().into_inner().write_all(b"ok\n").await;
    }
}

/// Asks for a payment.
pub(crate) async fn charge(back_end: SocketAddr, cents: u32) -> Result<(), String> {
    let asked = async {
        let mut stream = TcpStream::connect(back_end).await?;
        stream.write_all(format!("charge {cents}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.take(64).read_to_string(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    match timeout(TIMEOUT, asked).await {
        Ok(Ok(answer)) if answer == "ok\n" => Ok(()),
        Ok(Ok(_)) => Err("payment back end closed the connection without an answer".to_owned()),
        Ok(Err(error)) => Err(format!("payment back end: {error}")),
        Err(_) => Err("payment back end: no answer within 1 s".to_owned()),
    }
}
