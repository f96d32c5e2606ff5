//! SECINFO: the security flavors that may be used for an entry of the current directory.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.29>

use bytes::Bytes;

use crate::compound::{Cx, Operation};
use crate::status::Status;
use crate::types::Minor;
use crate::xdr::xdr_struct;

/// The flavors that every share accepts, strongest first: AUTH_SYS, and AUTH_NONE, which is
/// served as the anonymous user.
const FLAVORS: [u32; 2] = [1, 0];

/// SECINFO4resok: flavors, none of which has parameters.
pub type Flavors = Vec<u32>;

xdr_struct! {
    /// SECINFO4args
    #[derive(Debug)]
    pub struct Args {
        /// The entry.
        pub name: Bytes,
    } => decode
}

impl Operation for Args {
    type Ok = Flavors;
    type Err = Status;

    fn reply_room(&self) -> usize {
        4 + 4 * FLAVORS.len()
    }

    async fn run(self, cx: &mut Cx) -> Result<Flavors, Status> {
        // Who may not look the entry up may not ask about it either.
        super::lookup::entry(cx, &self.name)
            .await
            .map_err(super::in_dir)?;
        Ok(answer(cx))
    }
}

/// The flavors. In 4.1 the answer consumes the file handle (RFC 8881 §2.6.3.1.1.8).
pub(super) fn answer(cx: &mut Cx) -> Flavors {
    if cx.minor() > Minor::V40 {
        cx.current = None;
        cx.current_stateid = None;
    }
    FLAVORS.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::fixture::Fixture;
    use crate::ops::secinfo_no_name::{self, Style};

    async fn secinfo(cx: &mut Cx, name: &'static str) -> Result<Flavors, Status> {
        let name = Bytes::from_static(name.as_bytes());
        Args { name }.run(cx).await
    }

    #[tokio::test]
    async fn the_answer_consumes_the_file_handle_in_minor_version_1() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V40, "").await;
        assert_eq!(secinfo(&mut cx, "export").await, Ok(vec![1, 0]));
        assert!(cx.current.is_some());
        let mut cx = fixture.at(Minor::V41, "").await;
        assert_eq!(secinfo(&mut cx, "export").await, Ok(vec![1, 0]));
        assert!(cx.current.is_none());
    }

    #[tokio::test]
    async fn a_refusal_keeps_the_file_handle() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for (path, status) in [
            ("export", Status::Noent),
            ("export/file", Status::Notdir),
            ("export/symlink", Status::Notdir),
        ] {
            let mut cx = fixture.at(Minor::V41, path).await;
            assert_eq!(secinfo(&mut cx, "nothing").await, Err(status));
            assert!(cx.current.is_some());
        }
    }

    #[tokio::test]
    async fn without_a_name_the_object_or_its_parent_is_meant() {
        let fixture = Fixture::new();
        for (path, style, expected) in [
            ("", Style::Current, Ok(vec![1, 0])),
            ("", Style::Parent, Err(Status::Noent)),
            ("export", Style::Parent, Ok(vec![1, 0])),
        ] {
            let mut cx = fixture.at(Minor::V41, path).await;
            let answer = secinfo_no_name::Args { style }.run(&mut cx).await;
            assert_eq!(cx.current.is_none(), answer.is_ok());
            assert_eq!(answer, expected, "{path} {style:?}");
        }
    }
}
