//! From a directory of files to adapters in this process.

use std::fs;
use std::path::{Path, PathBuf};

use dittofs_host::loader::{Found, Loader};
use dittofs_sdk::host::Instance;
use dittofs_sdk::serde_json::json;
use dittofs_sdk::tokio;
use tempfile::TempDir;

use crate::libraries::{built, hello, miss_a_symbol};
use crate::this::host::start;

/// A directory for adapters, a state directory, and their loader.
struct House {
    adapters: TempDir,
    state: TempDir,
    loader: Loader,
}

impl House {
    fn new() -> Self {
        let (adapters, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let loader = Loader::new(vec![adapters.path().to_owned()], state.path())
            .unwrap()
            .with_checker(PathBuf::from(env!("CARGO_BIN_EXE_adapter-check")));
        Self {
            adapters,
            state,
            loader,
        }
    }

    fn put(&self, library: &Path, name: &str) -> PathBuf {
        let path = self.adapters.path().join(name);
        fs::copy(library, &path).unwrap();
        path
    }

    fn only(&self) -> Found {
        let mut found = self.loader.discover();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    async fn run(&self) -> Instance {
        let plugin = self.loader.load(&self.only()).unwrap();
        let changes = match plugin.manifest().name.as_str() {
            "hello" => json!({"listen": "127.0.0.1:0"}),
            _ => json!({}),
        };
        start(&plugin, changes).await.1.unwrap()
    }
}

#[tokio::test]
async fn a_file_that_was_replaced_is_loaded_as_the_new_code_beside_the_old() {
    let house = House::new();
    house.put(&hello(), "libx_adapter.so");
    let old = house.run().await;

    // In place, which would kill the process if it were the file that is loaded.
    house.put(&built("dittofs_test_probe"), "libx_adapter.so");
    let new = house.run().await;

    assert!(
        old.inspect("greetings").is_some(),
        "the old code still runs"
    );
    assert!(new.inspect("shares").is_some(), "the new code runs");
    assert!(new.inspect("greetings").is_none());
    old.stop().await;
    new.stop().await;
}

#[test]
fn the_same_content_is_staged_once() {
    let house = House::new();
    house.put(&hello(), "libhello_adapter.so");
    house.loader.load(&house.only()).unwrap();
    house.loader.load(&house.only()).unwrap();
    assert_eq!(
        fs::read_dir(house.state.path().join("adapters"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn a_library_that_crashes_when_loaded_kills_only_the_child_and_is_named() {
    let house = House::new();
    let path = house.put(&built("dittofs_test_crasher"), "libcrasher_adapter.so");
    let found = house.only();
    assert_eq!(found.manifest.as_ref().unwrap().name, "crasher");
    let line = house.loader.load(&found).err().unwrap().to_string();
    assert!(
        line.starts_with(&format!("{}: crashes when it is loaded", path.display())),
        "{line}"
    );
}

#[test]
fn what_the_child_refuses_is_said_of_the_file_that_the_operator_knows() {
    let house = House::new();
    let path = house.put(&hello(), "libhello_adapter.so");
    let mut content = fs::read(&path).unwrap();
    miss_a_symbol(&mut content);
    fs::write(&path, content).unwrap();

    let line = house.loader.load(&house.only()).err().unwrap().to_string();
    assert!(
        line.starts_with(&format!("{}: can't be linked", path.display())),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        !line.contains(&house.state.path().display().to_string()),
        "{line}"
    );
}
