use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use dittofs_sdk::vfs::{Cred, FileSystem, Handle, Name, Reaction};
use dittofs_testkit::vfs::{Fixture, wait};

use super::super::{Local, Options, open_core};
use super::*;

/// Passes on what it is told.
struct Telling(Mutex<Sender<Touch>>);

impl Watcher for Telling {
    fn touched(&self, touch: Touch) -> Reaction {
        let _ = self.0.lock().send(touch);
        Reaction::Proceed
    }
}

fn both_ways() -> [Options; 2] {
    [false, true].map(|no_fanotify| Options {
        no_fanotify,
        ..Options::default()
    })
}

fn serve(dir: &Path, options: &Options) -> Local {
    let fs = open_core(dir, options).unwrap();
    assert!(
        fs.info()
            .capabilities
            .contains(dittofs_sdk::vfs::Capabilities::WATCH)
    );
    fs
}

#[test]
fn this_kernel_tells_by_fanotify_and_by_inotify_if_need_be() {
    let dir = tempfile::tempdir().unwrap();
    let means = both_ways().map(|options| {
        let fs = serve(dir.path(), &options);
        fs.core.others.observer.as_ref().unwrap().means()
    });
    assert_eq!(means, ["fanotify", "inotify"]);
}

fn handle(fs: &Local, name: &str) -> Handle {
    let name = Name::new(name.as_bytes()).unwrap();
    wait(fs.lookup(&Cred::root(), &fs.root(), name))
        .unwrap()
        .handle
}

fn watch(fs: &Local, file: &Handle, interest: Touch) -> (Box<dyn Watch>, Receiver<Touch>) {
    let (sender, told) = channel();
    let watcher = Arc::new(Telling(Mutex::new(sender)));
    (wait(fs.watch(file, interest, watcher)).unwrap(), told)
}

/// Has another process do something in `dir`.
fn elsewhere(dir: &Path, command: &str) {
    let done = Command::new("sh")
        .args(["-c", command])
        .current_dir(dir)
        .status();
    assert!(done.unwrap().success(), "{command}");
}

/// What is told until all of `expected` was.
fn all_told(told: &Receiver<Touch>, expected: Touch) -> Touch {
    let mut all = Touch::default();
    while !all.contains(expected) {
        let long = Duration::from_mins(1);
        all = all | told.recv_timeout(long).expect("nobody was told");
    }
    all
}

#[test]
fn what_other_programs_do_is_told() {
    for options in both_ways() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "content").unwrap();
        std::fs::write(dir.path().join("other"), "content").unwrap();
        let fs = serve(dir.path(), &options);
        let file = handle(&fs, "file");
        for (command, touch) in [
            ("cat file", Touch::READ),
            ("echo more >> file", Touch::WRITE),
            (": > file", Touch::WRITE),
            ("chmod 600 file", Touch::META),
            ("ln file second", Touch::META),
            ("mv file third", Touch::META),
            ("rm second", Touch::META),
            ("mv other third", Touch::META),
        ] {
            let (watch, told) = watch(&fs, &file, touch);
            assert!(watch.is_untouched(), "{command}");
            elsewhere(dir.path(), command);
            assert_eq!(all_told(&told, touch), touch, "{command}");
            assert!(!watch.is_untouched(), "{command}");
        }
    }
}

#[test]
fn who_minds_changes_is_not_told_of_reads_nor_of_other_files() {
    for options in both_ways() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["file", "other"] {
            std::fs::write(dir.path().join(name), "content").unwrap();
        }
        let fs = serve(dir.path(), &options);
        let (_all, everything) = watch(&fs, &handle(&fs, "file"), Touch::ANY);
        let (changes, told) = watch(&fs, &handle(&fs, "file"), Touch::CHANGE);
        let (other, _) = watch(&fs, &handle(&fs, "other"), Touch::ANY);
        elsewhere(dir.path(), "cat file");
        all_told(&everything, Touch::READ);
        assert!(changes.is_untouched() && other.is_untouched());
        elsewhere(dir.path(), "echo more >> file");
        all_told(&told, Touch::WRITE);
        assert!(other.is_untouched());
    }
}

#[test]
fn the_end_of_a_watch_leaves_nothing_behind() {
    for options in both_ways() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "content").unwrap();
        let fs = serve(dir.path(), &options);
        let observer = fs.core.others.observer.clone().unwrap();
        let file = handle(&fs, "file");
        let (first, _) = watch(&fs, &file, Touch::ANY);
        let (second, told) = watch(&fs, &file, Touch::WRITE);
        drop(first);
        elsewhere(dir.path(), "echo more >> file");
        all_told(&told, Touch::WRITE);
        drop(second);
        let id = (fs.core.device, wait(fs.attr(&file)).unwrap().fileid);
        assert!(!observer.watches(id));
        assert!(observer.own.begin(&id).is_none());
    }
}

#[test]
fn what_the_server_does_is_not_told_and_what_others_do_after_it_is() {
    for options in both_ways() {
        let dir = tempfile::tempdir().unwrap();
        dittofs_testkit::vfs::own_accesses_are_not_told(&Fixture::new(Arc::new(serve(
            dir.path(),
            &options,
        ))));
        // The check has ended its watch; this one is put after accesses of our own.
        let fs = serve(dir.path(), &options);
        let file = handle(&fs, "file");
        let (watch, told) = watch(&fs, &file, Touch::CHANGE);
        let attr = dittofs_sdk::vfs::SetAttr {
            mode: Some(0o640),
            ..Default::default()
        };
        wait(fs.set_attr(&Cred::root(), &file, &attr)).unwrap();
        fs.core.others.observer.as_ref().unwrap().settled();
        assert!(watch.is_untouched());
        elsewhere(dir.path(), "echo more >> file");
        all_told(&told, Touch::WRITE);
    }
}

#[test]
fn when_events_are_lost_everybody_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "content").unwrap();
    let fs = serve(dir.path(), &Options::default());
    let (watch, told) = watch(&fs, &handle(&fs, "file"), Touch::CHANGE);
    fs.core.others.observer.as_ref().unwrap().lose_events();
    assert_eq!(all_told(&told, Touch::CHANGE), Touch::CHANGE);
    assert!(!watch.is_untouched());
}
