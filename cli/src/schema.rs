//! An adapter's settings as its JSON schema declares them (JSON Schema 2020-12, as schemars
//! writes it). The command line knows settings only through this.
//!
//! The host validates; what is read here is what a person needs to see and what catches a
//! mistake before it is sent. A property in a form unknown here is still settable, as JSON.

use serde_json::{Number, Value};

use crate::text::{one_line, plain};

/// Longest chain of `$ref` that is followed, so that a cyclic schema ends.
const MAX_REFERENCES: usize = 8;

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    /// Its name in JSON.
    pub(crate) name: String,
    /// What it does.
    pub(crate) doc: String,
    /// The heading it is shown under.
    pub(crate) group: String,
    /// Its unit.
    pub(crate) unit: Option<String>,
    /// When a change takes effect.
    pub(crate) applies: String,
    /// Its value when nobody changed it.
    pub(crate) default: Option<Value>,
    /// What it may be.
    pub(crate) kind: Kind,
    /// Whether it may also be `null`.
    pub(crate) nullable: bool,
}

/// What a setting may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// True or false.
    Bool,
    /// A whole number within limits, inclusive.
    Integer {
        min: Option<i128>,
        max: Option<i128>,
    },
    /// A number within limits, inclusive.
    Number { min: Option<f64>, max: Option<f64> },
    /// One of these.
    Choice(Vec<Choice>),
    /// Any text.
    Text,
    /// Several of these.
    List(Box<Kind>),
    /// Something else, given as JSON.
    Json,
}

/// One of the values of a [`Kind::Choice`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    pub(crate) value: Value,
    pub(crate) doc: String,
}

/// The settings that `schema` declares, by group and, within it, in the schema's order.
pub(crate) fn fields(schema: &Value) -> Vec<Field> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut fields: Vec<Field> = properties
        .into_iter()
        .flatten()
        .map(|(name, property)| field(schema, name, property))
        .collect();
    fields.sort_by(|a, b| a.group.cmp(&b.group));
    fields
}

fn field(root: &Value, name: &str, property: &Value) -> Field {
    let (kind, nullable) = kind(root, property, MAX_REFERENCES);
    Field {
        name: name.to_owned(),
        doc: doc(root, property),
        group: text(root, property, "x-group").unwrap_or_else(|| "General".to_owned()),
        unit: text(root, property, "x-unit"),
        applies: text(root, property, "x-applies").unwrap_or_else(|| "restart".to_owned()),
        default: property.get("default").cloned(),
        kind,
        nullable,
    }
}

impl Kind {
    /// The value that `text` means, or what would be right.
    pub(crate) fn parse(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Bool => text
                .parse()
                .map(Value::Bool)
                .map_err(|_| "must be true or false".to_owned()),
            Self::Integer { min, max } => integer(text, *min, *max),
            Self::Number { min, max } => number(text, *min, *max),
            Self::Choice(choices) => choices
                .iter()
                .find(|choice| plain(&choice.value) == text)
                .map(|choice| choice.value.clone())
                .ok_or_else(|| {
                    let all: Vec<_> = choices.iter().map(|choice| plain(&choice.value)).collect();
                    format!("must be one of {}", all.join(", "))
                }),
            Self::Text => Ok(Value::String(text.to_owned())),
            Self::List(_) if text.is_empty() => Ok(Value::Array(Vec::new())),
            Self::List(item) => text
                .split(',')
                .map(|part| {
                    item.parse(part.trim())
                        .map_err(|error| format!("{part}: {error}"))
                })
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Self::Json => {
                serde_json::from_str(text).map_err(|error| format!("must be JSON: {error}"))
            }
        }
    }

    /// What stands for the value in help.
    pub(crate) fn placeholder(&self) -> String {
        match self {
            Self::Bool => "true|false".to_owned(),
            Self::Integer { .. } | Self::Number { .. } => "N".to_owned(),
            Self::Choice(_) => "CHOICE".to_owned(),
            Self::Text => "TEXT".to_owned(),
            Self::List(item) => format!("{},…", item.placeholder()),
            Self::Json => "JSON".to_owned(),
        }
    }

    /// Its limits, for help.
    pub(crate) fn limits(&self) -> Option<String> {
        match self {
            Self::Integer { min, max } => range(*min, *max),
            Self::Number { min, max } => range(*min, *max),
            Self::List(item) => item.limits(),
            Self::Choice(choices) => {
                let all: Vec<_> = choices.iter().map(Choice::explained).collect();
                Some(format!("one of {}", all.join(", ")))
            }
            _ => None,
        }
    }
}

impl Choice {
    fn explained(&self) -> String {
        let value = plain(&self.value);
        if self.doc.is_empty() {
            value
        } else {
            format!("{value} ({})", self.doc.trim_end_matches('.'))
        }
    }
}

