//! Request bodies, bounded in length and time.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use dittofs_api::MAX_BODY;
use serde::de::DeserializeOwned;
use serde_json::Value;
use warp::{Buf, Stream};

use super::problem::ApiError;

/// Longest wait for a whole body.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most that is read of a body that is too long, in bytes: a client that is still sending
/// when its connection is closed never sees why (RFC 9110 §15.5.14 leaves closing to us).
const MAX_DISCARDED: u64 = 16 * MAX_BODY;

/// Reads a JSON body.
pub(super) async fn json<T, S, B>(body: S) -> Result<T, ApiError>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    parse(&read(body).await?)
}

/// Reads a JSON body, or `null` if there is none.
pub(super) async fn json_or_null<S, B>(body: S) -> Result<Value, ApiError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let bytes = read(body).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    parse(&bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|e| ApiError::BadRequest(format!("the body is not as expected: {e}")))
}

async fn read<S, B>(body: S) -> Result<Vec<u8>, ApiError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    tokio::time::timeout(PATIENCE, collect(body))
        .await
        .map_err(|_| ApiError::BadRequest("the body did not arrive in time".to_owned()))?
}

async fn collect<S, B>(body: S) -> Result<Vec<u8>, ApiError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut body = pin!(body);
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        let mut chunk =
            chunk.map_err(|e| ApiError::BadRequest(format!("the body is broken off: {e}")))?;
        length += chunk.remaining() as u64;
        if length > MAX_DISCARDED {
            return Err(ApiError::TooLarge);
        }
        if length > MAX_BODY {
            bytes = Vec::new();
            continue;
        }
        while chunk.has_remaining() {
            let part = chunk.chunk();
            bytes.extend_from_slice(part);
            let taken = part.len();
            chunk.advance(taken);
        }
    }
    if length > MAX_BODY {
        return Err(ApiError::TooLarge);
    }
    Ok(bytes)
}
