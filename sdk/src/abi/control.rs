//! The values of the host's and the adapter's own calls in their frozen form at the border.

use std::net::IpAddr;

use abi_stable::StableAbi;
use abi_stable::std_types::{RErr, ROk, RResult, RString, RVec};
use ipnet::IpNet;
use uuid::Uuid;

use super::bytes::WireBytes;
use super::fs::{FsObject, borrow, lend};
use crate::metrics::{FamilyKind, FamilySpec};
use crate::{Applied, Error, FieldError, Health, Share, Squash, State};

#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireFieldError {
    field: RString,
    message: RString,
}

impl From<FieldError> for WireFieldError {
    fn from(error: FieldError) -> Self {
        Self {
            field: error.field.into(),
            message: error.message.into(),
        }
    }
}

impl From<WireFieldError> for FieldError {
    fn from(wire: WireFieldError) -> Self {
        Self::new(wire.field, wire.message)
    }
}

/// About settings if there are `fields`, else with a `message`.
#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireError {
    message: RString,
    fields: RVec<WireFieldError>,
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        let message = error.to_string().into();
        let fields = match error {
            Error::Settings(fields) => fields.into_iter().map(Into::into).collect(),
            Error::Failed(_) => RVec::new(),
        };
        Self { message, fields }
    }
}

impl From<WireError> for Error {
    fn from(wire: WireError) -> Self {
        if wire.fields.is_empty() {
            return Self::Failed(wire.message.into());
        }
        Self::Settings(wire.fields.into_iter().map(Into::into).collect())
    }
}

/// A result in its form at the border.
pub(super) fn result_out<T, W: From<T>>(result: Result<T, Error>) -> RResult<W, WireError> {
    match result {
        Ok(value) => ROk(value.into()),
        Err(error) => RErr(error.into()),
    }
}

/// The reverse of [`result_out`].
pub(super) fn result_in<T, W: Into<T>>(result: RResult<W, WireError>) -> Result<T, Error> {
    match result {
        ROk(value) => Ok(value.into()),
        RErr(error) => Err(error.into()),
    }
}

#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireState {
    format: u32,
    bytes: WireBytes,
}

impl From<State> for WireState {
    fn from(state: State) -> Self {
        Self {
            format: state.format,
            bytes: state.bytes.into(),
        }
    }
}

impl From<WireState> for State {
    fn from(wire: WireState) -> Self {
        Self {
            format: wire.format,
            bytes: wire.bytes.into(),
        }
    }
}

#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireApplied {
    pending_restart: RVec<RString>,
    reserved: [u64; 2],
}

impl From<Applied> for WireApplied {
    fn from(applied: Applied) -> Self {
        Self {
            pending_restart: applied
                .pending_restart
                .into_iter()
                .map(Into::into)
                .collect(),
            reserved: [0; 2],
        }
    }
}

impl From<WireApplied> for Applied {
    fn from(wire: WireApplied) -> Self {
        Self {
            pending_restart: wire.pending_restart.into_iter().map(Into::into).collect(),
        }
    }
}

/// `which`: 0 serving, 1 degraded, 2 failed.
#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireHealth {
    which: u32,
    message: RString,
}

impl From<Health> for WireHealth {
    fn from(health: Health) -> Self {
        let (which, message) = match health {
            Health::Serving => (0, String::new()),
            Health::Degraded(why) => (1, why),
            Health::Failed(why) => (2, why),
        };
        Self {
            which,
            message: message.into(),
        }
    }
}

impl From<WireHealth> for Health {
    fn from(wire: WireHealth) -> Self {
        match wire.which {
            0 => Self::Serving,
            1 => Self::Degraded(wire.message.into()),
            2 => Self::Failed(wire.message.into()),
            other => Self::Degraded(format!("health {other} is unknown here: {}", wire.message)),
        }
    }
}

/// `kind`: 0 counter, 1 gauge, 2 histogram with `buckets`.
#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireFamilySpec {
    name: RString,
    help: RString,
    labels: RVec<RString>,
    kind: u32,
    buckets: RVec<f64>,
    reserved: [u64; 2],
}

impl From<FamilySpec> for WireFamilySpec {
    fn from(spec: FamilySpec) -> Self {
        let (kind, buckets) = match spec.kind {
            FamilyKind::Counter => (0, Vec::new()),
            FamilyKind::Gauge => (1, Vec::new()),
            FamilyKind::Histogram(buckets) => (2, buckets),
        };
        Self {
            name: spec.name.into(),
            help: spec.help.into(),
            labels: spec.labels.into_iter().map(Into::into).collect(),
            kind,
            buckets: buckets.into(),
            reserved: [0; 2],
        }
    }
}

