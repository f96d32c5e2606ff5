//! PUTFH: a file handle that the client has becomes the current one.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.19>

use crate::compound::{Cx, Operation};
use crate::exports;
use crate::status::Status;
use crate::types::GivenHandle;
use crate::xdr::xdr_struct;

xdr_struct! {
    /// PUTFH4args
    #[derive(Debug)]
    pub struct Args {
        /// The file handle.
        pub object: GivenHandle,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        0
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        let object = exports::resolve(&cx.server.exports(), &cx.call, self.object.as_bytes())?;
        cx.set_current(object);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::{Fixture, encoded, share};
    use crate::types::{FileHandle, Minor};
    use crate::xdr::Reader;
    use dittofs_sdk::Share;

    fn args(handle: FileHandle) -> Args {
        Reader::new(encoded(handle)).read().unwrap()
    }

    #[tokio::test]
    async fn a_file_handle_leads_back_to_its_object() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for path in ["", "deep", "export", "export/file"] {
            let mut cx = fixture.at(Minor::V41, path).await;
            let there = cx.object().unwrap().clone();
            let handle = there.file_handle();
            cx.current = None;
            args(handle).run(&mut cx).await.unwrap();
            assert!(cx.object().unwrap().same_as(&there), "{path}");
        }
    }

    #[tokio::test]
    async fn bytes_that_were_never_a_file_handle_are_refused() {
        let fixture = Fixture::new();
        let mut cx = fixture.cx(Minor::V41);
        for bytes in [
            &b""[..],
            b"x",
            b"\x01",
            b"\x01\x00abc",
            b"\x01\x01abc",
            &[9; 128],
        ] {
            let args = args(FileHandle::of(&[bytes]));
            assert_eq!(args.run(&mut cx).await, Err(Status::Badhandle));
        }
    }

    #[tokio::test]
    async fn the_gate_is_there_for_who_kept_a_handle_too() {
        let open = share("/export");
        let closed = Share {
            clients: vec!["192.0.2.0/24".parse().unwrap()],
            ..open.clone()
        };
        let before = Fixture::with([open]);
        let handle = before
            .at(Minor::V41, "export")
            .await
            .current
            .unwrap()
            .file_handle();
        for after in [Fixture::with([closed]), Fixture::with([])] {
            let mut cx = after.cx(Minor::V41);
            assert_eq!(args(handle).run(&mut cx).await, Err(Status::Stale));
        }
    }
}
