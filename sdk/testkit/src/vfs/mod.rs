//! The checks that every file system must pass.
//!
//! A backend names a way to make an empty file system, and gets one test per check:
//!
//! ```ignore
//! dittofs_testkit::vfs_conformance!(|| Fixture::new(memory()));
//! ```
//!
//! The root directory must belong to user 0 or to the user that the tests run as. Checks that
//! need other users say so and end early where the file system lacks
//! [`Capabilities::IDENTITY`](dittofs_sdk::vfs::Capabilities::IDENTITY) and does not judge by
//! permission bits alone.

mod acl;
mod attrs;
mod create;
mod data;
mod dirs;
mod names;
mod permissions;
mod ranges;
mod rename;
mod watch;
mod xattrs;

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use dittofs_sdk::vfs::{
    Attr, Buffer, CreateHow, Created, Cred, File, FileSystem, Handle, Name, NewNode, Node, Op,
    OpenAccess, ReadDirLimit, SetAttr, Stability, VfsError, VfsResult,
};

pub use acl::*;
pub use attrs::*;
pub use create::*;
pub use data::*;
pub use dirs::*;
pub use names::*;
pub use permissions::*;
pub use ranges::*;
pub use rename::*;
pub use watch::*;
pub use xattrs::*;

/// One entry of a listing, by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: Bytes,
    cookie: u64,
    fileid: u64,
    node: Option<Node>,
}

/// An empty file system, and what must live as long as it.
pub struct Fixture {
    fs: Arc<dyn FileSystem>,
    owner: Cred,
    /// Another view of the same files.
    others: Option<Arc<dyn FileSystem>>,
    _keeps: Option<Box<dyn Any>>,
}

impl Fixture {
    /// A file system whose root directory belongs to the superuser.
    pub fn new(fs: Arc<dyn FileSystem>) -> Self {
        Self {
            fs,
            owner: Cred::root(),
            others: None,
            _keeps: None,
        }
    }

    /// Keeps `what` (a temporary directory, say) until the check is done.
    #[must_use]
    pub fn keeping(self, what: impl Any) -> Self {
        Self {
            _keeps: Some(Box::new(what)),
            ..self
        }
    }

    /// With another view of the same files, as others have it.
    #[must_use]
    pub fn with_others(self, others: Arc<dyn FileSystem>) -> Self {
        Self {
            others: Some(others),
            ..self
        }
    }

    /// The file system.
    pub fn fs(&self) -> &Arc<dyn FileSystem> {
        &self.fs
    }

    fn root(&self) -> Handle {
        self.fs.root()
    }

    /// A file with this content, of the superuser unless said otherwise.
    fn file(&self, dir: &Handle, name: &str, content: &[u8]) -> Node {
        let made = self
            .create(&self.owner, dir, name, CreateHow::Guarded, 0o644)
            .unwrap();
        if !content.is_empty() {
            write(&made.file, 0, content);
        }
        Node {
            attr: self.attr(&made.node.handle),
            ..made.node
        }
    }

    fn dir(&self, dir: &Handle, name: &str, mode: u32) -> Handle {
        self.make(&self.owner, dir, name, &NewNode::Dir, mode)
            .unwrap()
            .handle
    }

    fn make(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: &str,
        what: &NewNode,
        mode: u32,
    ) -> VfsResult<Node> {
        let attr = with_mode(mode);
        wait(self.fs.make(cred, dir, self::name(name), what, &attr)).map(|made| made.node)
    }

    fn create(
        &self,
        cred: &Cred,
        dir: &Handle,
        name: &str,
        how: CreateHow,
        mode: u32,
    ) -> VfsResult<Created> {
        let attr = with_mode(mode);
        wait(
            self.fs
                .create(cred, dir, self::name(name), how, &attr, OpenAccess::Both),
        )
    }

    fn open(&self, cred: &Cred, file: &Handle, access: OpenAccess) -> VfsResult<Arc<dyn File>> {
        wait(self.fs.open(cred, file, access))
    }

