//! What adapters tell of their clients, in one form for all of them: the views `grace`, `clients` and `copies`, and
//! the acts `grace-end`, `client-evict` and `copy-cancel`. An adapter that has no such view is left out.

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
    let named = |client: api::Client, protocol| api::Client { protocol, ..client };
    listed(app, protocol, "clients", named).await
}

/// Takes away all that a client has.
pub(super) async fn evict(app: &App, id: &str, protocol: Option<&str>) -> Result<(), ApiError> {
    let mut known = clients(app, protocol).await.into_iter();
    let client = known.find(|client| client.client_id == id);
    let protocol = client.map(|client| client.protocol);
    act_on(app, protocol, "client", "client-evict", id).await
}

/// The copies that all adapters make in the background, or one of them.
pub(super) async fn copies(app: &App, protocol: Option<&str>) -> Vec<api::CopyJob> {
    let named = |copy: api::CopyJob, protocol| api::CopyJob { protocol, ..copy };
    listed(app, protocol, "copies", named).await
}

/// Ends a copy.
pub(super) async fn cancel_copy(
    app: &App,
    id: &str,
    protocol: Option<&str>,
) -> Result<(), ApiError> {
    let mut known = copies(app, protocol).await.into_iter();
    let copy = known.find(|copy| copy.copy_id == id);
    let protocol = copy.map(|copy| copy.protocol);
    act_on(app, protocol, "copy", "copy-cancel", id).await
}

/// What the view `what` of each adapter lists, under the adapter's name.
async fn listed<T: for<'de> Deserialize<'de>>(
    app: &App,
    protocol: Option<&str>,
    what: &str,
    named: impl Fn(T, String) -> T,
) -> Vec<T> {
    let mut all = Vec::new();
    for unit in app.adapters.all() {
        let name = unit.name();
        if protocol.is_some_and(|protocol| protocol != name) {
            continue;
        }
        let view = view::<Vec<T>>(unit, what).await.unwrap_or_default();
        all.extend(view.into_iter().map(|one| named(one, name.to_owned())));
    }
    all
}

/// Has the adapter that knows `id` do something about it.
async fn act_on(
    app: &App,
    protocol: Option<String>,
    kind: &str,
    act: &str,
    id: &str,
) -> Result<(), ApiError> {
    let unit = protocol.and_then(|protocol| app.adapters.one(&protocol));
    let Some(unit) = unit else {
        return Err(ApiError::NotFound(format!("there is no {kind} {id:?}")));
    };
    unit.act(act, &json!({ "id": id })).await?;
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
