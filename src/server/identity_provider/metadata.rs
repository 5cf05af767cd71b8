//! What a provider publishes about itself (OpenID Connect Discovery 1.0, section 3; RFC 8414).

use serde::Deserialize;

use super::options::is_protected;

/// The metadata of a provider. Unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) jwks_uri: String,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether answers to logins name the issuer (RFC 9207).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// Why metadata cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MetadataError {
    #[error("the metadata cannot be read: {0}")]
    Json(String),
    #[error(
        "the metadata is of the issuer {found:?}, and {expected:?} is configured. They must be equal, up to the last character"
    )]
    Issuer { found: String, expected: String },
    #[error("{0} in the metadata is not an https URL")]
    Url(&'static str),
}

impl Metadata {
    /// Where an issuer publishes its metadata.
    pub(super) fn url(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    pub(super) fn read(json: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        let metadata: Self = serde_json::from_slice(json).map_err(|error| MetadataError::Json(error.to_string()))?;
        if metadata.issuer != issuer {
            return Err(MetadataError::Issuer { found: metadata.issuer, expected: issuer.to_owned() });
        }
        // An authorization endpoint may have a query (RFC 6749, section 3.1).
        let path = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        for (name, url) in [
            ("jwks_uri", Some(&metadata.jwks_uri)),
            ("authorization_endpoint", metadata.authorization_endpoint.as_ref()),
            ("token_endpoint", metadata.token_endpoint.as_ref()),
        ] {
            if url.is_some_and(|url| !is_protected(&path(url))) {
                return Err(MetadataError::Url(name));
            }
        }
        Ok(metadata)
    }

    /// Whether a client's secret is sent as a password, rather than in the form.
    pub(super) fn takes_basic(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_deref();
        methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://login.example.com";

    fn read(changes: Value) -> Result<Metadata, MetadataError> {
        let mut json = json!({
            "issuer": ISSUER, "jwks_uri": "https://login.example.com/keys", "scopes_supported": ["openid"],
            "authorization_endpoint": "https://login.example.com/auth?x=1", "token_endpoint": "https://login.example.com/token",
        });
        json.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
        Metadata::read(json.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn metadata_of_another_issuer_or_without_tls_is_refused() {
        assert!(read(json!({})).is_ok());
        for issuer in ["https://login.example.com/", "https://evil.example"] {
            assert!(matches!(read(json!({ "issuer": issuer })), Err(MetadataError::Issuer { .. })), "{issuer}");
        }
        for name in ["jwks_uri", "authorization_endpoint", "token_endpoint"] {
            assert_eq!(read(json!({ name: "http://login.example.com/x" })).err(), Some(MetadataError::Url(name)));
        }
        assert!(matches!(read(json!({ "jwks_uri": null })), Err(MetadataError::Json(_))));
        assert_eq!(
            Metadata::url("https://a.example/realms/b/"),
            "https://a.example/realms/b/.well-known/openid-configuration"
        );
    }

    #[test]
    fn secret_is_a_password_unless_the_form_is_wanted() {
        for (methods, basic) in [
            (Value::Null, true),
            (json!(["client_secret_basic", "client_secret_post"]), true),
            (json!(["client_secret_post"]), false),
        ] {
            let read = read(json!({ "token_endpoint_auth_methods_supported": methods })).expect("valid");
            assert_eq!(read.takes_basic(), basic, "{methods}");
        }
    }
}
