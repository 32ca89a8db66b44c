//! Ports of 127.0.0.1: which are free, and who holds the others.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Where free ports are looked for: below those that Linux gives to connections. A process takes a second or two to
/// listen on a port that was released for it, and a connection of anybody's may have it by then.
const FREE: Range<u16> = 10_000..32_000;
/// Ports of one process, before it meets those of the next.
const APART: u32 = 251;
const TRIES: u32 = 200;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that stays ours until the process that is to listen there starts.
#[derive(Debug)]
pub struct ReservedPort {
    listener: TcpListener,
    port: u16,
}

impl ReservedPort {
    /// Reserves `port`; 0 takes a free one.
    pub fn reserve(port: u16) -> io::Result<Self> {
        let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = if port == 0 {
            let found = (0..TRIES).find_map(|_| listen(candidate()).ok());
            found.map_or_else(|| listen(0), Ok)?
        } else {
            listen(port)?
        };
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.port
    }

    /// Gives the port up, for the process that listens there next.
    #[must_use]
    pub fn release(self) -> u16 {
        drop(self.listener);
        self.port
    }
}

/// The next port that this process may try: no other one tries it at the same time.
fn candidate() -> u16 {
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    let number = process::id().wrapping_mul(APART).wrapping_add(nth);
    FREE.start + (number % u32::from(FREE.end - FREE.start)) as u16
}

/// Who listens on `port`, as `name (process id)`, where this user may see that.
#[must_use]
pub fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let socket = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let holds = files.flatten().any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket.as_str())
        });
        if holds {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {pid})", name.trim()));
        }
    }
    None
}

/// The inode of the socket that listens on `port`, from a table as the kernel prints it.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        (columns.get(1)?.ends_with(&suffix) && *columns.get(3)? == LISTEN)
            .then(|| columns.get(9).map(ToString::to_string))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_taken_until_it_is_released_and_its_holder_is_named() {
        let reserved = ReservedPort::reserve(0).unwrap();
        let port = reserved.number();
        assert!(FREE.contains(&port), "{port} may be a connection's");
        assert!(ReservedPort::reserve(port).is_err());
        let holder = holder(port).unwrap();
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
        assert_eq!(reserved.release(), port);
        assert!(ReservedPort::reserve(port).is_ok());
    }

    #[test]
    fn only_a_listening_socket_holds_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:2253 0100007F:E1F2 01 00000000:00000000 00:00000000 00000000  1000        0 11 1\n\
             1: 0100007F:2253 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 22 1\n";
        assert_eq!(listening_inode(table, 8787).as_deref(), Some("22"));
        assert_eq!(listening_inode(table, 8788), None);
    }
}
