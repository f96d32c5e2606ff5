//! The flags of `settings … update`: made at run time from what the adapter's schema declares.

use std::ffi::OsString;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgAction, Args, ColorChoice, Command};
use dittofs_api::Fields;
use serde_json::Value;

use crate::args::Global;
use crate::schema::{Field, Kind};
use crate::text::{plain, shown};

/// Names the flag that asks for validation only.
const DRY_RUN: &str = "dry-run";

/// What `update` is to do.
#[derive(Debug, PartialEq)]
pub(crate) struct Update {
    /// The new values.
    pub(crate) values: Fields,
    /// Whether to validate only.
    pub(crate) dry_run: bool,
}

/// Reads the words after `update` by the flags that `fields` make.
pub(crate) fn parse(
    adapter: &str,
    fields: &[Field],
    words: &[OsString],
    color: ColorChoice,
) -> Result<Update, clap::Error> {
    let mut command = command(adapter, fields).color(color);
    let matches = command.try_get_matches_from_mut(words)?;
    let values: Fields = fields
        .iter()
        .filter_map(|field| {
            let value = matches.try_get_one::<Value>(&id(field)).ok().flatten()?;
            Some((field.name.clone(), value.clone()))
        })
        .collect();
    if values.is_empty() {
        let message = "nothing to change: name at least one setting";
        return Err(command.error(clap::error::ErrorKind::MissingRequiredArgument, message));
    }
    Ok(Update {
        values,
        dry_run: matches.get_flag(DRY_RUN),
    })
}

fn command(adapter: &str, fields: &[Field]) -> Command {
    let dry_run = Arg::new(DRY_RUN)
        .long(DRY_RUN)
        .action(ArgAction::SetTrue)
        .help("Only ask whether the host would accept it");
    let ours = Global::augment_args(Command::new("")).arg(dry_run.clone());
    let mut taken: Vec<String> = ours
        .get_arguments()
        .filter_map(Arg::get_long)
        .map(str::to_owned)
        .collect();
    taken.push("help".to_owned());
    let flags = fields.iter().filter(|field| nameable(field)).map(|field| {
        let flag = flag(&field.name, &taken);
        taken.push(flag.clone());
        arg(field, flag)
    });
    let command = Command::new("update")
        .bin_name(format!("dfsctl adapter settings {adapter} update"))
        .no_binary_name(true)
        .arg(dry_run)
        .args(flags);
    // The derive takes the documentation of `Global` for that of the command.
    Global::augment_args(command).about(format!(
        "Changes settings of the adapter {adapter}; those not named stay"
    ))
}

