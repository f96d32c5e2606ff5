//! Exported file systems.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The user and the group that squashed requests run as unless told otherwise.
pub const NOBODY: u32 = 65534;

/// The largest [`attribute_cache_ms`](Backend::Local::attribute_cache_ms): a minute, in milliseconds.
pub const MAX_ATTRIBUTE_CACHE_MS: u32 = 60_000;

/// One exported file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Made once and kept; part of every file handle.
    pub id: Uuid,
    /// Absolute path under which protocols show it, such as `/export`.
    pub name: String,
    /// What is exported.
    pub backend: Backend,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Whose requests run as the anonymous user.
    pub squash: Squash,
    /// The user that squashed requests run as.
    pub anonymous_uid: u32,
    /// The group that squashed requests run as.
    pub anonymous_gid: u32,
    /// Networks, in CIDR notation, that may use it; empty for everybody.
    pub clients: Vec<String>,
    /// Who asked for it.
    pub origin: Origin,
    /// Why it is not exported now, such as a directory that is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a share exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Backend {
    /// A directory of the host's machine.
    Local {
        /// Its absolute path.
        path: String,
        /// For how many milliseconds attributes may be told again without a look at the file: a change by
        /// another program of the machine may be seen so much later. At most [`MAX_ATTRIBUTE_CACHE_MS`];
        /// with 0 every answer is looked up.
        #[serde(default)]
        attribute_cache_ms: u32,
    },
    /// Memory, gone when the host stops.
    Memory {},
}

/// Whose requests run as the anonymous user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Squash {
    /// Nobody's.
    None,
    /// The superuser's.
    #[default]
    Root,
    /// Everybody's.
    All,
}

/// Who asked for a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// An administrator; it survives a restart.
    Stored,
    /// The command line, or the configuration file, of this run.
    CommandLine,
}

/// A share to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareCreate {
    /// Absolute path under which protocols will show it.
    pub name: String,
    /// What to export.
    pub backend: Backend,
    /// Whether to refuse changes.
    #[serde(default)]
    pub read_only: bool,
    /// Whose requests will run as the anonymous user.
    #[serde(default)]
    pub squash: Squash,
    /// The user that squashed requests will run as.
    #[serde(default = "nobody")]
    pub anonymous_uid: u32,
    /// The group that squashed requests will run as.
    #[serde(default = "nobody")]
    pub anonymous_gid: u32,
    /// Networks, in CIDR notation, that may use it; empty for everybody.
    #[serde(default)]
    pub clients: Vec<String>,
}

fn nobody() -> u32 {
    NOBODY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_needs_no_more_than_a_name_and_a_backend() {
        let create: ShareCreate =
            serde_json::from_str(r#"{"name":"/s","backend":{"type":"memory"}}"#).unwrap();
        assert_eq!(
            (create.squash, create.anonymous_uid),
            (Squash::Root, NOBODY)
        );
        assert_eq!(create.backend, Backend::Memory {});
    }

    #[test]
    fn attributes_are_looked_up_unless_told_otherwise() {
        let backend: Backend = serde_json::from_str(r#"{"type":"local","path":"/d"}"#).unwrap();
        let local = |attribute_cache_ms| Backend::Local {
            path: "/d".to_owned(),
            attribute_cache_ms,
        };
        assert_eq!(backend, local(0));
        assert_eq!(
            serde_json::to_string(&backend).unwrap(),
            r#"{"type":"local","path":"/d","attribute_cache_ms":0}"#
        );
        let bounded = r#"{"type":"local","path":"/d","attribute_cache_ms":250}"#;
        assert_eq!(
            serde_json::from_str::<Backend>(bounded).unwrap(),
            local(250)
        );
    }

    #[test]
    fn misspelt_fields_of_a_share_are_refused() {
        let bad = r#"{"name":"/s","backend":{"type":"local","path":"/d"},"readonly":true}"#;
        let error = serde_json::from_str::<ShareCreate>(bad)
            .unwrap_err()
            .to_string();
        assert!(error.contains("readonly"), "{error}");
        for (field, value) in [("path", r#""/d""#), ("attribute_cache_ms", "0")] {
            let bad = format!(r#"{{"name":"/s","backend":{{"type":"memory","{field}":{value}}}}}"#);
            let error = serde_json::from_str::<ShareCreate>(&bad)
                .unwrap_err()
                .to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