impl TryFrom<WireFamilySpec> for FamilySpec {
    type Error = Error;
    fn try_from(wire: WireFamilySpec) -> Result<Self, Error> {
        let kind = match wire.kind {
            0 => FamilyKind::Counter,
            1 => FamilyKind::Gauge,
            2 => FamilyKind::Histogram(wire.buckets.into()),
            other => {
                let name = &wire.name;
                return Err(Error::failed(format!(
                    "metric {name}: this host has no metrics of kind {other}; update the host"
                )));
            }
        };
        Ok(Self {
            name: wire.name.into(),
            help: wire.help.into(),
            labels: wire.labels.into_iter().map(Into::into).collect(),
            kind,
        })
    }
}

/// An address of 4 or 16 bytes and the length of its prefix.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
struct WireNet {
    address: [u8; 16],
    v6: u32,
    prefix: u32,
}

impl From<IpNet> for WireNet {
    fn from(net: IpNet) -> Self {
        let (address, v6) = match net.addr() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), 0),
            IpAddr::V6(v6) => (v6.octets(), 1),
        };
        Self {
            address,
            v6,
            prefix: u32::from(net.prefix_len()),
        }
    }
}

impl WireNet {
    fn value(self) -> Option<IpNet> {
        let v6 = IpAddr::from(self.address);
        let address = if self.v6 == 0 { v6.to_canonical() } else { v6 };
        IpNet::new(address, u8::try_from(self.prefix).ok()?).ok()
    }
}

#[repr(C)]
#[derive(StableAbi)]
pub(super) struct WireShare {
    id: [u8; 16],
    name: RString,
    fs: FsObject,
    read_only: u32,
    squash: u32,
    anonymous_uid: u32,
    anonymous_gid: u32,
    clients: RVec<WireNet>,
    reserved: [u64; 8],
}

impl From<&Share> for WireShare {
    fn from(share: &Share) -> Self {
        Self {
            id: *share.id.as_bytes(),
            name: share.name.as_str().into(),
            fs: lend(share.fs.clone()),
            read_only: u32::from(share.read_only),
            squash: match share.squash {
                Squash::None => 0,
                Squash::Root => 1,
                Squash::All => 2,
            },
            anonymous_uid: share.anonymous_uid,
            anonymous_gid: share.anonymous_gid,
            clients: share.clients.iter().map(|&net| net.into()).collect(),
            reserved: [0; 8],
        }
    }
}

impl WireShare {
    /// The share, or the name of one that this side can't show safely: what can't be understood
    /// must not be exported with fewer restrictions than the host meant.
    pub(super) fn value(self) -> Result<Share, String> {
        let name = String::from(self.name);
        let clients: Option<Vec<IpNet>> = self.clients.iter().map(|net| net.value()).collect();
        let squash = match self.squash {
            0 => Some(Squash::None),
            1 => Some(Squash::Root),
            2 => Some(Squash::All),
            _ => None,
        };
        match (squash, clients, borrow(self.fs)) {
            (Some(squash), Some(clients), Ok(fs)) => Ok(Share {
                id: Uuid::from_bytes(self.id),
                name,
                fs,
                read_only: self.read_only != 0,
                squash,
                anonymous_uid: self.anonymous_uid,
                anonymous_gid: self.anonymous_gid,
                clients,
            }),
            _ => Err(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_cross() {
        for text in [
            "10.0.0.0/8",
            "2001:db8::/32",
            "::ffff:10.0.0.0/104",
            "0.0.0.0/0",
            "::/0",
        ] {
            let net: IpNet = text.parse().unwrap();
            assert_eq!(WireNet::from(net).value(), Some(net));
        }
    }

    #[test]
    fn errors_and_health_cross() {
        for error in [Error::failed("why"), Error::field("listen", "is taken")] {
            assert_eq!(Error::from(WireError::from(error.clone())), error);
        }
        for health in [
            Health::Serving,
            Health::Degraded("a".into()),
            Health::Failed("b".into()),
        ] {
            assert_eq!(Health::from(WireHealth::from(health.clone())), health);
        }
    }

    #[test]
    fn numbers_that_are_unknown_here_are_errors() {
        let health = WireHealth {
            which: 9,
            message: "new".into(),
        };
        assert!(matches!(Health::from(health), Health::Degraded(why) if why.contains("new")));

        let spec = FamilySpec {
            name: "x".into(),
            help: "x".into(),
            labels: vec![],
            kind: FamilyKind::Counter,
        };
        let wire = WireFamilySpec {
            kind: 9,
            ..spec.into()
        };
        assert!(FamilySpec::try_from(wire).is_err());
    }
}