    fn lookup(&self, cred: &Cred, dir: &Handle, name: &str) -> VfsResult<Node> {
        wait(self.fs.lookup(cred, dir, self::name(name)))
    }

    fn find(&self, dir: &Handle, name: &str) -> VfsResult<Node> {
        self.lookup(&self.owner, dir, name)
    }

    fn attr(&self, object: &Handle) -> Attr {
        wait(self.fs.attr(object)).unwrap()
    }

    fn set(&self, cred: &Cred, object: &Handle, changes: SetAttr) -> VfsResult<Attr> {
        wait(self.fs.set_attr(cred, object, &changes))
    }

    fn give(&self, object: &Handle, uid: u32, gid: u32, mode: u32) {
        let changes = SetAttr {
            uid: Some(uid),
            gid: Some(gid),
            mode: Some(mode),
            ..SetAttr::default()
        };
        self.set(&self.owner, object, changes).unwrap();
    }

    fn remove(&self, cred: &Cred, dir: &Handle, name: &str) -> VfsResult<()> {
        wait(self.fs.remove(cred, dir, self::name(name))).map(drop)
    }

    fn rename(&self, from: (&Handle, &str), to: (&Handle, &str)) -> VfsResult<()> {
        self.rename_as(&self.owner, from, to)
    }

    fn rename_as(&self, cred: &Cred, from: (&Handle, &str), to: (&Handle, &str)) -> VfsResult<()> {
        wait(self.fs.rename(cred, from.0, name(from.1), to.0, name(to.1))).map(drop)
    }

    fn link(&self, cred: &Cred, object: &Handle, dir: &Handle, name: &str) -> VfsResult<()> {
        wait(self.fs.link(cred, object, dir, self::name(name))).map(drop)
    }

    /// All entries, in pieces of `step`.
    fn list(&self, dir: &Handle, step: u32, attrs: bool) -> Vec<Entry> {
        let mut all: Vec<Entry> = Vec::new();
        loop {
            let after = all.last().map_or(0, |entry| entry.cookie);
            let limit = ReadDirLimit {
                entries: step,
                attrs,
            };
            let piece = wait(self.fs.read_dir(&self.owner, dir, after, limit)).unwrap();
            assert!(piece.len() <= step as usize);
            assert!(
                !piece.is_empty() || piece.eof(),
                "an empty listing that goes on"
            );
            all.extend(piece.iter().map(|entry| Entry {
                name: Bytes::copy_from_slice(entry.name()),
                cookie: entry.cookie(),
                fileid: entry.fileid(),
                node: entry.node().unwrap(),
            }));
            if piece.eof() {
                return all;
            }
        }
    }

