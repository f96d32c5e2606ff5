//! Commits of settings, on an adapter without a library.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::db::Location;

/// An adapter that remembers what was put into force.
struct Fake {
    schema: Schema,
    in_force: Mutex<Option<Value>>,
    refuses: Mutex<Option<Error>>,
}

impl Fake {
    fn new() -> Self {
        let json = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "lease_time": {"type": "integer", "minimum": 10, "maximum": 3600, "x-applies": "live"},
                "grace": {"type": "integer", "minimum": 10, "x-applies": "next-grace"},
                "mode": {"$ref": "#/$defs/Mode"},
                "name": {"type": "string", "maxLength": 5},
                "blocked": {"type": "array", "items": {"type": "string", "enum": ["OPEN", "READ"]}},
                "on": {"type": "boolean"},
            },
            "$defs": {"Mode": {"type": "string", "enum": ["fast", "safe"]}},
        });
        let defaults = json!({"lease_time": 90, "grace": 90, "mode": "safe", "name": "", "blocked": [], "on": true});
        Self {
            schema: Schema::new(json, defaults).unwrap(),
            in_force: Mutex::new(Some(Value::Null)),
            refuses: Mutex::default(),
        }
    }

    fn in_force(&self) -> Value {
        self.in_force.lock().clone().unwrap()
    }
}

impl Target for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn check(&self, settings: &Value) -> Result<(), Vec<FieldError>> {
        if settings["grace"].as_i64() < settings["lease_time"].as_i64() {
            return Err(vec![FieldError::new(
                "grace",
                "must be at least lease_time",
            )]);
        }
        Ok(())
    }

    async fn reconfigure(&self, settings: &Value) -> Option<Result<Applied, Error>> {
        self.in_force.lock().as_ref()?;
        if let Some(error) = self.refuses.lock().take() {
            return Some(Err(error));
        }
        *self.in_force.lock() = Some(settings.clone());
        Some(Ok(Applied {
            pending_restart: vec!["name".to_owned()],
        }))
    }
}

struct Case {
    db: Database,
    fake: Arc<Fake>,
    settings: Settings,
    _dir: tempfile::TempDir,
}

impl Case {
    async fn new(overrides: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&Location::Sqlite(dir.path().join("state.db")))
            .await
            .unwrap();
        let settings = Settings::new(StoredSettings::default(), fields(overrides));
        Self {
            db,
            fake: Arc::new(Fake::new()),
            settings,
            _dir: dir,
        }
    }

    async fn commit(&mut self, change: Change) -> Result<api::Settings, SettingsError> {
        self.settings
            .commit(&self.db, &*self.fake, change, None, false)
            .await
    }

    async fn stored(&self) -> StoredSettings {
        self.db.settings("fake").await.unwrap()
    }
}

fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else {
        panic!("{value} is no object")
    };
    fields
}

fn merge(value: Value) -> Change {
    Change::Merge(fields(value))
}

fn invalid(error: SettingsError) -> (String, String) {
    let SettingsError::Invalid(errors) = error else {
        panic!("{error}")
    };
    (errors[0].field.clone(), errors[0].message.clone())
}

#[tokio::test]
async fn a_change_is_in_force_and_stored_and_counted() {
    let mut case = Case::new(json!({})).await;
    let answer = case
        .commit(merge(json!({"lease_time": 60, "name": "x"})))
        .await
        .unwrap();
    assert_eq!(answer.version, 1);
    assert_eq!(answer.values["lease_time"], 60);
    assert_eq!(answer.applied["lease_time"], api::Applied::Live);
    assert_eq!(answer.applied["name"], api::Applied::Restart);
    assert_eq!(case.fake.in_force()["lease_time"], 60);
    assert_eq!(case.fake.in_force()["mode"], "safe");
    assert_eq!(case.stored().await.version, 1);
    let answer = case.commit(merge(json!({"grace": 91}))).await.unwrap();
    assert_eq!(
        (answer.version, answer.values["lease_time"].clone()),
        (2, json!(60))
    );
    assert_eq!(answer.applied["grace"], api::Applied::NextGrace);
    assert_eq!(case.db.settings_history("fake", 9).await.unwrap().len(), 2);

    let view = case.settings.view(case.fake.schema(), false);
    assert_eq!(
        view.applied.keys().collect::<Vec<_>>(),
        ["name"],
        "still waits for a start"
    );
    case.settings.started();
    assert!(
        case.settings
            .view(case.fake.schema(), false)
            .applied
            .is_empty()
    );
}

