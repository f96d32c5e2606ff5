//! SECINFO_NO_NAME: the security flavors that may be used for the current object or the
//! directory above it.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.45>

use super::secinfo::{self, Flavors};
use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::xdr::{xdr_enum, xdr_struct};

xdr_enum! {
    /// secinfo_style4
    pub enum Style {
        /// The current object.
        Current = 0,
        /// The directory above it.
        Parent = 1,
    }
}

xdr_struct! {
    /// SECINFO_NO_NAME4args
    #[derive(Debug)]
    pub struct Args {
        /// Which object.
        pub style: Style,
    } => decode
}

impl Operation for Args {
    type Ok = Flavors;
    type Err = Status;

    fn reply_room(&self) -> usize {
        12
    }

    async fn run(self, cx: &mut Cx) -> Result<Flavors, Status> {
        match self.style {
            Style::Current => {
                cx.object()?;
            }
            Style::Parent => {
                // As LOOKUPP: who may not go there may not ask about it either.
                super::lookupp::parent(cx).await.map_err(super::in_dir)?;
            }
        }
        Ok(secinfo::answer(cx))
    }
}