    fn names(&self, dir: &Handle) -> Vec<String> {
        let all = self.list(dir, 100, false).into_iter();
        let mut names: Vec<String> = all
            .map(|entry| String::from_utf8(entry.name.to_vec()).unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The answer of an operation, on a runtime that has nothing but this thread.
pub fn wait<T>(op: Op<T>) -> VfsResult<T> {
    match op {
        Op::Ready(answer) => answer,
        later @ Op::Later(_) => tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(later),
    }
}

fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).unwrap()
}

fn with_mode(mode: u32) -> SetAttr {
    SetAttr {
        mode: Some(mode),
        ..SetAttr::default()
    }
}

fn write(file: &Arc<dyn File>, offset: u64, data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    let len = data.len();
    let done = wait(file.write(offset, data, Stability::Unstable)).unwrap();
    assert_eq!(done.count as usize, len);
}

fn read(file: &Arc<dyn File>, offset: u64, count: u32) -> (Vec<u8>, bool) {
    let ok = wait(file.read(offset, count, Buffer::default())).unwrap();
    (ok.buffer.to_vec(), ok.eof)
}

/// The one error that is expected.
fn refused<T>(answer: VfsResult<T>, error: VfsError) {
    assert_eq!(answer.map(drop), Err(error));
}

/// One `#[test]` for each check, in a module of its own.
#[macro_export]
macro_rules! vfs_conformance {
    ($fixture:expr) => {
        $crate::vfs_conformance! { @ $fixture;
            a_name_leads_to_its_object
            names_are_bytes
            the_longest_name_is_kept
            a_file_is_no_directory
            a_link_is_not_followed
            the_root_has_no_parent
            parents_are_found
            handles_survive_a_rename
            handles_of_removed_objects_are_stale
            handles_are_never_reused
            garbage_is_no_handle
            symlinks_keep_their_bytes
            special_files_keep_their_device
            a_listing_has_every_entry_once
            a_listing_in_small_steps_is_complete
            a_listing_resumes_after_removals
            twenty_thousand_entries_are_listed
            listed_nodes_are_those_found
            an_impossible_cookie_is_refused
            guarded_creates_once
            unchecked_opens_what_is_there
            exclusive_knows_its_retry
            exclusive_is_forgotten_when_times_are_set
            modes_come_out_as_asked
            a_file_without_permissions_is_still_open_to_its_creator
            create_refuses_other_kinds
            one_of_many_creators_wins
            creation_sets_owner_size_and_times
            what_is_written_is_read
            holes_read_as_zeros
            a_huge_file_needs_no_space
            truncation_forgets
            a_removed_file_stays_open
            commit_and_stable_writes_are_acknowledged
            reading_ends_at_the_end
            an_empty_write_changes_nothing
            a_file_beyond_the_limit_is_refused
            open_refuses_other_kinds
            every_mutation_moves_the_change_counter
            directory_changes_are_reported
            times_are_exact
            time_now_is_now
            impossible_times_are_refused
            attributes_are_sane
            links_count
            a_size_needs_a_file
            a_symlinks_owner_and_times_are_its_own
            the_file_system_knows_its_space
            rename_moves_and_replaces
            rename_onto_itself_does_nothing
            rename_of_a_missing_name
            rename_refuses_other_kinds
            rename_over_a_full_directory
            rename_into_itself
            rename_moves_a_directory_to_another_parent
            links_and_their_refusals
            removal_and_its_refusals
            permission_bits_decide
            directories_need_search_and_write
            only_owners_change_attributes
            a_group_is_given_to_members_only
            writers_touch_times
            sticky_directories_protect
            setgid_directories_pass_on_their_group
            setuid_goes_when_others_write
            setuid_goes_when_the_owner_changes
            setgid_is_for_members
            who_may_execute_may_read
            access_tells_what_is_granted
            xattrs_are_set_read_listed_and_removed
            xattrs_are_created_and_replaced
            xattrs_move_the_change_counter
            xattrs_need_permission
            xattr_names_are_bytes
            xattr_values_have_a_limit
            xattrs_are_listed_in_steps
            xattrs_belong_to_the_object
            xattrs_are_for_files_and_directories
            a_watch_is_for_files
            own_accesses_are_not_told
            others_are_told_and_wait
            others_proceed_if_the_watcher_says_so
            without_a_list_the_mode_is_one
            list_and_mode_agree
            a_new_list_moves_the_change_counter
            owners_set_lists_of_their_kind
            lists_decide
            one_group_must_grant_it_all
            lists_of_directories_decide
            a_default_list_is_inherited
            an_owner_given_keeps_what_was_inherited
            a_creation_mask_takes_away
            a_new_object_has_the_list_it_was_made_with
            long_lists_are_kept
            extents_tell_data_from_holes
            allocation_grows_a_file_and_keeps_its_content
            deallocation_makes_holes
            clones_have_the_same_content
            clones_refuse_odd_ranges
            copies_have_the_same_content
            copies_leave_holes
            copies_refuse_odd_ranges
            advice_is_taken
        }
    };
    (@ $fixture:expr; $($check:ident)+) => {
        $(
            #[test]
            fn $check() {
                $crate::vfs::$check(&($fixture)());
            }
        )+
    };
}