/// What `property` accepts, and whether `null` is among it.
fn kind(root: &Value, property: &Value, references: usize) -> (Kind, bool) {
    if let Some(target) = reference(root, property) {
        return if references == 0 {
            (Kind::Json, false)
        } else {
            kind(root, target, references - 1)
        };
    }
    if let Some(variants) = alternatives(property) {
        return alternative(root, variants, references);
    }
    if let Some(choices) = choices(property) {
        let nullable = choices.iter().any(|choice| choice.value.is_null());
        return (
            Kind::Choice(choices.into_iter().filter(|c| !c.value.is_null()).collect()),
            nullable,
        );
    }
    let (types, nullable) = types(property);
    let kind = match types.as_slice() {
        ["boolean"] => Kind::Bool,
        ["integer"] => Kind::Integer {
            min: limit(property, "minimum"),
            max: limit(property, "maximum"),
        },
        ["number"] => Kind::Number {
            min: property.get("minimum").and_then(Value::as_f64),
            max: property.get("maximum").and_then(Value::as_f64),
        },
        ["string"] => Kind::Text,
        ["array"] => match property
            .get("items")
            .map(|items| kind(root, items, references))
        {
            // Neither a list of lists nor a list with nulls has a spelling with commas.
            None | Some((Kind::List(_) | Kind::Json, _) | (_, true)) => Kind::Json,
            Some((item, false)) => Kind::List(Box::new(item)),
        },
        _ => Kind::Json,
    };
    (kind, nullable)
}

/// Of several alternatives, one that may be `null`, or a choice among constants, is understood.
fn alternative(root: &Value, variants: &[Value], references: usize) -> (Kind, bool) {
    let is_null = |variant: &Value| variant.get("type").is_some_and(|kind| kind == "null");
    let nullable = variants.iter().any(is_null);
    let rest: Vec<&Value> = variants
        .iter()
        .filter(|variant| !is_null(variant))
        .collect();
    match (rest.as_slice(), references) {
        ([], _) | (_, 0) => (Kind::Json, nullable),
        ([only], _) => {
            let (kind, inner) = kind(root, only, references - 1);
            (kind, nullable || inner)
        }
        (several, _) => {
            let all: Option<Vec<Vec<Choice>>> =
                several.iter().map(|variant| choices(variant)).collect();
            (
                all.map_or(Kind::Json, |all| {
                    Kind::Choice(all.into_iter().flatten().collect())
                }),
                nullable,
            )
        }
    }
}

fn alternatives(property: &Value) -> Option<&[Value]> {
    ["oneOf", "anyOf", "allOf"]
        .into_iter()
        .find_map(|key| property.get(key))
        .and_then(Value::as_array)
        .map(Vec::as_slice)
}

fn choices(property: &Value) -> Option<Vec<Choice>> {
    let doc = || {
        property
            .get("description")
            .and_then(Value::as_str)
            .map(one_line)
            .unwrap_or_default()
    };
    if let Some(value) = property.get("const") {
        return Some(vec![Choice {
            value: value.clone(),
            doc: doc(),
        }]);
    }
    let values = property.get("enum")?.as_array()?;
    Some(
        values
            .iter()
            .map(|value| Choice {
                value: value.clone(),
                doc: String::new(),
            })
            .collect(),
    )
}

/// The type names without `null`, and whether `null` was among them.
fn types(property: &Value) -> (Vec<&str>, bool) {
    let all: Vec<&str> = match property.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let nullable = all.contains(&"null");
    (
        all.into_iter().filter(|&name| name != "null").collect(),
        nullable,
    )
}

fn limit(property: &Value, key: &str) -> Option<i128> {
    let limit = property.get(key)?;
    // schemars may write a limit of a whole number as 10.0.
    limit
        .as_number()
        .and_then(Number::as_i128)
        .or_else(|| limit.as_f64().map(|limit| limit as i128))
}

/// The part of `root` that `property` refers to (`#/$defs/Name` only).
fn reference<'a>(root: &'a Value, property: &Value) -> Option<&'a Value> {
    root.pointer(property.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// A text beside the property itself or, failing that, in what it refers to.
fn text(root: &Value, property: &Value, key: &str) -> Option<String> {
    let find = |value: &Value| value.get(key).and_then(Value::as_str).map(one_line);
    find(property).or_else(|| reference(root, property).and_then(find))
}

fn doc(root: &Value, property: &Value) -> String {
    text(root, property, "description")
        .or_else(|| text(root, property, "title"))
        .unwrap_or_default()
}

fn integer(text: &str, min: Option<i128>, max: Option<i128>) -> Result<Value, String> {
    let wrong = || match range(min, max) {
        Some(range) => format!("must be a whole number {range}"),
        None => "must be a whole number".to_owned(),
    };
    let value: i128 = text.parse().map_err(|_| wrong())?;
    if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
        return Err(wrong());
    }
    Number::from_i128(value)
        .map(Value::Number)
        .ok_or_else(wrong)
}

