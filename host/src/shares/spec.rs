//! What a share is, from `--share`, the configuration file, REST or the database.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use dittofs_api as api;
use dittofs_sdk::{FieldError, Squash};
use ipnet::IpNet;

/// Longest name of a share in bytes.
const MAX_NAME: usize = 1024;
/// Longest component of a name in bytes, as of any file name.
const MAX_COMPONENT: usize = 255;
/// Most networks of one share.
const MAX_CLIENTS: usize = 256;

/// The absolute path under which protocols show a share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareName(String);

impl ShareName {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether one of the two lies inside the other, so that they can't both be exported.
    pub fn overlaps(&self, other: &Self) -> bool {
        let inside = |outer: &str, inner: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        inside(&self.0, &other.0) || inside(&other.0, &self.0)
    }
}

impl fmt::Display for ShareName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ShareName {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let wrong = |what: &str| Err(FieldError::new("name", format!("{text:?}: {what}")));
        let Some(rest) = text.strip_prefix('/') else {
            return wrong("the name of a share starts with /, as in /export");
        };
        if rest.is_empty() {
            return wrong(
                "/ is the root that holds the shares; name a share below it, as in /export",
            );
        }
        if text.len() > MAX_NAME {
            return wrong("the name of a share has at most 1024 bytes");
        }
        if text.chars().any(char::is_control) {
            return wrong("the name of a share holds no control characters");
        }
        for component in rest.split('/') {
            match component {
                "" => {
                    return wrong(
                        "each / in the name of a share is followed by a name, as in /export",
                    );
                }
                "." | ".." => {
                    return wrong("the name of a share holds neither . nor .. as a component");
                }
                long if long.len() > MAX_COMPONENT => {
                    return wrong("each component of the name of a share has at most 255 bytes");
                }
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a share exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// A directory.
    Local(PathBuf),
    /// Memory, gone when the host stops.
    Memory,
}

/// A share as somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareSpec {
    /// Under which name.
    pub name: ShareName,
    /// What.
    pub backend: Backend,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Whose requests run as the anonymous user.
    pub squash: Squash,
    /// The user that squashed requests run as.
    pub anonymous_uid: u32,
    /// The group that squashed requests run as.
    pub anonymous_gid: u32,
    /// Who may use it; empty for everybody.
    pub clients: Vec<IpNet>,
}

impl ShareSpec {
    /// A share with the default rules.
    pub fn new(name: ShareName, backend: Backend) -> Self {
        Self {
            name,
            backend,
            read_only: false,
            squash: Squash::default(),
            anonymous_uid: api::NOBODY,
            anonymous_gid: api::NOBODY,
            clients: Vec::new(),
        }
    }
}

/// The form of `--share`: `/NAME=DIR|memory[,ro][,squash=none|root|all][,clients=CIDR[+CIDR…]]`.
impl FromStr for ShareSpec {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let (name, rest) = text.split_once('=').ok_or_else(|| {
            FieldError::new(
                "share",
                format!("{text:?}: a share is /NAME=DIR or /NAME=memory"),
            )
        })?;
        let mut parts = rest.split(',');
        let backend = match parts.next().unwrap_or_default() {
            "" => {
                return Err(FieldError::new(
                    "backend",
                    "a directory or `memory` follows the =",
                ));
            }
            "memory" => Backend::Memory,
            dir => Backend::Local(dir.into()),
        };
        let mut spec = Self::new(name.parse()?, backend);
        for option in parts {
            match option.split_once('=') {
                None if option == "ro" => spec.read_only = true,
                Some(("squash", value)) => spec.squash = squash(value)?,
                Some(("clients", value)) => spec.clients = clients(value.split('+'))?,
                _ => {
                    let message =
                        format!("unknown option {option:?}; there are ro, squash=… and clients=…");
                    return Err(FieldError::new("options", message));
                }
            }
        }
        Ok(spec)
    }
}

/// Who may squash what, by name.
pub(super) fn squash(text: &str) -> Result<Squash, FieldError> {
    match text {
        "none" => Ok(Squash::None),
        "root" => Ok(Squash::Root),
        "all" => Ok(Squash::All),
        other => Err(FieldError::new(
            "squash",
            format!("{other:?} is not one of none, root, all"),
        )),
    }
}

/// The name of a kind of squashing.
pub(super) fn squash_name(squash: Squash) -> &'static str {
    match squash {
        Squash::None => "none",
        Squash::Root => "root",
        Squash::All => "all",
    }
}

/// Networks in CIDR notation; an address alone is a network of one.
pub(super) fn clients<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<IpNet>, FieldError> {
    let networks = texts
        .map(|text| {
            text.parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map(|network| network.trunc())
                .map_err(|_| {
                    let message =
                        format!("{text:?} is no network in CIDR notation, such as 192.168.0.0/16");
                    FieldError::new("clients", message)
                })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if networks.len() > MAX_CLIENTS {
        return Err(FieldError::new(
            "clients",
            format!("at most {MAX_CLIENTS} networks, not {}", networks.len()),
        ));
    }
    Ok(networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ShareSpec, FieldError> {
        text.parse()
    }

    #[test]
    fn a_share_with_every_option() {
        let spec =
            parse("/data/a=/srv/a,ro,squash=all,clients=10.0.0.0/8+192.168.1.7+::1").unwrap();
        assert_eq!(spec.name.as_str(), "/data/a");
        assert_eq!(spec.backend, Backend::Local("/srv/a".into()));
        assert!(spec.read_only);
        assert_eq!(spec.squash, Squash::All);
        let clients: Vec<String> = spec.clients.iter().map(ToString::to_string).collect();
        assert_eq!(clients, ["10.0.0.0/8", "192.168.1.7/32", "::1/128"]);
    }

    #[test]
    fn a_share_needs_only_name_and_backend() {
        let spec = parse("/scratch=memory").unwrap();
        assert_eq!(
            spec,
            ShareSpec::new("/scratch".parse().unwrap(), Backend::Memory)
        );
        assert_eq!(spec.squash, Squash::Root);
    }

    #[test]
    fn errors_name_the_part() {
        for (text, field, mentions) in [
            ("/a", "share", "/NAME=DIR"),
            ("a=/srv", "name", "starts with /"),
            ("/a/../b=/srv", "name", "neither . nor .."),
            ("/=/srv", "name", "below it"),
            ("/a//b=/srv", "name", "followed by a name"),
            ("/a=", "backend", "directory or `memory`"),
            ("/a=/srv,rw", "options", "\"rw\""),
            ("/a=/srv,squash=some", "squash", "none, root, all"),
            ("/a=/srv,clients=10.0.0.0/33", "clients", "10.0.0.0/33"),
            ("/a=/srv,clients=", "clients", "CIDR"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.field, field, "{text}");
            assert!(error.message.contains(mentions), "{text}: {error}");
        }
    }

    #[test]
    fn overlap_is_by_component() {
        let name = |text: &str| text.parse::<ShareName>().unwrap();
        assert!(name("/a").overlaps(&name("/a/b")));
        assert!(name("/a/b").overlaps(&name("/a")));
        assert!(!name("/a").overlaps(&name("/ab")));
        assert!(!name("/a").overlaps(&name("/a")));
    }
}
