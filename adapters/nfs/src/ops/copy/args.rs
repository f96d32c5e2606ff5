//! What COPY is asked for.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-15.2.1>

use bytes::Bytes;

use crate::types::StateId;
use crate::xdr::{BadXdr, Decode, Reader, xdr_struct};

xdr_struct! {
    /// COPY4args
    #[derive(Debug)]
    pub struct Args {
        /// The open, lock or delegation of the saved file, under which to read.
        pub source: StateId,
        /// The open, lock or delegation of the current file, under which to write.
        pub target: StateId,
        /// First byte of the source.
        pub source_offset: u64,
        /// First byte of the target.
        pub target_offset: u64,
        /// Number of bytes; 0 for all to the end of the source.
        pub count: u64,
        /// Whether the bytes have to be copied in their order.
        pub consecutive: bool,
        /// Whether the reply has to wait for the end.
        pub synchronous: bool,
        /// Where the source is; nowhere else, if this is empty.
        pub servers: Vec<Location>,
    } => decode
}

/// netloc4
#[derive(Debug)]
pub enum Location {
    /// NL4_NAME
    Name(Bytes),
    /// NL4_URL
    Url(Bytes),
    /// NL4_NETADDR: network and universal address.
    Address(Bytes, Bytes),
}

impl Decode for Location {
    fn decode(reader: &mut Reader) -> Result<Self, BadXdr> {
        match reader.read::<u32>()? {
            1 => reader.read().map(Self::Name),
            2 => reader.read().map(Self::Url),
            3 => Ok(Self::Address(reader.read()?, reader.read()?)),
            _ => Err(BadXdr),
        }
    }
}