fn number(text: &str, min: Option<f64>, max: Option<f64>) -> Result<Value, String> {
    let wrong = || match range(min, max) {
        Some(range) => format!("must be a number {range}"),
        None => "must be a number".to_owned(),
    };
    let value: f64 = text.parse().map_err(|_| wrong())?;
    if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
        return Err(wrong());
    }
    // Neither infinities nor NaN are JSON.
    Number::from_f64(value).map(Value::Number).ok_or_else(wrong)
}

fn range<T: std::fmt::Display>(min: Option<T>, max: Option<T>) -> Option<String> {
    match (min, max) {
        (Some(min), Some(max)) => Some(format!("between {min} and {max}")),
        (Some(min), None) => Some(format!("of at least {min}")),
        (None, Some(max)) => Some(format!("of at most {max}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(property: &Value) -> Field {
        let schema = json!({
            "properties": { "it": property },
            "$defs": {
                "Mode": { "description": "How.", "oneOf": [
                    { "const": "fast", "description": "Quick\nand rough." },
                    { "enum": ["slow", "slower"] },
                ]},
                "Loop": { "$ref": "#/$defs/Loop" },
            },
        });
        fields(&schema).remove(0)
    }

    #[test]
    fn a_bounded_integer_says_its_range() {
        let field = one(&json!({ "type": "integer", "minimum": 10, "maximum": 3600.0 }));
        assert_eq!(field.kind.parse("10"), Ok(json!(10)));
        assert_eq!(
            field.kind.parse("5"),
            Err("must be a whole number between 10 and 3600".to_owned())
        );
        assert_eq!(
            field.kind.parse("ten"),
            Err("must be a whole number between 10 and 3600".to_owned())
        );
    }

    #[test]
    fn sixty_four_bits_without_a_sign_are_kept() {
        let field = one(&json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }));
        assert_eq!(
            field.kind.parse("18446744073709551615"),
            Ok(json!(u64::MAX))
        );
        assert!(field.kind.parse("18446744073709551616").is_err());
    }

    #[test]
    fn an_enum_behind_a_reference_is_a_choice_with_its_docs() {
        let field = one(&json!({ "$ref": "#/$defs/Mode", "x-group": "Speed", "default": "fast" }));
        let Kind::Choice(choices) = &field.kind else {
            panic!("{field:?}")
        };
        assert_eq!(
            choices[0],
            Choice {
                value: json!("fast"),
                doc: "Quick and rough.".to_owned()
            }
        );
        assert_eq!(field.kind.parse("slower"), Ok(json!("slower")));
        assert_eq!(
            field.kind.parse("x"),
            Err("must be one of fast, slow, slower".to_owned())
        );
        assert_eq!(
            (field.doc.as_str(), field.group.as_str()),
            ("How.", "Speed")
        );
    }

    #[test]
    fn lists_are_split_at_commas_and_may_be_empty() {
        let field = one(&json!({ "type": "array", "items": { "type": "integer", "minimum": 1 } }));
        assert_eq!(field.kind.parse("1, 2"), Ok(json!([1, 2])));
        assert_eq!(field.kind.parse(""), Ok(json!([])));
        assert_eq!(
            field.kind.parse("1,0"),
            Err("0: must be a whole number of at least 1".to_owned())
        );
    }

    #[test]
    fn options_may_be_null() {
        assert!(one(&json!({ "type": ["string", "null"] })).nullable);
        let field = one(&json!({ "anyOf": [{ "$ref": "#/$defs/Mode" }, { "type": "null" }] }));
        assert!(
            field.nullable && matches!(field.kind, Kind::Choice(_)),
            "{field:?}"
        );
    }

    #[test]
    fn what_is_not_understood_is_json() {
        for property in [
            json!(true),
            json!({ "type": "object" }),
            json!({ "$ref": "#/$defs/Loop" }),
            json!({ "type": "array", "items": { "type": "array" } }),
            json!({ "oneOf": [{ "type": "string" }, { "type": "integer" }] }),
        ] {
            assert_eq!(one(&property).kind, Kind::Json, "{property}");
        }
        assert_eq!(Kind::Json.parse(r#"{"a":1}"#), Ok(json!({ "a": 1 })));
    }

    #[test]
    fn a_schema_without_properties_has_no_fields() {
        for schema in [json!(null), json!({}), json!({ "properties": 3 })] {
            assert_eq!(fields(&schema), []);
        }
    }

    #[test]
    fn absent_marks_mean_general_and_restart() {
        let field = one(&json!({ "type": "boolean" }));
        assert_eq!(
            (field.group.as_str(), field.applies.as_str()),
            ("General", "restart")
        );
    }
}
