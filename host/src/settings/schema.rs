//! The settings of an adapter as its JSON schema describes them.

use std::collections::BTreeMap;

use dittofs_api::{Applied, Fields, Range};
use dittofs_sdk::FieldError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// An adapter's schema, ready to validate.
pub struct Schema {
    json: Value,
    defaults: Fields,
    validator: Validator,
}

impl Schema {
    /// From what the adapter says; the error says what is wrong with that.
    pub fn new(json: Value, defaults: Value) -> Result<Self, String> {
        let validator = jsonschema::validator_for(&json)
            .map_err(|e| format!("the settings' schema is no JSON schema: {e}"))?;
        let Value::Object(defaults) = defaults else {
            return Err("the default settings are not an object".to_owned());
        };
        let schema = Self {
            json,
            defaults,
            validator,
        };
        let mut wrong = Vec::new();
        schema.check_values(&schema.defaults, &mut wrong);
        match wrong.first() {
            Some(error) => Err(format!(
                "the default settings do not fit their own schema: {error}"
            )),
            None => Ok(schema),
        }
    }

    /// The JSON schema.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Every field's default.
    pub fn defaults(&self) -> &Fields {
        &self.defaults
    }

    /// Whether there is such a setting.
    pub fn knows(&self, field: &str) -> bool {
        self.defaults.contains_key(field) || self.property(field).is_some()
    }

    /// The defaults with `layers` on top, later ones winning.
    pub fn complete(&self, layers: &[&Fields]) -> Fields {
        let mut complete = self.defaults.clone();
        for layer in layers {
            complete.extend(
                layer
                    .iter()
                    .map(|(field, value)| (field.clone(), value.clone())),
            );
        }
        complete
    }

    /// Checks complete settings; every field that is wrong is named with what would be right.
    pub fn validate(&self, settings: &Fields) -> Result<(), Vec<FieldError>> {
        let mut wrong: Vec<FieldError> = settings
            .keys()
            .filter(|field| !self.knows(field))
            .map(|field| FieldError::new(field, "there is no such setting"))
            .collect();
        self.check_values(settings, &mut wrong);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The value that `text`, from a command line, means for `field`: JSON where that fits,
    /// else the text itself, else a list of its parts between commas.
    pub fn parse(&self, field: &str, text: &str) -> Result<Value, FieldError> {
        if !self.knows(field) {
            return Err(FieldError::new(field, "there is no such setting"));
        }
        let parts = text.split(',').filter(|part| !part.is_empty());
        let candidates = [
            serde_json::from_str(text).ok(),
            Some(Value::from(text)),
            Some(parts.map(Value::from).collect::<Value>()),
        ];
        let mut first_error = None;
        for value in candidates.into_iter().flatten() {
            let mut settings = self.defaults.clone();
            settings.insert(field.to_owned(), value.clone());
            match self.validate(&settings) {
                Ok(()) => return Ok(value),
                Err(errors) => first_error = first_error.or_else(|| errors.into_iter().next()),
            }
        }
        Err(first_error.unwrap_or_else(|| FieldError::new(field, "can't be understood")))
    }

    /// When a change of `field` takes effect, as the adapter declares.
    pub fn applies(&self, field: &str) -> Applied {
        let declared = self
            .raw_property(field)
            .and_then(|property| property.get("x-applies"));
        match declared.and_then(Value::as_str) {
            Some("live") => Applied::Live,
            Some("next-grace") => Applied::NextGrace,
            _ => Applied::Restart,
        }
    }

    /// The limits of the fields that have any.
    pub fn ranges(&self) -> BTreeMap<String, Range> {
        self.defaults
            .keys()
            .map(|field| (field.clone(), self.range(field)))
            .filter(|(_, range)| *range != Range::default())
            .collect()
    }

    fn check_values(&self, settings: &Fields, wrong: &mut Vec<FieldError>) {
        let settings = Value::Object(settings.clone());
        for error in self.validator.iter_errors(&settings) {
            let error = self.explain(&error);
            if !wrong.iter().any(|known| known.field == error.field) {
                wrong.push(error);
            }
        }
    }

    fn explain(&self, error: &ValidationError<'_>) -> FieldError {
        let path = error.instance_path().to_string();
        let path = path.trim_start_matches('/');
        let field = path.split('/').next().unwrap_or_default();
        let message = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let name = unexpected.first().map_or("", String::as_str);
                return FieldError::new(name, "there is no such setting");
            }
            ValidationErrorKind::Required { property } => {
                return FieldError::new(property.as_str().unwrap_or_default(), "is missing");
            }
            ValidationErrorKind::Minimum { .. }
            | ValidationErrorKind::Maximum { .. }
            | ValidationErrorKind::Enum { .. }
            | ValidationErrorKind::OneOfNotValid { .. }
                if path == field =>
            {
                self.range_message(field)
            }
            _ => None,
        };
        FieldError::new(
            path.replace('/', "."),
            message.unwrap_or_else(|| error.to_string()),
        )
    }

    fn range_message(&self, field: &str) -> Option<String> {
        let range = self.range(field);
        if !range.values.is_empty() {
            let values: Vec<String> = range.values.iter().map(plain).collect();
            return Some(format!("must be one of {}", values.join(", ")));
        }
        match (range.min, range.max) {
            (Some(min), Some(max)) => Some(format!("must be between {min} and {max}")),
            (Some(min), None) => Some(format!("must be at least {min}")),
            (None, Some(max)) => Some(format!("must be at most {max}")),
            (None, None) => None,
        }
    }

    fn range(&self, field: &str) -> Range {
        let Some(property) = self.property(field) else {
            return Range::default();
        };
        let listed = property
            .get("enum")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let constants = property
            .get("oneOf")
            .and_then(Value::as_array)
            .map(|variants| {
                variants
                    .iter()
                    .filter_map(|variant| variant.get("const"))
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .unwrap_or_default();
        Range {
            min: property.get("minimum").cloned(),
            max: property.get("maximum").cloned(),
            values: if listed.is_empty() { constants } else { listed },
        }
    }

    fn raw_property(&self, field: &str) -> Option<&Value> {
        self.json.get("properties")?.get(field)
    }

    /// The field's schema, with a reference into the same document followed.
    fn property(&self, field: &str) -> Option<&Value> {
        let property = self.raw_property(field)?;
        let target = property
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|text| text.strip_prefix('#'));
        Some(
            target
                .and_then(|pointer| self.json.pointer(pointer))
                .unwrap_or(property),
        )
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
