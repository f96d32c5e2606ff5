//! A setting that nothing reads is a promise that nobody keeps.

use super::sources::sources;
use crate::settings::Settings;

/// Reads settings on behalf of nobody else.
const CHECK: &str = "check";

#[test]
fn every_setting_is_read_by_what_runs() {
    let sources = sources();
    let (own, others): (Vec<_>, Vec<_>) = sources
        .iter()
        .partition(|source| source.path == "settings.rs");
    let code: String = others.iter().map(|source| source.code.as_str()).collect();
    let methods = methods(&own.first().unwrap().code);
    let fields = serde_json::to_value(Settings::default()).unwrap();
    for field in fields.as_object().unwrap().keys() {
        let used = contains_word(&code, &format!(".{field}"))
            || methods.iter().any(|(name, body)| {
                *name != CHECK
                    && contains_word(body, &format!("self.{field}"))
                    && is_called(name, &methods, &code)
            });
        assert!(used, "nothing reads {field}");
    }
}

/// Names and bodies.
fn methods(code: &str) -> Vec<(&str, &str)> {
    code.split("\n    pub fn ")
        .skip(1)
        .filter_map(|method| {
            let body = method.split("\n    }").next()?;
            Some((method.split('(').next()?, body))
        })
        .collect()
}

/// Directly, or by a method that is.
fn is_called(name: &str, methods: &[(&str, &str)], code: &str) -> bool {
    contains_word(code, &format!(".{name}("))
        || methods.iter().any(|(caller, body)| {
            *caller != name
                && body.contains(&format!("self.{name}("))
                && contains_word(code, &format!(".{caller}("))
        })
}

fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let after = text
            .get(at + word.len()..)
            .and_then(|rest| rest.chars().next());
        word.ends_with('(') || !after.is_some_and(|next| next.is_alphanumeric() || next == '_')
    })
}
