//! The same tests on both databases.

use serde_json::json;
use sqlx::migrate::Migration;

use super::*;
use dittofs_tests::postgres::Postgres;

/// What keeps a test's database alive.
enum Backing {
    Sqlite(tempfile::TempDir),
    Postgres(Postgres),
}

impl Backing {
    fn both() -> [Self; 2] {
        [
            Self::Sqlite(tempfile::tempdir().unwrap()),
            Self::Postgres(Postgres::start().unwrap()),
        ]
    }

    fn location(&self) -> Location {
        match self {
            Self::Sqlite(dir) => Location::Sqlite(dir.path().join("a b%?.db")),
            Self::Postgres(server) => Location::Postgres(server.url()),
        }
    }
}

fn fields(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    let serde_json::Value::Object(fields) = value else {
        panic!("{value} is no object")
    };
    fields
}

#[tokio::test]
async fn everything_is_kept_over_a_restart_on_both_databases() {
    for backing in Backing::both() {
        let db = Database::open(&backing.location()).await.unwrap();
        adapters(&db).await;
        settings(&db).await;
        shares(&db).await;
        kv(&db).await;
        db.close().await;

        let db = Database::open(&backing.location()).await.unwrap();
        db.ping().await.unwrap();
        assert!(!db.adapter_enabled("a").await.unwrap());
        assert_eq!(db.settings("a").await.unwrap().version, 2);
        assert_eq!(db.shares().await.unwrap().len(), 1);
        assert_eq!(db.kv_get("a", "k").await.unwrap().unwrap(), b"\0\xff");
        db.close().await;
    }
}

