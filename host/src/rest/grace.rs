//! What adapters tell of their clients, in one form for all of them: the views `grace` and `clients`, and
//! the acts `grace-end` and `client-evict`. An adapter that has no such view is left out.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dittofs_api as api;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::problem::ApiError;
use crate::adapters::Unit;

/// The view `grace` of an adapter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct View {
    active: bool,
    remaining_seconds: u64,
    total_duration: u64,
    age_seconds: u64,
    expected_clients: u64,
    reclaimed_clients: u64,
}

/// The grace period that lasts longest, if there is any.
pub(super) async fn status(app: &App) -> api::Grace {
    let mut longest = api::Grace {
        message: "no grace period".to_owned(),
        ..api::Grace::default()
    };
    for unit in app.adapters.all() {
        if let Some(grace) = of(unit).await
            && grace.active
            && (!longest.active || grace.remaining_seconds > longest.remaining_seconds)
        {
            longest = grace;
        }
    }
    longest
}

/// Ends an adapter's grace period.
pub(super) async fn end(unit: &Arc<Unit>) -> Result<api::Grace, ApiError> {
    unit.act("grace-end", &Value::Null).await?;
    Ok(of(unit).await.unwrap_or_default())
}

/// The clients of all adapters, or of one.
pub(super) async fn clients(app: &App, protocol: Option<&str>) -> Vec<api::Client> {
    let mut clients = Vec::new();
    for unit in app.adapters.all() {
        let name = unit.name();
        if protocol.is_some_and(|protocol| protocol != name) {
            continue;
        }
        let view = view::<Vec<api::Client>>(unit, "clients").await;
        clients.extend(view.unwrap_or_default().into_iter().map(|client| {
            let protocol = name.to_owned();
            api::Client { protocol, ..client }
        }));
    }
    clients
}

/// Takes away all that a client has.
pub(super) async fn evict(app: &App, id: &str, protocol: Option<&str>) -> Result<(), ApiError> {
    let known = clients(app, protocol).await;
    let Some(client) = known.iter().find(|client| client.client_id == id) else {
        return Err(ApiError::NotFound(format!("there is no client {id:?}")));
    };
    if let Some(unit) = app.adapters.one(&client.protocol) {
        unit.act("client-evict", &json!({ "id": id })).await?;
    }
    Ok(())
}

async fn of(unit: &Arc<Unit>) -> Option<api::Grace> {
    let View {
        active,
        remaining_seconds,
        total_duration,
        age_seconds,
        expected_clients,
        reclaimed_clients,
    } = view(unit, "grace").await?;
    let started_at = SystemTime::now().checked_sub(Duration::from_secs(age_seconds));
    let message = if active {
        format!("{reclaimed_clients} of {expected_clients} clients have taken back what they had")
    } else {
        "no grace period".to_owned()
    };
    Some(api::Grace {
        active,
        remaining_seconds,
        total_duration,
        expected_clients,
        reclaimed_clients,
        started_at: started_at.filter(|_| active).map(rfc3339),
        message,
        protocol: Some(unit.name().to_owned()),
    })
}

async fn view<T: for<'de> Deserialize<'de>>(unit: &Arc<Unit>, what: &str) -> Option<T> {
    let view = Arc::clone(unit).inspect(what.to_owned()).await.ok()?;
    serde_json::from_value(view).ok()
}

/// A time in UTC, to the second (RFC 3339 §5.6).
fn rfc3339(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let february = days_of(year) - 337;
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn days_of(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    365 + u64::from(leap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_rfc_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
