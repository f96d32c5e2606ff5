//! The attributes of a file that a client may have changed without having told.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-10.4.3>

use dittofs_sdk::vfs::{Attr, SetAttr, SetTime};

use super::{Access, Reason, are_for_writing, clear};
use crate::attr::{self, FAttr};
use crate::callback::{Answer, Call};
use crate::compound::Cx;
use crate::exports::ShareObject;
use crate::state::files::{Touch, Writer};
use crate::status::Status;
use crate::types::Bitmap;
use crate::xdr::{BadXdr, Reader};

/// What a client is asked for.
const ASKED: Bitmap = Bitmap::of(&[attr::CHANGE, attr::SIZE]);
/// What follows from that.
const TOUCHED: Bitmap = Bitmap::of(&[
    attr::CHANGE,
    attr::SIZE,
    attr::TIME_METADATA,
    attr::TIME_MODIFY,
]);

/// Whoever may have changed, without having told, what the attributes `wanted` of a file are.
pub fn writer_elsewhere(cx: &Cx, object: &ShareObject, wanted: Bitmap) -> Option<Writer> {
    if wanted.and(TOUCHED).is_empty() || !are_for_writing(cx) {
        return None;
    }
    let files = &cx.server.state.files;
    files.writer_elsewhere(&object.key(), cx.likely_client())
}

/// The attributes of a file as they would be if its delegate had written all that it has.
pub async fn as_delegate_sees(
    cx: &Cx,
    object: &ShareObject,
    writer: Writer,
) -> Result<Attr, Status> {
    if let Some(told) = ask(cx, object, &writer).await {
        return told.apply(cx, object, &writer).await;
    }
    // What it has can't be known before it has given the delegation back.
    let access = Access::new(cx, object.key(), Touch::Look, Reason::Getattr);
    drop(clear(cx, access).await?);
    Ok(object.share.fs.attr(&object.handle).await?)
}

async fn ask(cx: &Cx, object: &ShareObject, writer: &Writer) -> Option<Told> {
    let client = cx.server.state.clients.find(writer.client)?;
    let call = Call::GetAttr {
        file: object.key().file_handle(),
        wanted: ASKED,
    };
    match cx.server.callbacks.call(&client, &call).await {
        Ok(Answer::Attrs(attrs)) => Told::read(&attrs).ok(),
        _ => None,
    }
}

/// What the client has said.
struct Told {
    change: u64,
    size: u64,
}

impl Told {
    /// Attributes that were not asked for stand behind these and are of no interest.
    fn read(attrs: &FAttr) -> Result<Self, BadXdr> {
        const BEFORE: Bitmap = Bitmap::of(&[0, 1, 2]);
        if attrs.mask.and(ASKED) != ASKED || !attrs.mask.and(BEFORE).is_empty() {
            return Err(BadXdr);
        }
        let mut reader = Reader::new(attrs.values.clone());
        Ok(Self {
            change: reader.read()?,
            size: reader.read()?,
        })
    }

    /// A file that was changed looks as if the change had been made here now. That is written down,
    /// so that nothing goes backwards if the client never writes what it has.
    async fn apply(self, cx: &Cx, object: &ShareObject, writer: &Writer) -> Result<Attr, Status> {
        let fs = &object.share.fs;
        let attr = fs.attr(&object.handle).await?;
        if self.change == writer.granted && self.size == attr.size {
            return Ok(attr);
        }
        let now = SetAttr {
            mtime: Some(SetTime::Now),
            ..SetAttr::default()
        };
        let mut attr = fs
            .set_attr(&writer.cred, &object.handle, &now)
            .await
            .unwrap_or(attr);
        if let Some(change) = cx.server.state.files.next_change(writer, attr.change) {
            attr.change = change;
            attr.size = self.size;
        }
        Ok(attr)
    }
}
