//! Medians of rounds, and what they are compared with.

use std::fmt::Write;

use dittofs_load::report::{Figures, median, spread};

use crate::fairness::Fairness;
use crate::round::{Placement, Round};

/// What each table says of its columns.
pub const LEGEND: &str = "/s: completed operations per second; CPU: user and system time of the server per operation, in \
     microseconds; switches: its context switches per operation; p50, p99: latency in microseconds; spread: largest less \
     smallest round, of the median. All are medians of the rounds. × is the ratio of operations per second.";

/// The label of Ganesha.
pub const GANESHA: &str = "ganesha";
/// The label of the echo that answers in batches.
pub const ECHO: &str = "echo";

const CACHED: &str = "-cached-";

/// The label of a server of ours whose export may tell attributes again for so many milliseconds, so that rounds with
/// and without are never taken together.
pub fn with_attribute_cache(label: &str, millis: u32) -> String {
    match millis {
        0 => label.to_owned(),
        _ => format!("{label}{CACHED}{millis}"),
    }
}

/// What is to be said of such servers, if there are any.
pub fn attribute_cache<'a>(mut labels: impl Iterator<Item = &'a str>) -> Option<String> {
    labels.any(|label| label.contains(CACHED)).then(|| {
        format!(
            "Servers named …{CACHED}MS may tell attributes again for MS milliseconds without a look at the file \
             (`attribute_cache=MS` of the share); the others of ours look each time."
        )
    })
}

/// All rounds of one placement.
pub fn table(rounds: &[Round], placement: Placement) -> String {
    let rounds: Vec<_> = rounds
        .iter()
        .filter(|round| round.placement == placement)
        .collect();
    let mut cells = Vec::new();
    for round in &rounds {
        let cell = (round.work, round.shape);
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    let mut text = String::from(
        "| work | clients x outstanding | server | /s | × Ganesha | × echo | CPU | switches | p50 | p99 | spread |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (work, shape) in cells {
        let of = |server: &str| -> Vec<&Round> {
            let rounds = rounds.iter().copied();
            rounds
                .filter(|round| (round.work, round.shape) == (work, shape))
                .filter(|round| round.server == server)
                .collect()
        };
        let mut servers: Vec<&str> = Vec::new();
        for round in &rounds {
            if (round.work, round.shape) == (work, shape) && !servers.contains(&&*round.server) {
                servers.push(&round.server);
            }
        }
        let speed = |server: &str| of_each(&of(server), |figures| figures.per_second);
        for server in servers {
            let found = of(server);
            let values: Vec<f64> = found.iter().map(|round| round.figures.per_second).collect();
            let own = speed(server);
            let ratio = |other: &str| match speed(other) {
                base if base.is_nan() || server == other => String::from("–"),
                base => format!("{:.2}", own / base),
            };
            // A String takes everything.
            let _ = writeln!(
                text,
                "| {} | {shape} | {server} | {own:.0} | {} | {} | {:.2} | {:.2} | {:.1} | {:.1} | {:.0} % |",
                work.name(),
                ratio(GANESHA),
                ratio(ECHO),
                of_each(&found, |figures| figures.server_cpu.unwrap_or(f64::NAN)),
                of_each(&found, |figures| figures
                    .server_switches
                    .unwrap_or(f64::NAN)),
                of_each(&found, |figures| figures.p50),
                of_each(&found, |figures| figures.p99),
                100.0 * spread(&values),
            );
        }
    }
    text
}

/// How even the machine was.
pub fn noise(rounds: &[Round]) -> String {
    let loops: Vec<f64> = rounds.iter().map(|round| round.calibration).collect();
    format!(
        "Calibration loop before each of {} rounds: median {:.2} ms, spread {:.0} %.",
        loops.len(),
        median(loops.clone()),
        100.0 * spread(&loops)
    )
}

/// The fairness of each server.
pub fn fairness(found: &[Fairness]) -> String {
    let mut text = String::from(
        "| server | placement | GETATTR alone p50 | p99 | beside the reader p50 | p99 | × p99 | reader MiB/s |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let mut seen: Vec<(&str, Placement)> = Vec::new();
    for one in found {
        let key = (&*one.server, one.placement);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let same: Vec<_> = found
            .iter()
            .filter(|other| (&*other.server, other.placement) == key)
            .collect();
        let of =
            |value: &dyn Fn(&Fairness) -> f64| median(same.iter().map(|one| value(one)).collect());
        let placement = match one.placement {
            Placement::Pinned => "pinned",
            Placement::Split => "split",
        };
        let (alone, beside) = (of(&|one| one.alone.p99), of(&|one| one.beside.p99));
        let _ = writeln!(
            text,
            "| {} | {placement} | {:.1} | {alone:.1} | {:.1} | {beside:.1} | {:.1} | {:.0} |",
            one.server,
            of(&|one| one.alone.p50),
            of(&|one| one.beside.p50),
            beside / alone,
            of(&|one| one.reader.per_second),
        );
    }
    text
}

fn of_each(rounds: &[&Round], value: impl Fn(&Figures) -> f64) -> f64 {
    median(rounds.iter().map(|round| value(&round.figures)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::round::Shape;
    use dittofs_load::workload::Workload;

    fn round(server: &str, per_second: f64) -> Round {
        let figures = format!(
            r#"{{"per_second":{per_second},"p50":1,"p99":2,"max":3,"server_cpu":4,"server_switches":0,
                "generator_cpu":1,"replies":1,"request_bytes":1,"reply_bytes":1}}"#
        );
        Round {
            placement: Placement::Pinned,
            work: Workload::Getattr,
            shape: Shape {
                clients: 1,
                outstanding: 16,
            },
            server: server.to_owned(),
            figures: serde_json::from_str(&figures).unwrap(),
            calibration: 1.0,
        }
    }

    #[test]
    fn medians_are_compared_with_ganesha_and_echo() {
        let rounds = [
            round("ours", 300.0),
            round(GANESHA, 50.0),
            round(ECHO, 1000.0),
            round("ours", 500.0),
        ];
        let table = table(&rounds, Placement::Pinned);
        let row = "| getattr | 1x16 | ours | 400 | 8.00 | 0.40 | 4.00 | 0.00 | 1.0 | 2.0 | 50 % |";
        assert!(table.contains(row), "{table}");
    }

    #[test]
    fn a_server_with_an_attribute_cache_says_so() {
        let plain = with_attribute_cache("ours", 0);
        let cached = with_attribute_cache("ours", 1000);
        assert_eq!((&*plain, &*cached), ("ours", "ours-cached-1000"));
        assert_eq!(attribute_cache([&*plain, GANESHA].into_iter()), None);
        let said = attribute_cache([&*plain, &*cached].into_iter()).unwrap();
        assert!(said.contains("-cached-MS"), "{said}");
    }

    #[test]
    fn another_placement_is_another_table() {
        assert_eq!(
            table(&[round("ours", 1.0)], Placement::Split)
                .lines()
                .count(),
            2
        );
    }
}
