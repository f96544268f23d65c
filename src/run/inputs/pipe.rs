//! Reading pipes on a thread that can be told to stop while there is nothing to read.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Told to stop once the other end is dropped.
pub(super) struct Stop(PipeReader);

/// Stops whoever has the other end.
pub(super) struct Stopper {
    _end: PipeWriter,
}

/// Both ends.
pub(super) fn stop() -> io::Result<(Stopper, Stop)> {
    let (reader, writer) = io::pipe()?;
    Ok((Stopper { _end: writer }, Stop(reader)))
}

/// What waiting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The pipe of this number can be read, or has ended.
    Ready(usize),
    /// Nothing came.
    Quiet,
    /// It is time to stop, and nothing can be read.
    Stopped,
}

impl Stop {
    /// Waits until one of `pipes` can be read, at most for `patience`. What can be read comes before the stop.
    pub(super) fn wait(&self, pipes: &[&dyn AsFd], patience: Option<Duration>) -> io::Result<Woken> {
        let mut all: Vec<PollFd<'_>> =
            pipes.iter().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)).collect();
        all.push(PollFd::new(&self.0, PollFlags::IN));
        let patience = patience.map(|patience| Timespec::try_from(patience).expect("a minute at most"));
        loop {
            match poll(&mut all, patience.as_ref()) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let ready = all.iter().position(|it| !it.revents().is_empty());
        Ok(match ready {
            Some(number) if number < pipes.len() => Woken::Ready(number),
            Some(_) => Woken::Stopped,
            None => Woken::Quiet,
        })
    }

    /// Waits for `patience`; whether it is time to stop.
    pub(super) fn sleep(&self, patience: Duration) -> bool {
        !matches!(self.wait(&[], Some(patience)), Ok(Woken::Quiet))
    }
}

/// Reads what is there behind `buffer`, at most `bytes_max`; 0 at the end.
pub(super) fn read(mut pipe: impl Read, buffer: &mut Vec<u8>, bytes_max: usize) -> io::Result<usize> {
    let start = buffer.len();
    buffer.resize(start + bytes_max, 0);
    let read = loop {
        match pipe.read(&mut buffer[start..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read,
        }
    };
    buffer.truncate(start + read.as_ref().copied().unwrap_or(0));
    read
}
