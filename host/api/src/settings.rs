//! The settings of one adapter: the host knows them only by the schema that the adapter declares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Settings by field name, as in the adapter's own struct.
pub type Fields = Map<String, Value>;

/// A JSON Schema (2020-12) of an object, with `x-applies`, `x-group` and `x-unit` at its
/// properties.
pub type SettingsSchema = Value;

/// The settings of one adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Counts the changes; also the `ETag`.
    pub version: u64,
    /// Every field as stored, defaults filled in.
    pub values: Fields,
    /// Fields that the command line of this run decides instead, with the value in force.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub overrides: Fields,
    /// When this request's changes take effect, by field; and in every answer the fields whose
    /// stored value is not in force yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub applied: BTreeMap<String, Applied>,
}

/// When a stored value is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applied {
    /// It is already.
    Live,
    /// At the adapter's next grace period.
    NextGrace,
    /// At the adapter's next start.
    Restart,
    /// When the host runs without the override on its command line.
    Overridden,
}

/// What the settings are without any change, and what they may be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Defaults {
    /// Every field's default.
    pub defaults: Fields,
    /// The limits of the fields that have any.
    #[serde(default)]
    pub ranges: BTreeMap<String, Range>,
}

/// The limits of one field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The least, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The most, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// All that there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}
