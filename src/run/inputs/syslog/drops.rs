//! Datagrams that the kernel dropped because nobody had read those before: it counts them for each socket.

use std::os::fd::AsRawFd;

use tokio::net::UdpSocket;

/// Where the kernel tells, for each version of IP. Source: proc(5), `/proc/net/udp`; the last column is `drops`.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// How many have been dropped at one socket.
pub(super) struct Drops {
    inode: Option<u64>,
    seen: u64,
}

impl Drops {
    /// Nothing is known of `socket` yet.
    pub(super) fn of(socket: &UdpSocket) -> Drops {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok();
        let inode =
            link.and_then(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        Drops { inode, seen: 0 }
    }

    /// How many there were since it was last asked; `None`: this system does not tell.
    pub(super) fn since_last(&mut self) -> Option<u64> {
        let inode = self.inode?;
        let dropped =
            TABLES.iter().find_map(|table| dropped(&std::fs::read_to_string(table).ok()?, inode))?;
        let new = dropped.saturating_sub(self.seen);
        self.seen = dropped;
        Some(new)
    }
}

/// The drops of the socket of this inode.
fn dropped(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = columns.get(9)?.parse() == Ok(inode);
        if is_it { columns.get(12)?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drops_of_a_socket_stand_in_its_row() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            \x20 413: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 43520 2 0000000000000000 0\n\
            \x20 414: 0100007F:158B 00000000:0000 07 00000000:00034800 00:00000000 00000000  1000        0 43521 2 0000000000000000 172\n";
        assert_eq!(
            (dropped(table, 43521), dropped(table, 43520), dropped(table, 7)),
            (Some(172), Some(0), None)
        );
        assert_eq!(dropped("nonsense\nx", 7), None);
    }
}
