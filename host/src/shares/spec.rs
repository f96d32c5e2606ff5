//! What a share is, from `--share`, the configuration file, REST or the database.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

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
    Local {
        /// Where it is.
        path: PathBuf,
        /// How old attributes may be that are told.
        attribute_cache: AttributeCacheBound,
    },
    /// Memory, gone when the host stops.
    Memory,
}

impl Backend {
    /// A directory whose attributes are always looked up.
    pub fn local(path: impl Into<PathBuf>) -> Self {
        Self::Local {
            path: path.into(),
            attribute_cache: AttributeCacheBound::default(),
        }
    }
}

/// How long attributes may be told again without a look at the object: whole milliseconds, at most
/// [`MAX_ATTRIBUTE_CACHE_MS`](api::MAX_ATTRIBUTE_CACHE_MS). By default not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttributeCacheBound(u32);

impl AttributeCacheBound {
    /// Of so many milliseconds.
    pub fn of_millis(millis: u32) -> Result<Self, FieldError> {
        Self::within(millis)
            .ok_or_else(|| Self::out_of_range("backend.attribute_cache_ms", &millis))
    }

    /// In milliseconds.
    pub fn millis(self) -> u32 {
        self.0
    }

    fn within(millis: u32) -> Option<Self> {
        (millis <= api::MAX_ATTRIBUTE_CACHE_MS).then_some(Self(millis))
    }

    fn out_of_range(field: &str, given: &dyn fmt::Debug) -> FieldError {
        let message = format!(
            "{given:?} is not within 0 and {} milliseconds; give 0 to have attributes always looked up",
            api::MAX_ATTRIBUTE_CACHE_MS
        );
        FieldError::new(field, message)
    }
}

impl FromStr for AttributeCacheBound {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let millis = text.parse().ok().and_then(Self::within);
        millis.ok_or_else(|| Self::out_of_range("attribute_cache", &text))
    }
}

impl From<AttributeCacheBound> for Duration {
    fn from(bound: AttributeCacheBound) -> Self {
        Self::from_millis(bound.0.into())
    }
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

/// The form of `--share`:
/// `/NAME=DIR|memory[,ro][,squash=none|root|all][,clients=CIDR[+CIDR…]][,attribute_cache=MS]`, the last of a directory.
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
            dir => Backend::local(dir),
        };
        let mut spec = Self::new(name.parse()?, backend);
        for option in parts {
            match option.split_once('=') {
                None if option == "ro" => spec.read_only = true,
                Some(("squash", value)) => spec.squash = squash(value)?,
                Some(("clients", value)) => spec.clients = clients(value.split('+'))?,
                Some(("attribute_cache", value)) => match &mut spec.backend {
                    Backend::Local {
                        attribute_cache, ..
                    } => *attribute_cache = value.parse()?,
                    Backend::Memory => {
                        let message =
                            "only a directory has it: leave it out, memory is always looked at";
                        return Err(FieldError::new("attribute_cache", message));
                    }
                },
                _ => {
                    let message = format!(
                        "unknown option {option:?}; there are ro, squash=…, clients=… and attribute_cache=…"
                    );
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
        let spec = parse(
            "/data/a=/srv/a,ro,squash=all,clients=10.0.0.0/8+192.168.1.7+::1,attribute_cache=250",
        )
        .unwrap();
        assert_eq!(spec.name.as_str(), "/data/a");
        let backend = Backend::Local {
            path: "/srv/a".into(),
            attribute_cache: AttributeCacheBound(250),
        };
        assert_eq!(spec.backend, backend);
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
        assert_eq!(parse("/a=/srv").unwrap().backend, Backend::local("/srv"));
    }

    #[test]
    fn the_bound_of_the_attribute_cache_is_at_most_a_minute() {
        for (text, millis) in [("0", 0), ("1", 1), ("60000", 60_000)] {
            let bound: AttributeCacheBound = text.parse().unwrap();
            assert_eq!(bound, AttributeCacheBound::of_millis(millis).unwrap());
            assert_eq!(Duration::from(bound), Duration::from_millis(millis.into()));
        }
        let error = AttributeCacheBound::of_millis(60_001).unwrap_err();
        assert_eq!(error.field, "backend.attribute_cache_ms");
        assert!(error.message.contains("60001 is not within 0 and 60000"));
        assert!(error.message.contains("give 0"), "{error}");
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
            ("/a=/srv,rw", "options", "attribute_cache=…"),
            ("/a=/srv,attribute_cache", "options", "attribute_cache=…"),
            (
                "/a=/srv,attribute_cache=60001",
                "attribute_cache",
                "\"60001\" is not within 0 and 60000 milliseconds",
            ),
            ("/a=/srv,attribute_cache=-1", "attribute_cache", "\"-1\""),
            ("/a=/srv,attribute_cache=1s", "attribute_cache", "\"1s\""),
            ("/a=/srv,attribute_cache=", "attribute_cache", "give 0"),
            (
                "/a=memory,attribute_cache=0",
                "attribute_cache",
                "only a directory has it",
            ),
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
