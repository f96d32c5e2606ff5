//! For tests of single operations: a server with three shares in memory, and COMPOUNDs that
//! stand at a place in them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::vfs::{Cred, Kind, NewNode};
use dittofs_sdk::{Share, Squash};
use uuid::Uuid;

use super::{create, lookup, putrootfh};
use crate::attr::FAttr;
use crate::compound::{Cx, Mode, Operation};
use crate::connection::Connection;
use crate::exports::Exports;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::near::Near;
use crate::rpc::{Auth, Call};
use crate::server::Server;
use crate::settings::Settings;
use crate::status::Status;
use crate::types::{Bitmap, Minor};
use crate::xdr::{Encode, Writer};

pub(crate) struct Fixture {
    pub(crate) server: Arc<Server>,
}

/// A share in memory that everybody may use as who they are.
pub(crate) fn share(name: &str) -> Share {
    let options = Options {
        mode: 0o777,
        ..Options::default()
    };
    Share {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        fs: Arc::new(MemoryFs::new(&options).unwrap()),
        read_only: false,
        squash: Squash::None,
        anonymous_uid: 65534,
        anonymous_gid: 65534,
        clients: Vec::new(),
    }
}

impl Fixture {
    /// `/export`, `/ro` that is read-only, and `/deep/down`.
    pub(crate) fn new() -> Self {
        let ro = Share {
            read_only: true,
            ..share("/ro")
        };
        Self::with([share("/export"), ro, share("/deep/down")])
    }

    pub(crate) fn with(shares: impl IntoIterator<Item = Share>) -> Self {
        let shares = shares.into_iter().map(Arc::new).collect();
        let server = Server::new(
            Settings::default(),
            Exports::new(&shares),
            Identity::new(Uuid::nil(), 1),
            Metrics::default(),
        );
        Self {
            server: Arc::new(server),
        }
    }

    /// A COMPOUND of the superuser, without a current file handle.
    pub(crate) fn cx(&self, minor: Minor) -> Cx {
        let address = SocketAddr::from(([127, 0, 0, 1], 1000));
        Cx {
            server: Near::new(&self.server),
            settings: self.server.settings(),
            call: Call {
                connection: Arc::new(Connection::new(address, address)),
                peer: address,
                auth: Auth::Sys(Cred::root()),
                xid: 1,
                digest: 1,
                size: 0,
            },
            mode: match minor {
                Minor::V40 => Mode::V40,
                Minor::V41 | Minor::V42 => Mode::Lone(minor),
            },
            now: Instant::now(),
            current: None,
            seen: None,
            saved: None,
            current_stateid: None,
            saved_stateid: None,
            reply: Writer::default(),
            reply_limit: 1 << 16,
            stopwatch: self.server.metrics.operations.stopwatch(Instant::now()),
            is_last: false,
            shown: None,
        }
    }

    /// A COMPOUND that stands at `path`, such as `export/dir`.
    pub(crate) async fn at(&self, minor: Minor, path: &str) -> Cx {
        let mut cx = self.cx(minor);
        go(&mut cx, path).await.unwrap();
        cx
    }

    /// Makes a node of each kind in `/export`, named `dir`, `symlink` and so on.
    pub(crate) async fn populate(&self) {
        for (name, node) in [
            ("dir", NewNode::Dir),
            ("symlink", NewNode::Symlink(Bytes::from_static(b"target"))),
            ("block", NewNode::Block(1, 2)),
            ("char", NewNode::Char(3, 4)),
            ("fifo", NewNode::Fifo),
            ("socket", NewNode::Socket),
        ] {
            let mut cx = self.at(Minor::V40, "export").await;
            make(&mut cx, name, node).await.unwrap();
        }
        self.file("export", "file").await;
    }

    /// Makes an empty file.
    pub(crate) async fn file(&self, dir: &str, name: &str) {
        use dittofs_sdk::vfs::{CreateHow, Name, OpenAccess, SetAttr};
        let cx = self.at(Minor::V40, dir).await;
        let dir = cx.share_object(Status::Rofs).unwrap();
        let name = Name::new(name.as_bytes()).unwrap();
        let attr = SetAttr {
            mode: Some(0o644),
            ..SetAttr::default()
        };
        let created = dir
            .share
            .fs
            .create(
                &dir.cred,
                &dir.handle,
                name,
                CreateHow::Guarded,
                &attr,
                OpenAccess::Write,
            )
            .await
            .unwrap();
        assert_eq!(created.node.attr.kind, Kind::File);
    }
}

/// From the root along `path`.
pub(crate) async fn go(cx: &mut Cx, path: &str) -> Result<(), Status> {
    putrootfh::Args {}.run(cx).await?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let name = Bytes::copy_from_slice(name.as_bytes());
        lookup::Args { name }.run(cx).await?;
    }
    Ok(())
}

pub(crate) async fn make(cx: &mut Cx, name: &str, node: NewNode) -> Result<create::Ok, Status> {
    create::Args {
        what: create::What::Node(node),
        name: Bytes::copy_from_slice(name.as_bytes()),
        attributes: fattr(&[], ()),
    }
    .run(cx)
    .await
}

/// fattr4 with these values, already in order.
pub(crate) fn fattr(mask: &[u32], values: impl Encode) -> FAttr {
    FAttr {
        mask: Bitmap::of(mask),
        values: encoded(values),
    }
}

pub(crate) fn encoded(value: impl Encode) -> Bytes {
    let mut writer = Writer::default();
    writer.write(&value);
    Bytes::copy_from_slice(writer.as_slice())
}
