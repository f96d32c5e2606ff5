//! The wire between the client kernel and the server: fast and apart as root, through slirp as an ordinary user.

use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::thread::UnshareFlags;

/// How the user-mode Linux reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// A tap device per machine in a network namespace that belongs to the calling thread and its children (about
    /// 1 GB/s).
    Tap,
    /// The host's loopback behind user-space NAT (about 40 MB/s), which needs no privilege.
    Slirp,
}

/// Where the server listens: the host's end of the first machine's wire, which the others reach through theirs.
const TAP_HOST: &str = "10.64.0.1";
/// Machines that a network has wires for.
pub const MACHINES: u8 = 2;
const SLIRP_HOST: &str = "10.0.2.2";
const SLIRP_CLIENT: &str = "10.0.2.15";

impl Network {
    /// The fastest network that this user may have.
    ///
    /// As root the calling thread moves to a new network namespace: servers and clients that it starts
    /// afterwards, and the sockets that it opens, live there, and nothing of it can be seen outside.
    pub fn enter() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Slirp);
        }
        unshare(UnshareFlags::NEWNET).context("cannot make a network namespace")?;
        ip("link set lo up")?;
        for machine in 0..MACHINES {
            ip(&format!("tuntap add dev tap{machine} mode tap"))?;
            ip(&format!("addr add 10.64.{machine}.1/24 dev tap{machine}"))?;
            ip(&format!("link set tap{machine} up"))?;
        }
        Ok(Self::Tap)
    }

    /// Address for the server to listen on.
    pub fn listen_address(self) -> &'static str {
        match self {
            Self::Tap => TAP_HOST,
            Self::Slirp => "127.0.0.1",
        }
    }

    /// Networks from which the server sees the clients' connections come, as a share names them.
    pub fn client_networks(self) -> String {
        match self {
            Self::Tap => {
                let address = |machine| format!("10.64.{machine}.2/32");
                (0..MACHINES).map(address).collect::<Vec<_>>().join("+")
            }
            Self::Slirp => "127.0.0.0/8".to_owned(),
        }
    }

    /// Address by which the client reaches the server.
    pub fn server_address(self) -> &'static str {
        match self {
            Self::Tap => TAP_HOST,
            Self::Slirp => SLIRP_HOST,
        }
    }

    /// How much longer everything may take than on the fast network.
    pub fn patience(self) -> u32 {
        match self {
            Self::Tap => 1,
            Self::Slirp => 4,
        }
    }

    pub(crate) fn kernel_argument(self, machine: u8) -> String {
        match self {
            Self::Tap => format!("vec0:transport=tap,ifname=tap{machine},depth=64,gro=1"),
            Self::Slirp => "eth0=slirp,,/usr/bin/slirp-fullbolt".to_owned(),
        }
    }

    pub(crate) fn client_commands(self, machine: u8) -> String {
        match self {
            Self::Tap => format!(
                "ip link set lo up && ip addr add 10.64.{machine}.2/24 dev vec0 && ip link set vec0 up \
                 && ip route add default via 10.64.{machine}.1"
            ),
            Self::Slirp => format!(
                "ip link set lo up && ip addr add {SLIRP_CLIENT}/24 dev eth0 && ip link set eth0 up \
                 && ip route add default via {SLIRP_HOST}"
            ),
        }
    }
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("/sbin/ip")
        .args(arguments.split_whitespace())
        .output()
        .context("/sbin/ip (package iproute2)")?;
    if !output.status.success() {
        bail!(
            "ip {arguments}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// The calling thread gets namespaces of its own, which what it starts afterwards shares.
#[allow(unsafe_code)]
pub(crate) fn unshare(namespaces: UnshareFlags) -> Result<()> {
    // SAFETY: NEWNET and NEWNS, which alone are asked for, change what the calling thread sees of the network and of
    // what is mounted; no file descriptor or memory is unshared.
    unsafe { rustix::thread::unshare_unsafe(namespaces)? };
    Ok(())
}