/// A database as the hosts before the second migration left it, with one share.
async fn first_schema(backing: &Backing) {
    sqlx::any::install_default_drivers();
    let (url, migrator) = match backing.location() {
        Location::Sqlite(path) => (format!("{}?mode=rwc", sqlite_url(&path)), &SQLITE),
        Location::Postgres(url) => (url, &POSTGRES),
    };
    let first: Vec<Migration> = migrator.iter().take(1).cloned().collect();
    let pool = AnyPool::connect(&url).await.unwrap();
    Migrator::with_migrations(first).run(&pool).await.unwrap();
    sqlx::query(
        "INSERT INTO shares (id, name, backend, path, read_only, squash, anonymous_uid, anonymous_gid, clients, \
         created_at) VALUES ('1', '/old', 'local', '/srv', 0, 'root', 65534, 65534, '', 7)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
}

#[tokio::test]
async fn shares_of_before_always_look_attributes_up() {
    for backing in Backing::both() {
        first_schema(&backing).await;
        let db = Database::open(&backing.location()).await.unwrap();
        let [old] = db.shares().await.unwrap().try_into().unwrap();
        assert_eq!((old.name.as_str(), old.attribute_cache_ms), ("/old", 0));
        let new = ShareRow {
            id: "2".to_owned(),
            name: "/new".to_owned(),
            attribute_cache_ms: 250,
            ..old.clone()
        };
        assert!(db.insert_share(&new).await.unwrap());
        assert_eq!(db.shares().await.unwrap(), [new, old]);
        db.close().await;
    }
}

async fn adapters(db: &Database) {
    assert!(
        db.adapter_enabled("a").await.unwrap(),
        "new ones are wanted"
    );
    db.set_adapter_enabled("a", false).await.unwrap();
    assert!(!db.adapter_enabled("a").await.unwrap());
}

async fn settings(db: &Database) {
    assert_eq!(db.settings("a").await.unwrap(), StoredSettings::default());
    let (one, two) = (
        fields(json!({"x": 1})),
        fields(json!({"x": 2, "ä": [true]})),
    );
    assert_eq!(db.put_settings("a", 0, &one).await.unwrap(), Some(1));
    assert_eq!(
        db.put_settings("a", 0, &two).await.unwrap(),
        None,
        "somebody was faster"
    );
    assert_eq!(db.put_settings("a", 1, &two).await.unwrap(), Some(2));
    assert_eq!(db.put_settings("a", 1, &one).await.unwrap(), None);
    assert_eq!(
        db.settings("a").await.unwrap(),
        StoredSettings {
            version: 2,
            fields: two.clone()
        }
    );
    let history = db.settings_history("a", 10).await.unwrap();
    let versions: Vec<_> = history
        .iter()
        .map(|row| (row.version, &row.fields))
        .collect();
    assert_eq!(versions, [(2, &two), (1, &one)]);
    assert!(history[0].changed_at >= history[1].changed_at);
}

async fn shares(db: &Database) {
    let share = ShareRow {
        id: "b2a9d1c6-2f3e-4f7a-9d55-0a4f6a1c9e10".to_owned(),
        name: "/a".to_owned(),
        backend: "memory".to_owned(),
        path: None,
        attribute_cache_ms: 0,
        read_only: true,
        squash: "all".to_owned(),
        anonymous_uid: u32::MAX,
        anonymous_gid: 0,
        clients: "10.0.0.0/8+::1/128".to_owned(),
    };
    assert!(db.insert_share(&share).await.unwrap());
    assert!(
        !db.insert_share(&ShareRow {
            id: "other".to_owned(),
            ..share.clone()
        })
        .await
        .unwrap()
    );
    let local = ShareRow {
        id: "2".to_owned(),
        name: "/b".to_owned(),
        path: Some("/srv".to_owned()),
        attribute_cache_ms: 60_000,
        ..share.clone()
    };
    assert!(db.insert_share(&local).await.unwrap());
    assert_eq!(db.shares().await.unwrap(), [share, local]);
    assert!(db.delete_share("/b").await.unwrap());
    assert!(!db.delete_share("/b").await.unwrap());
    assert_eq!(db.run_share_id("/x=/srv", "first").await.unwrap(), "first");
    assert_eq!(db.run_share_id("/x=/srv", "second").await.unwrap(), "first");
}

async fn kv(db: &Database) {
    assert_eq!(db.kv_get("a", "k").await.unwrap(), None);
    for (adapter, key, value) in [
        ("a", "k", &b"old"[..]),
        ("a", "k", b"\0\xff"),
        ("a", "kä2", b"2"),
        ("a", "k1", b""),
        ("a", "%", b"p"),
        ("b", "k", b"theirs"),
    ] {
        db.kv_put(adapter, key, value).await.unwrap();
    }
    let list = |prefix: &'static str| async move {
        let pairs = db.kv_list("a", prefix).await.unwrap();
        pairs.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(list("k").await, ["k", "k1", "kä2"]);
    assert_eq!(list("kä").await, ["kä2"]);
    assert_eq!(list("%").await, ["%"], "a prefix is no pattern");
    assert_eq!(list("").await.len(), 4);
    db.kv_delete("a", "k1").await.unwrap();
    db.kv_delete("a", "k1").await.unwrap();
    assert_eq!(list("k").await, ["k", "kä2"]);
    let value = vec![7; MAX_VALUE];
    db.kv_put("a", &"l".repeat(MAX_KEY), &value).await.unwrap();
    for (key, value) in [
        ("", &value),
        (&"l".repeat(MAX_KEY + 1), &value),
        ("l", &vec![7; MAX_VALUE + 1]),
    ] {
        assert!(matches!(
            db.kv_put("a", key, value).await,
            Err(DbError::Limit(_))
        ));
    }
}

#[tokio::test]
async fn a_corrupt_file_is_named_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.db");
    Database::open(&Location::Sqlite(whole.clone()))
        .await
        .unwrap()
        .close()
        .await;
    let mut damaged = std::fs::read(&whole).unwrap();
    for byte in damaged.iter_mut().skip(100).step_by(7) {
        *byte ^= 0xa5;
    }
    let short = b"SQLite format 3\0 and no more".to_vec();
    for (name, content) in [
        ("text", b"hello, world, this is text".to_vec()),
        ("damaged", damaged),
        ("short", short),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, &content).unwrap();
        let error = Database::open(&Location::Sqlite(path.clone()))
            .await
            .err()
            .unwrap();
        let line = error.to_string();
        assert!(matches!(error, DbError::Corrupt { .. }), "{line}");
        assert!(
            line.contains(name) && line.contains("restore") && line.lines().count() == 1,
            "{line}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), content, "{name}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_host_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(dir.path().join("state.db"));
    let db = Database::open(&location).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', 1, X'00', 0)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    db.close().await;
    let error = Database::open(&location).await.err().unwrap();
    assert!(
        matches!(error, DbError::Newer { version: 9999, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_its_password() {
    let location =
        Location::Postgres("postgres://u:secret@localhost/d?host=/nonexistent".to_owned());
    let line = Database::open(&location).await.err().unwrap().to_string();
    assert!(
        line.contains("localhost/d") && !line.contains("secret"),
        "{line}"
    );
}

#[tokio::test]
async fn what_a_put_has_answered_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&Location::Sqlite(dir.path().join("state.db")))
        .await
        .unwrap();
    for (pragma, value) in [("PRAGMA journal_mode", "wal"), ("PRAGMA synchronous", "2")] {
        let row = sqlx::query(pragma).fetch_one(&db.pool).await.unwrap();
        let got = row
            .try_get::<String, _>(0)
            .or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string()));
        assert_eq!(got.unwrap(), value, "{pragma}");
    }
}
