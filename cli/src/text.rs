//! Text for people.

use serde_json::Value;

/// Text of a host, an adapter or a file as one printable line: it cannot command the terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace()
        .map(|word| {
            word.chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c })
                .collect()
        })
        .collect::<Vec<String>>()
        .join(" ")
}

/// A value as people write it on a command line.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The same for reading: what is absent or empty has a word too.
pub(crate) fn shown(value: &Value) -> String {
    let text = if value.is_null() {
        String::new()
    } else {
        plain(value)
    };
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}

/// Seconds in the two largest units that fit.
pub(crate) fn duration(seconds: u64) -> String {
    match (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A number of bytes, with the unit that leaves at most three digits before the point.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut shown = format!("{bytes} B");
    let mut tenths = u128::from(bytes) * 10;
    for unit in UNITS {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1024;
        shown = format!("{}.{} {unit}", tenths / 10, tenths % 10);
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_a_host_cannot_command_the_terminal() {
        assert_eq!(one_line("a\n  b\u{1b}[2J"), "a b\u{fffd}[2J");
    }

    #[test]
    fn values_are_shown_as_they_are_typed() {
        assert_eq!(plain(&json!(["a", 1, true])), "a,1,true");
        for nothing in [json!(null), json!(""), json!([])] {
            assert_eq!(shown(&nothing), "none");
        }
    }

    #[test]
    fn sizes_have_few_digits() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.9 KiB"),
            (1536, "1.5 KiB"),
            (16 << 20, "16.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn durations_have_two_units() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(61), "1 min 1 s");
        assert_eq!(duration(3725), "1 h 2 min");
        assert_eq!(duration(2 * 86400 + 3600), "2 d 1 h");
    }
}