#[tokio::test]
async fn a_value_out_of_range_names_field_and_range_and_changes_nothing() {
    let mut case = Case::new(json!({})).await;
    for (change, field, message) in [
        (
            json!({"lease_time": 5}),
            "lease_time",
            "must be between 10 and 3600",
        ),
        (json!({"grace": 5}), "grace", "must be at least 10"),
        (json!({"mode": "slow"}), "mode", "must be one of fast, safe"),
        (json!({"lease_time": "x"}), "lease_time", "integer"),
        (json!({"name": "too long"}), "name", "5"),
        (json!({"blocked": ["OPEN", "X"]}), "blocked.1", "X"),
        (
            json!({"lease_time": 100}),
            "grace",
            "must be at least lease_time",
        ),
    ] {
        let (got, said) = invalid(case.commit(merge(change.clone())).await.unwrap_err());
        assert_eq!(got, field, "{change}");
        assert!(said.contains(message), "{change}: {said}");
    }
    assert_eq!(case.fake.in_force(), Value::Null);
    assert_eq!(case.stored().await.version, 0);
}

#[tokio::test]
async fn an_unknown_setting_is_refused() {
    let mut case = Case::new(json!({})).await;
    for change in [
        merge(json!({"leese": 5})),
        Change::Reset("leese".to_owned()),
    ] {
        let error = case.commit(change).await.unwrap_err();
        let SettingsError::Unknown(errors) = error else {
            panic!("{error}")
        };
        assert_eq!(errors[0].field, "leese");
    }
}

#[tokio::test]
async fn when_the_adapter_refuses_nothing_is_stored() {
    let mut case = Case::new(json!({})).await;
    *case.fake.refuses.lock() = Some(Error::failed("no"));
    let error = case
        .commit(merge(json!({"lease_time": 60})))
        .await
        .unwrap_err();
    assert!(matches!(error, SettingsError::Refused(_)), "{error}");
    *case.fake.refuses.lock() = Some(Error::field("name", "taken"));
    assert_eq!(
        invalid(case.commit(merge(json!({"name": "x"}))).await.unwrap_err()).0,
        "name"
    );
    assert_eq!(
        (case.stored().await.version, case.settings.version()),
        (0, 0)
    );
}

#[tokio::test]
async fn when_the_database_fails_the_old_values_come_back_into_force() {
    let mut case = Case::new(json!({})).await;
    case.commit(merge(json!({"lease_time": 60}))).await.unwrap();
    case.db.close().await;
    let error = case
        .commit(merge(json!({"lease_time": 70})))
        .await
        .unwrap_err();
    assert!(matches!(error, SettingsError::Database(_)), "{error}");
    assert_eq!(case.fake.in_force()["lease_time"], 60);
    assert_eq!(case.settings.version(), 1);
    assert_eq!(
        case.settings.view(case.fake.schema(), false).values["lease_time"],
        60
    );
}

#[tokio::test]
async fn another_hosts_write_is_noticed_and_taken_up() {
    let mut case = Case::new(json!({})).await;
    case.db
        .put_settings("fake", 0, &fields(json!({"lease_time": 50})))
        .await
        .unwrap();
    let error = case
        .commit(merge(json!({"lease_time": 70})))
        .await
        .unwrap_err();
    assert!(
        matches!(error, SettingsError::Stale { current: 1 }),
        "{error}"
    );
    assert_eq!(case.fake.in_force()["lease_time"], 90);
    let view = case.settings.view(case.fake.schema(), false);
    assert_eq!(view.values["lease_time"], 50);
    assert_eq!(view.applied["lease_time"], api::Applied::Restart);
}

#[tokio::test]
async fn a_stale_version_is_refused_before_anything_else() {
    let mut case = Case::new(json!({})).await;
    case.commit(merge(json!({"lease_time": 60}))).await.unwrap();
    let change = merge(json!({"lease_time": 70}));
    let stale = case
        .settings
        .commit(&case.db, &*case.fake, change.clone(), Some(0), false)
        .await;
    assert!(matches!(
        stale.unwrap_err(),
        SettingsError::Stale { current: 1 }
    ));
    let fresh = case
        .settings
        .commit(&case.db, &*case.fake, change, Some(1), false)
        .await;
    assert_eq!(fresh.unwrap().version, 2);
}

#[tokio::test]
async fn a_dry_run_answers_and_changes_nothing() {
    let mut case = Case::new(json!({})).await;
    let change = merge(json!({"lease_time": 60}));
    let answer = case
        .settings
        .commit(&case.db, &*case.fake, change, None, true)
        .await
        .unwrap();
    assert_eq!(
        (answer.version, answer.values["lease_time"].clone()),
        (0, json!(60))
    );
    let bad = merge(json!({"lease_time": 6}));
    let error = case
        .settings
        .commit(&case.db, &*case.fake, bad, None, true)
        .await
        .unwrap_err();
    assert_eq!(invalid(error).0, "lease_time");
    assert_eq!(case.fake.in_force(), Value::Null);
    assert_eq!(case.stored().await.version, 0);
}

