//! A host that answers from a list and remembers what it was asked, and `dfsctl` run against it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const TOKEN: &str = "the-token";

/// One request as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// `METHOD PATH`.
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

/// Runs until the test's process ends.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    state: TempDir,
}

impl Stub {
    /// Answers each `METHOD PATH` with that status and body, everything else with 404.
    pub(crate) fn new(answers: &[(&str, u16, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Vec<_> = answers
            .iter()
            .map(|(line, status, body)| ((*line).to_owned(), *status, body.to_string()))
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let request = read(stream.as_ref().unwrap());
                let answer = answers.iter().find(|(line, ..)| *line == request.line);
                let missing = json!({ "status": 404, "title": "Not Found", "detail": format!("no {}", request.line) });
                let (status, body) =
                    answer.map_or((404, missing.to_string()), |(_, s, b)| (*s, b.clone()));
                log.lock().unwrap().push(request);
                respond(stream.unwrap(), status, &body);
            }
        });
        let state = tempfile::tempdir().unwrap();
        let token_file = state.path().join("admin-token");
        fs::write(&token_file, TOKEN).unwrap();
        let run = json!({ "pid": std::process::id(), "version": "0", "api": address, "token_file": token_file });
        fs::write(state.path().join("run.json"), run.to_string()).unwrap();
        Self {
            address,
            asked,
            state,
        }
    }

    /// Runs `dfsctl` with the state directory of this host.
    pub(crate) fn dfsctl(&self, words: &[&str]) -> Run {
        let mut command = command(words);
        command.env("DITTOFS_STATE_DIR", self.state.path());
        Run::new(command)
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn new(mut command: Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: status.code(),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }
}

/// `dfsctl` that knows of no host.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dfsctl"));
    command.args(words);
    for variable in ["DITTOFS_SERVER", "DITTOFS_TOKEN", "DITTOFS_STATE_DIR"] {
        command.env_remove(variable);
    }
    command
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Asked {
        line: lines[0].trim_end_matches(" HTTP/1.1").to_owned(),
        authorization: header("authorization"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

fn respond(mut stream: TcpStream, status: u16, body: &str) {
    let body = if status == 204 { "" } else { body };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nlocation: /elsewhere\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // The client may hang up early: that is one of the tests.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()));
}
