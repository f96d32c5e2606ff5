//! Every refusal of the REST interface, as `application/problem+json` (RFC 9457).

use std::collections::BTreeMap;

use dittofs_api::{MAX_BODY, PROBLEM_CONTENT_TYPE, Problem};
use dittofs_sdk::FieldError;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};

use crate::adapters::AdapterError;
use crate::settings::SettingsError;
use crate::shares::ShareError;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The request can't be understood.
    #[error("{0}")]
    BadRequest(String),
    /// A name in the request is unknown.
    #[error("{}", list(.0))]
    UnknownField(Vec<FieldError>),
    /// No or another token.
    #[error("send the token of the state directory as Authorization: Bearer")]
    Unauthorized,
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The path has other methods.
    #[error("this path has other methods")]
    MethodNotAllowed,
    /// Another thing is in the way.
    #[error("{0}")]
    Conflict(String),
    /// `If-Match` names a version that is stored no more.
    #[error("{0}")]
    Precondition(String),
    /// The body is too long.
    #[error("a request body has at most {MAX_BODY} bytes")]
    TooLarge,
    /// Values that can't be accepted.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// The host failed.
    #[error("{0}")]
    Internal(String),
}

fn list(errors: &[FieldError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::UnknownField(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Precondition(_) => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn errors(&self) -> BTreeMap<String, String> {
        match self {
            Self::UnknownField(errors) | Self::Invalid(errors) => errors
                .iter()
                .map(|error| (error.field.clone(), error.message.clone()))
                .collect(),
            _ => BTreeMap::new(),
        }
    }
}

impl Reply for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!("REST: {self}");
        }
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
            code: None,
            hint: None,
            errors: self.errors(),
        };
        let reply = warp::reply::with_status(warp::reply::json(&problem), status);
        warp::reply::with_header(reply, "content-type", PROBLEM_CONTENT_TYPE).into_response()
    }
}

impl From<AdapterError> for ApiError {
    fn from(error: AdapterError) -> Self {
        match error {
            AdapterError::Failed(_) => Self::Conflict(error.to_string()),
            AdapterError::NoView(_) | AdapterError::NoAct(_) => Self::NotFound(error.to_string()),
            AdapterError::Settings(error) => error.into(),
            AdapterError::Database(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Unknown(errors) => Self::UnknownField(errors),
            SettingsError::Invalid(errors) => Self::Invalid(errors),
            SettingsError::Stale { .. } => Self::Precondition(error.to_string()),
            SettingsError::Refused(_) => Self::Conflict(error.to_string()),
            SettingsError::Database(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<ShareError> for ApiError {
    fn from(error: ShareError) -> Self {
        match error {
            ShareError::Invalid(error) => Self::Invalid(vec![error]),
            ShareError::Conflict(message) => Self::Conflict(message),
            ShareError::Unknown(_) => Self::NotFound(error.to_string()),
            ShareError::Database(_) => Self::Internal(error.to_string()),
        }
    }
}
