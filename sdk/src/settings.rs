//! Settings: one struct is schema, defaults, documentation, validation and flags.
//!
//! Use serde and schemars as usual, with `#[serde(default, deny_unknown_fields)]` on the struct.
//! - Field documentation is the help text of the flag.
//! - `#[schemars(range(min = .., max = ..))]`, `#[schemars(length(..))]` and enums validate.
//! - `#[schemars(extend("x-applies" = "live"))]` says when a change takes effect: `live`,
//!   `next-grace` or `restart`. Without it: `restart`.
//! - `#[schemars(extend("x-group" = "Timeouts"))]` is the heading under which it is shown.
//! - `#[schemars(extend("x-unit" = "s"))]` is its unit.
//!
//! [`settings!`](crate::settings!) writes the derives and the defaults.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, FieldError};

/// The JSON schema of `S`.
pub fn schema<S: JsonSchema>() -> Value {
    schemars::schema_for!(S).to_value()
}

/// The defaults of `S` as JSON.
pub fn defaults<S: Default + Serialize>() -> Result<Value, Error> {
    serde_json::to_value(S::default())
        .map_err(|error| Error::failed(format!("the defaults can't be written as JSON: {error}")))
}

/// Settings out of JSON; each error names its field.
pub fn parse<S>(settings: &Value) -> Result<S, Vec<FieldError>>
where
    S: DeserializeOwned + Serialize + JsonSchema + Default,
{
    let Some(given) = settings.as_object() else {
        return Err(vec![FieldError::new("", "settings are a JSON object")]);
    };
    let schema = schema::<S>();
    let known: Vec<&str> = schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|fields| fields.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let unknown: Vec<FieldError> = given
        .keys()
        .filter(|field| !known.contains(&field.as_str()))
        .map(|field| FieldError::new(field, unknown_field(field, &known)))
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    S::deserialize(settings).map_err(|error| blame::<S>(given, &error.to_string()))
}

fn unknown_field(field: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|&name| (distance(field, name), name))
        .min();
    match nearest {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => {
            format!("there is no such setting; did you mean {name}?")
        }
        _ => format!("there is no such setting; there are {}", known.join(", ")),
    }
}

/// Which fields are wrong: those that defaults are not taken with.
fn blame<S>(given: &serde_json::Map<String, Value>, whole: &str) -> Vec<FieldError>
where
    S: DeserializeOwned + Serialize + Default,
{
    let base = defaults::<S>()
        .ok()
        .and_then(|value| value.as_object().cloned())
        .unwrap_or_default();
    let wrong: Vec<FieldError> = given
        .iter()
        .filter_map(|(field, value)| {
            let mut attempt = base.clone();
            attempt.insert(field.clone(), value.clone());
            let error = S::deserialize(Value::Object(attempt)).err()?;
            Some(FieldError::new(field, error.to_string()))
        })
        .collect();
    if wrong.is_empty() {
        return vec![FieldError::new("", whole)];
    }
    wrong
}

/// Edit distance (Levenshtein), to find what was meant.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let best = (diagonal + usize::from(from != to))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Declares a settings struct: each field has its default beside it, and the derives that
/// [`Adapter::Settings`](crate::Adapter::Settings) needs are added.
///
/// ```
/// dittofs_sdk::settings! {
///     /// Settings of an adapter that counts.
///     pub struct Settings {
///         /// Where counting stops.
///         #[schemars(range(min = 1), extend("x-applies" = "live"))]
///         pub limit: u32 = 10,
///     }
/// }
/// assert_eq!(Settings::default().limit, 10);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, PartialEq,
            $crate::serde::Serialize, $crate::serde::Deserialize, $crate::schemars::JsonSchema,
        )]
        #[serde(crate = "dittofs_sdk::serde", default, deny_unknown_fields)]
        #[schemars(crate = "dittofs_sdk::schemars")]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    crate::settings! {
        /// For tests.
        struct Sample {
            /// Seconds.
            #[schemars(range(min = 1, max = 9))]
            lease_time: u32 = 5,
            /// Text.
            greeting: String = "hi".to_owned(),
        }
    }

    fn refusal(settings: &Value) -> String {
        Error::Settings(parse::<Sample>(settings).unwrap_err()).to_string()
    }

    #[test]
    fn one_struct_is_schema_defaults_and_documentation() {
        let schema = schema::<Sample>();
        let lease = &schema["properties"]["lease_time"];
        assert_eq!(lease["description"], "Seconds.");
        assert_eq!(
            (&lease["minimum"], &lease["maximum"]),
            (&json!(1), &json!(9))
        );
        assert_eq!(lease["default"], 5);
        assert_eq!(
            defaults::<Sample>().unwrap(),
            json!({"lease_time": 5, "greeting": "hi"})
        );
    }

    #[test]
    fn a_setting_that_is_left_out_has_its_default() {
        let sample: Sample = parse(&json!({"lease_time": 7})).unwrap();
        assert_eq!(
            sample,
            Sample {
                lease_time: 7,
                ..Sample::default()
            }
        );
    }

    #[test]
    fn an_unknown_setting_is_refused_with_what_was_meant() {
        assert_eq!(
            refusal(&json!({"leasetime": 7})),
            "leasetime: there is no such setting; did you mean lease_time?"
        );
        assert_eq!(
            refusal(&json!({"port": 7})),
            "port: there is no such setting; there are greeting, lease_time"
        );
    }

    #[test]
    fn every_setting_of_a_wrong_type_is_named() {
        let refusal = refusal(&json!({"lease_time": "x", "greeting": 3}));
        assert!(refusal.contains("lease_time: invalid type"), "{refusal}");
        assert!(refusal.contains("greeting: invalid type"), "{refusal}");
        assert!(parse::<Sample>(&json!([])).is_err());
    }
}