/// Whether the name can be a flag's; JSON allows any text, which clap would refuse to build.
fn nameable(field: &Field) -> bool {
    field.name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && field
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// The setting in kebab case; `set-…` if a flag with that name exists already.
fn flag(name: &str, taken: &[String]) -> String {
    let mut flag = name.replace('_', "-");
    while taken.contains(&flag) {
        flag.insert_str(0, "set-");
    }
    flag
}

fn arg(field: &Field, flag: String) -> Arg {
    Arg::new(id(field))
        .long(flag)
        .value_name(field.kind.placeholder())
        .value_parser(value_parser(field))
        .help_heading(field.group.clone())
        .help(help(field))
        .hide_possible_values(true)
        .allow_negative_numbers(true)
}

/// Clap's name of the flag, apart from those of ours.
fn id(field: &Field) -> String {
    format!("setting {}", field.name)
}

fn value_parser(field: &Field) -> ValueParser {
    let (kind, nullable) = (field.kind.clone(), field.nullable);
    let parse = move |text: &str| match text {
        "null" if nullable => Ok(Value::Null),
        _ => kind.parse(text),
    };
    match &field.kind {
        // Through clap's own list of values, so that mistakes get its suggestions.
        Kind::Choice(choices) => {
            let mut values: Vec<PossibleValue> = choices
                .iter()
                .map(|choice| PossibleValue::new(plain(&choice.value)).help(choice.doc.clone()))
                .collect();
            values.extend(field.nullable.then(|| PossibleValue::new("null")));
            PossibleValuesParser::new(values)
                .try_map(move |text| parse(&text))
                .into()
        }
        _ => ValueParser::new(parse),
    }
}

fn help(field: &Field) -> String {
    let mut facts = Vec::new();
    facts.extend(field.kind.limits());
    facts.extend(field.unit.as_ref().map(|unit| format!("in {unit}")));
    facts.extend(field.nullable.then(|| "or null".to_owned()));
    facts.extend(
        field
            .default
            .as_ref()
            .map(|default| format!("default {}", shown(default))),
    );
    facts.push(format!("applies: {}", field.applies));
    format!("{} [{}]", field.doc, facts.join("; "))
        .trim_start()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema;

    fn fields() -> Vec<Field> {
        schema::fields(&json!({ "properties": {
            "lease_time": { "type": "integer", "minimum": 10, "maximum": 3600, "default": 90,
                "description": "How long a client\nmay be silent.",
                "x-unit": "s", "x-group": "Timeouts", "x-applies": "live" },
            "loud": { "type": "boolean", "default": false },
            "words": { "type": "array", "items": { "enum": ["a", "b"] }, "default": [] },
            "mode": { "enum": ["fast", "slow"], "default": "fast" },
            "motto": { "type": ["string", "null"] },
            "offset": { "type": "integer" },
            "server": { "type": "string" },
            "dry_run": { "type": "boolean" },
            "set-server": { "type": "string" },
            "has space": { "type": "string" },
            "--": { "type": "string" },
            "h": { "enum": [] },
            "maybe": { "enum": ["a", "a", null, 3] },
        }}))
    }

    fn update(words: &[&str]) -> Result<Update, String> {
        let words = words.iter().map(OsString::from).collect::<Vec<_>>();
        parse("hello", &fields(), &words, ColorChoice::Never).map_err(|error| error.to_string())
    }

    fn values(words: &[&str]) -> Value {
        Value::Object(update(words).unwrap().values)
    }

    #[test]
    fn every_command_that_a_schema_makes_is_sound() {
        command("hello", &fields()).debug_assert();
    }

    #[test]
    fn a_setting_is_a_flag_in_kebab_case_and_becomes_its_type() {
        let words = [
            "--lease-time",
            "30",
            "--loud",
            "true",
            "--words",
            "a,b",
            "--motto=hi",
        ];
        let expected =
            json!({ "lease_time": 30, "loud": true, "words": ["a", "b"], "motto": "hi" });
        assert_eq!(values(&words), expected);
        assert_eq!(values(&["--offset", "-3"]), json!({ "offset": -3 }));
        assert_eq!(values(&["--words", ""]), json!({ "words": [] }));
        assert_eq!(values(&["--motto", "null"]), json!({ "motto": null }));
    }

    #[test]
    fn dry_run_is_no_setting() {
        let update = update(&["--dry-run", "--mode", "slow"]).unwrap();
        assert_eq!((update.dry_run, update.values.len()), (true, 1));
    }

    #[test]
    fn a_setting_with_the_name_of_a_flag_of_ours_is_set_by_another() {
        assert_eq!(values(&["--set-server", "x"]), json!({ "server": "x" }));
        assert_eq!(
            values(&["--set-dry-run", "true"]),
            json!({ "dry_run": true })
        );
        assert_eq!(
            values(&["--set-set-server", "y"]),
            json!({ "set-server": "y" })
        );
    }

    #[test]
    fn a_wrong_value_names_its_flag_and_what_would_be_right() {
        let error = update(&["--lease-time", "5"]).unwrap_err();
        assert!(
            error.contains("--lease-time") && error.contains("between 10 and 3600"),
            "{error}"
        );
        let error = update(&["--mode", "fats"]).unwrap_err();
        assert!(
            error.contains("--mode") && error.contains("fast, slow"),
            "{error}"
        );
        let error = update(&["--loud", "yes"]).unwrap_err();
        assert!(
            error.contains("--loud") && error.contains("true or false"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_flag_is_named_with_the_one_that_was_meant() {
        let error = update(&["--leasetime", "30"]).unwrap_err();
        assert!(
            error.contains("--leasetime") && error.contains("'--lease-time'"),
            "{error}"
        );
    }

    #[test]
    fn nothing_to_change_is_an_error() {
        assert!(update(&[]).unwrap_err().contains("nothing to change"));
        assert!(
            update(&["--dry-run"])
                .unwrap_err()
                .contains("nothing to change")
        );
    }

    #[test]
    fn help_has_the_docs_of_the_schema() {
        let help = update(&["--help"]).unwrap_err();
        for part in [
            "Changes settings of the adapter hello",
            "Timeouts:",
            "--lease-time <N>",
            "How long a client may be silent.",
            "in s; default 90",
        ] {
            assert!(help.contains(part), "{part} not in {help}");
        }
    }
}
