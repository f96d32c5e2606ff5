//! Paths of the REST interface that carry a name.

use std::fmt::Write as _;

/// The path under which everything but health lives.
pub const API_PREFIX: &str = "/api/v1";

/// The path of the adapter `kind`.
pub fn adapter_path(kind: &str) -> String {
    format!("{API_PREFIX}/adapters/{}", component(kind))
}

/// The path of the share `name`: without its leading slash and percent-encoded, so that
/// a name of several components is one component of the path.
pub fn share_path(name: &str) -> String {
    format!(
        "{API_PREFIX}/shares/{}",
        component(name.strip_prefix('/').unwrap_or(name))
    )
}

/// `text` as one component of a path or one value of a query (RFC 3986 §2.1).
pub fn component(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_several_components_is_one_component_of_the_path() {
        assert_eq!(share_path("/export"), "/api/v1/shares/export");
        assert_eq!(share_path("/a/b c"), "/api/v1/shares/a%2Fb%20c");
        assert_eq!(share_path("/ä"), "/api/v1/shares/%C3%A4");
    }

    #[test]
    fn a_name_cannot_leave_its_component() {
        assert_eq!(
            adapter_path("../shares?x"),
            "/api/v1/adapters/..%2Fshares%3Fx"
        );
    }
}
