//! Listening sockets: owned by the host and lent to adapters, so that they stay open over a
//! restart of the adapter and no connection attempt is lost.

use std::collections::HashMap;
use std::io::{Error as IoError, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use dittofs_sdk::Error;
use parking_lot::Mutex;

/// Most listeners of one adapter.
const MAX_PER_ADAPTER: usize = 64;
/// Connections that may wait to be accepted. With the standard library's 128, clients that come
/// in a crowd lose their first packet and wait a second; the system may allow less than this.
const BACKLOG: i32 = 4096;

/// All listeners, by adapter and name.
#[derive(Default)]
pub struct Listeners {
    open: Mutex<HashMap<String, HashMap<String, Open>>>,
}

struct Open {
    /// What the adapter asked for; the socket's own address differs for port 0.
    asked: SocketAddr,
    socket: TcpListener,
}

impl Listeners {
    /// A duplicate of the listener `name` of `adapter`, bound to `address` if it is not yet. A
    /// listener of that name on another address is closed once the new one is bound.
    pub fn lend(
        &self,
        adapter: &str,
        name: &str,
        address: SocketAddr,
    ) -> Result<TcpListener, Error> {
        let mut all = self.open.lock();
        let open = all.entry(adapter.to_owned()).or_default();
        if let Some(listener) = open.get(name)
            && listener.asked == address
        {
            return Ok(listener.socket.try_clone()?);
        }
        if !open.contains_key(name) && open.len() >= MAX_PER_ADAPTER {
            return Err(Error::failed(format!(
                "{adapter} has {MAX_PER_ADAPTER} listeners already"
            )));
        }
        let socket = TcpListener::bind(address).map_err(|e| Error::failed(busy(address, &e)))?;
        rustix::net::listen(&socket, BACKLOG).map_err(IoError::from)?;
        let lent = socket.try_clone()?;
        open.insert(
            name.to_owned(),
            Open {
                asked: address,
                socket,
            },
        );
        Ok(lent)
    }

    /// Closes all listeners of `adapter`, which is to serve no more.
    pub fn close(&self, adapter: &str) {
        self.open.lock().remove(adapter);
    }
}

/// Why `address` can't be listened on, and what to do.
pub fn busy(address: SocketAddr, error: &IoError) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{address} is in use by another program: stop it or choose another address")
        }
        ErrorKind::PermissionDenied => {
            format!(
                "{address}: no permission to listen: choose a port from 1024 on or grant CAP_NET_BIND_SERVICE"
            )
        }
        ErrorKind::AddrNotAvailable => {
            format!(
                "{address} is no address of this machine: choose one of its own, or 0.0.0.0 for all"
            )
        }
        _ => format!("{address}: can't listen: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::io::Write;
    use std::net::TcpStream;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_connection_made_between_two_loans_is_not_lost() {
        let listeners = Listeners::default();
        let first = listeners.lend("a", "main", any()).unwrap();
        let address = first.local_addr().unwrap();
        drop(first);
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"x").unwrap();
        let second = listeners.lend("a", "main", any()).unwrap();
        assert_eq!(second.local_addr().unwrap(), address);
        let mut byte = [0];
        second.accept().unwrap().0.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn another_address_closes_the_old_listener() {
        let listeners = Listeners::default();
        let old = listeners
            .lend("a", "main", any())
            .unwrap()
            .local_addr()
            .unwrap();
        let free = TcpListener::bind(any()).unwrap().local_addr().unwrap();
        let new = listeners.lend("a", "main", free).unwrap();
        assert_eq!(new.local_addr().unwrap(), free);
        assert!(TcpStream::connect(old).is_err());
    }

    #[test]
    fn a_busy_address_is_named_and_the_old_listener_stays() {
        let taken = TcpListener::bind(any()).unwrap();
        let address = taken.local_addr().unwrap();
        let listeners = Listeners::default();
        let old = listeners
            .lend("a", "main", any())
            .unwrap()
            .local_addr()
            .unwrap();
        let error = listeners
            .lend("a", "main", address)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("another address"),
            "{error}"
        );
        assert!(TcpStream::connect(old).is_ok());
    }

    #[test]
    fn closing_an_adapters_listeners_leaves_those_of_others() {
        let listeners = Listeners::default();
        let mine = listeners
            .lend("a", "main", any())
            .unwrap()
            .local_addr()
            .unwrap();
        let theirs = listeners
            .lend("b", "main", any())
            .unwrap()
            .local_addr()
            .unwrap();
        listeners.close("a");
        assert!(TcpStream::connect(mine).is_err());
        assert!(TcpStream::connect(theirs).is_ok());
    }
}