#[tokio::test]
async fn replace_and_reset_give_the_other_fields_their_defaults_back() {
    let mut case = Case::new(json!({})).await;
    case.commit(merge(
        json!({"lease_time": 60, "on": false, "mode": "fast"}),
    ))
    .await
    .unwrap();
    let answer = case
        .commit(Change::Replace(fields(
            json!({"lease_time": 61, "mode": "fast"}),
        )))
        .await
        .unwrap();
    assert_eq!(
        (
            answer.values["lease_time"].clone(),
            answer.values["on"].clone()
        ),
        (json!(61), json!(true))
    );
    let answer = case
        .commit(Change::Reset("lease_time".to_owned()))
        .await
        .unwrap();
    assert_eq!(
        (
            answer.values["lease_time"].clone(),
            answer.values["mode"].clone()
        ),
        (json!(90), json!("fast"))
    );
    let answer = case.commit(Change::ResetAll).await.unwrap();
    assert_eq!(
        (answer.version, answer.values["mode"].clone()),
        (4, json!("safe"))
    );
    assert_eq!(case.fake.in_force()["mode"], "safe");
    assert!(case.stored().await.fields.is_empty());
}

#[tokio::test]
async fn an_override_is_in_force_shown_and_never_stored() {
    let mut case = Case::new(json!({"lease_time": 20})).await;
    let answer = case
        .commit(merge(json!({"lease_time": 60, "on": false})))
        .await
        .unwrap();
    assert_eq!(answer.values["lease_time"], 60);
    assert_eq!(answer.overrides["lease_time"], 20);
    assert_eq!(answer.applied["lease_time"], api::Applied::Overridden);
    assert_eq!(case.fake.in_force()["lease_time"], 20);
    assert_eq!(
        case.stored().await.fields,
        fields(json!({"lease_time": 60, "on": false}))
    );
    let schema = case.fake.schema();
    assert_eq!(case.settings.view(schema, true).values["lease_time"], 20);
    assert_eq!(case.settings.view(schema, false).values["lease_time"], 60);
}

#[tokio::test]
async fn without_an_instance_a_change_waits_for_the_start() {
    let mut case = Case::new(json!({})).await;
    *case.fake.in_force.lock() = None;
    let answer = case.commit(merge(json!({"lease_time": 60}))).await.unwrap();
    assert_eq!(answer.applied["lease_time"], api::Applied::Restart);
    assert_eq!(
        case.settings.effective(&*case.fake).unwrap()["lease_time"],
        60
    );
}

#[test]
fn text_is_read_as_the_schema_says() {
    let fake = Fake::new();
    for (field, text, value) in [
        ("lease_time", "60", json!(60)),
        ("on", "false", json!(false)),
        ("mode", "fast", json!("fast")),
        ("name", "60", json!("60")),
        ("name", "a,b", json!("a,b")),
        ("blocked", "OPEN,READ", json!(["OPEN", "READ"])),
        ("blocked", "OPEN", json!(["OPEN"])),
        ("blocked", "", json!([])),
        ("blocked", "[\"READ\"]", json!(["READ"])),
    ] {
        assert_eq!(fake.schema.parse(field, text), Ok(value), "{field}={text}");
    }
    let error = fake.schema.parse("lease_time", "6").unwrap_err();
    assert_eq!(error.to_string(), "lease_time: must be between 10 and 3600");
    assert_eq!(fake.schema.parse("leese", "6").unwrap_err().field, "leese");
}

#[test]
fn ranges_come_from_the_schema() {
    let ranges = Fake::new().schema.ranges();
    let lease = &ranges["lease_time"];
    assert_eq!(
        (lease.min.clone(), lease.max.clone()),
        (Some(json!(10)), Some(json!(3600)))
    );
    assert_eq!(ranges["mode"].values, [json!("fast"), json!("safe")]);
    assert!(!ranges.contains_key("on"));
}

#[test]
fn a_schema_that_its_own_defaults_do_not_fit_is_refused() {
    let json = json!({"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}});
    let error = Schema::new(json.clone(), json!({"x": 0})).err().unwrap();
    assert!(error.contains("x: must be at least 1"), "{error}");
    assert!(Schema::new(json, json!([])).is_err());
    assert!(Schema::new(json!({"type": "nothing"}), json!({})).is_err());
}
