//! LAYOUTRETURN: gives layouts back.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.44>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::StateId;
use crate::xdr::{BadXdr, Decode, Reader, xdr_struct};

xdr_struct! {
    /// LAYOUTRETURN4args
    #[derive(Debug)]
    pub struct Args {
        /// Whether this is after the server's restart.
        pub reclaim: bool,
        /// Type of layout.
        pub layout: u32,
        /// layoutiomode4
        pub io_mode: u32,
        /// Which layouts.
        pub which: Which,
    } => decode
}

/// layoutreturn4
#[derive(Debug)]
pub enum Which {
    /// LAYOUTRETURN4_FILE: of the current file.
    File {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// The layout.
        stateid: StateId,
        /// In the layout type's own format.
        body: Bytes,
    },
    /// LAYOUTRETURN4_FSID: of the current object's file system.
    FileSystem,
    /// LAYOUTRETURN4_ALL
    All,
}

impl Decode for Which {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            1 => Ok(Self::File {
                offset: reader.read()?,
                length: reader.read()?,
                stateid: reader.read()?,
                body: reader.read()?,
            }),
            2 => Ok(Self::FileSystem),
            3 => Ok(Self::All),
            _ => Err(BadXdr),
        }
    }
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    /// This server has no pNFS: the operation is not offered (RFC 8881 §17).
    async fn run(self, _cx: &mut Cx) -> Result<(), Status> {
        Err(Status::Notsupp)
    }
}
