//! The REST client: bounded in time and in what it reads, whoever answers.

use std::io::{self, Write as _};
use std::time::Duration;

use dittofs_api::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::{Method, Request, StatusCode, header};

use crate::error::Error;
use crate::target::Target;

const CONNECT: Duration = Duration::from_secs(5);

/// Longer than an adapter may take to drain.
const ANSWER: Duration = Duration::from_mins(2);

/// The most that is read of an answer, in bytes.
const MAX_ANSWER: u64 = 16 << 20;

/// One host, asked in the name of its administrator.
pub(crate) struct Client {
    agent: Agent,
    target: Target,
    verbose: bool,
}

impl Client {
    /// A client of `target`; `verbose` shows each request on stderr.
    pub(crate) fn new(target: Target, verbose: bool) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            // The token is for the host that was named, not for whom that host or a variable of
            // the environment names.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("dfsctl/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            agent,
            target,
            verbose,
        }
    }

    /// The address that is asked.
    pub(crate) fn server(&self) -> &str {
        &self.target.server
    }

    /// What is at `path`.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(&Method::GET, path, None::<&()>)
    }

    /// Changes what is at `path`.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let (status, body) = self.exchange(method, path, body)?;
        if status.is_success() {
            return self.decode(method, path, &body);
        }
        Err(self.refusal(method, path, status, &body))
    }

    /// What is at `path`, where 503 is an answer too: that it does not serve, and why.
    pub(crate) fn probe<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let method = Method::GET;
        match self.exchange(&method, path, None::<&()>)? {
            (StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE, body) => {
                self.decode(&method, path, &body)
            }
            (status, body) => Err(self.refusal(&method, path, status, &body)),
        }
    }

    fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(StatusCode, Vec<u8>), Error> {
        let failed = |error| self.unreachable(error);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.target.server))
            .header(header::ACCEPT, "application/json, application/problem+json");
        if let Some(token) = &self.target.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut response = match body {
            None => self
                .agent
                .run(request.body(()).map_err(|error| invalid(&error))?),
            Some(body) => {
                let body =
                    serde_json::to_vec(body).map_err(|error| Error::Failed(error.to_string()))?;
                let request = request.header(header::CONTENT_TYPE, "application/json");
                self.agent
                    .run(request.body(body).map_err(|error| invalid(&error))?)
            }
        }
        .map_err(failed)?;
        let status = response.status();
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_vec()
            .map_err(failed)?;
        if self.verbose {
            // A closed stderr is no reason to fail.
            let _ = writeln!(
                io::stderr(),
                "{method} {}{path}: {status}, {} bytes",
                self.target.server,
                body.len()
            );
        }
        Ok((status, body))
    }

    fn decode<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<T, Error> {
        // 204 has no body.
        let body = if body.is_empty() { b"null" } else { body };
        serde_json::from_slice(body).map_err(|error| {
            let server = &self.target.server;
            Error::Failed(format!("{method} {server}{path}: not the answer of a DittoFS host that this dfsctl knows: {error}"))
        })
    }

    fn refusal(&self, method: &Method, path: &str, status: StatusCode, body: &[u8]) -> Error {
        let Ok(mut problem) = serde_json::from_slice::<Problem>(body) else {
            return Error::Failed(format!("{method} {}{path}: {status}", self.target.server));
        };
        if status == StatusCode::UNAUTHORIZED && self.target.token.is_none() {
            problem.hint =
                Some("give its administrator's token with --token or DITTOFS_TOKEN".to_owned());
        }
        Error::Refused(Box::new(problem))
    }

    fn unreachable(&self, error: ureq::Error) -> Error {
        let reason = match error {
            // Without the number of the error, which says nothing more.
            ureq::Error::Io(error) if error.kind() != io::ErrorKind::Other => {
                error.kind().to_string()
            }
            ureq::Error::BodyExceedsLimit(limit) => {
                format!("its answer is longer than {limit} bytes")
            }
            other => other.to_string(),
        };
        Error::Unreachable {
            server: self.target.server.clone(),
            reason,
        }
    }
}

/// A token with a line break, or an address that is none.
fn invalid(error: &ureq::http::Error) -> Error {
    Error::Usage(format!("--server or --token: {error}"))
}
