//! Flags of an identity provider.

use std::path::PathBuf;

use auth::{ClaimMapping, Documents, Role};
use clap::{Args, ValueEnum};

use super::ConfigError;
use crate::server::{ClientOptions, IdentityProviderOptions, ProviderSource};

/// Flags of an identity provider.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Identity provider")]
pub struct IdentityProviderArgs {
    /// Accept tokens of an identity provider. SET is a JWK set with its public keys: a file, or an https URL
    #[arg(long, value_name = "SET", env = "HAPPIERWORK_JWKS")]
    pub jwks: Option<String>,
    /// Accept tokens of this identity provider, whose keys are found by OpenID Connect discovery
    #[arg(long, value_name = "URL", env = "HAPPIERWORK_OIDC_ISSUER", conflicts_with = "jwks")]
    pub oidc_issuer: Option<String>,
    /// Let users log in by the provider of --oidc-issuer: this server's client id there. Needs --auth, whose key signs the sessions
    #[arg(long, value_name = "ID", env = "HAPPIERWORK_OIDC_CLIENT_ID", requires = "oidc_issuer")]
    pub oidc_client_id: Option<String>,
    /// File with the client's secret; none for a public client
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_OIDC_CLIENT_SECRET_FILE", requires = "oidc_client_id")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Scopes to request at a login
    #[arg(long, value_name = "SCOPES", env = "HAPPIERWORK_OIDC_SCOPES", default_value = "openid email profile")]
    pub oidc_scopes: String,
    /// Name of the provider on the login page [default: its host]
    #[arg(long, value_name = "NAME", env = "HAPPIERWORK_OIDC_NAME", requires = "oidc_client_id")]
    pub oidc_name: Option<String>,
    /// Address of this server for browsers, such as https://plan.example.com [default: that of their requests, if they name localhost
    /// or a --host]. The provider must accept its path /api/login/callback
    #[arg(long, value_name = "URL", env = "HAPPIERWORK_PUBLIC_URL", requires = "oidc_client_id")]
    pub public_url: Option<String>,
    /// Required audience (aud) of the provider's tokens; those of its logins are for --oidc-client-id. With that flag, the provider's
    /// tokens are refused without this one
    #[arg(long, value_name = "AUD", env = "HAPPIERWORK_JWT_AUDIENCE")]
    pub jwt_audience: Option<String>,
    /// Required issuer (iss) of the provider's tokens [default: --oidc-issuer]
    #[arg(long, value_name = "ISS", env = "HAPPIERWORK_JWT_ISSUER")]
    pub jwt_issuer: Option<String>,
    /// Claim of the provider's tokens that names the user, such as email
    #[arg(long, value_name = "CLAIM", env = "HAPPIERWORK_JWT_USER_CLAIM", default_value = "sub")]
    pub jwt_user_claim: String,
    /// Claim with the user's roles, such as groups or realm_access.roles
    #[arg(long, value_name = "CLAIM", env = "HAPPIERWORK_JWT_ROLE_CLAIM", default_value = "role")]
    pub jwt_role_claim: String,
    /// Role that a value of that claim grants, such as finance=owner; repeatable. *=viewer is for all others. Without this flag, the
    /// values are viewer, editor and owner
    #[arg(long, value_name = "VALUE=ROLE", env = "HAPPIERWORK_JWT_ROLE", value_delimiter = ',', value_parser = role)]
    pub jwt_role: Vec<(String, Role)>,
    /// Claim with the user's documents: * or a list
    #[arg(long, value_name = "CLAIM", env = "HAPPIERWORK_JWT_DOCUMENTS_CLAIM", default_value = "documents")]
    pub jwt_documents_claim: String,
    /// Documents of users without that claim: comma-separated ids, `default`, or * for all [default: none]
    #[arg(long, value_name = "LIST", env = "HAPPIERWORK_JWT_DOCUMENTS")]
    pub jwt_documents: Option<Documents>,
}

impl IdentityProviderArgs {
    /// The flag that names the provider; `None` without one.
    #[must_use]
    pub fn flag(&self) -> Option<&'static str> {
        match (&self.jwks, &self.oidc_issuer) {
            (Some(_), _) => Some("--jwks"),
            (None, Some(_)) => Some("--oidc-issuer"),
            (None, None) => None,
        }
    }

    /// The file with the provider's keys.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        self.jwks.as_ref().filter(|set| !is_url(set)).map(PathBuf::from)
    }

    /// Issuer that the provider's tokens must name.
    #[must_use]
    pub fn issuer(&self) -> Option<String> {
        self.jwt_issuer.clone().or_else(|| self.oidc_issuer.clone())
    }

    /// How the claims of the provider's tokens are read.
    #[must_use]
    pub fn claims(&self) -> ClaimMapping {
        ClaimMapping {
            user: self.jwt_user_claim.clone(),
            role: self.jwt_role_claim.clone(),
            roles: self.jwt_role.clone(),
            documents: self.jwt_documents_claim.clone(),
            default_documents: self.jwt_documents.clone().unwrap_or_else(Documents::none),
        }
    }

    /// The provider that the server asks for keys; `None` if they are in a file, or there is none.
    #[must_use]
    pub fn options(&self) -> Option<IdentityProviderOptions> {
        let source = match (&self.oidc_issuer, &self.jwks) {
            (Some(issuer), _) => ProviderSource::Issuer(issuer.clone()),
            (None, Some(url)) if is_url(url) => ProviderSource::Keys(url.clone()),
            _ => return None,
        };
        let client = self.oidc_client_id.as_ref().map(|id| ClientOptions {
            id: id.clone(),
            secret_file: self.oidc_client_secret_file.clone(),
            scopes: self.oidc_scopes.clone(),
            name: self.oidc_name.clone(),
            public_url: self.public_url.clone(),
        });
        Some(IdentityProviderOptions { source, client })
    }

    /// Checks what these flags need. `has_folder`: there is a folder of this server's own keys.
    ///
    /// # Errors
    /// If that is missing.
    pub fn check(&self, has_folder: bool) -> Result<(), ConfigError> {
        let flags = [("--jwt-audience", self.jwt_audience.is_some()), ("--jwt-issuer", self.jwt_issuer.is_some())];
        let more = [("--jwt-role", !self.jwt_role.is_empty()), ("--jwt-documents", self.jwt_documents.is_some())];
        let unused = flags.into_iter().chain(more).find(|(_, is_given)| *is_given);
        match unused {
            Some((flag, _)) if self.flag().is_none() => Err(ConfigError::NeedsProvider(flag)),
            _ if self.oidc_client_id.is_some() && !has_folder => Err(ConfigError::LoginNeedsAuth),
            _ => Ok(()),
        }
    }
}

/// File names do not begin like this.
fn is_url(set: &str) -> bool {
    set.starts_with("https://") || set.starts_with("http://")
}

/// Parses the role of a claim's value.
fn role(text: &str) -> Result<(String, Role), String> {
    // The value may contain equals signs, such as the names of LDAP groups do.
    let (value, role) = text.rsplit_once('=').filter(|(value, _)| !value.is_empty()).ok_or("not VALUE=ROLE")?;
    let role = Role::from_str(role, false).map_err(|_| format!("{role:?} is none of viewer, editor and owner"))?;
    Ok((value.to_owned(), role))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::config::{Cli, ServeArgs};

    fn serve(flags: &[&str]) -> ServeArgs {
        Cli::try_parse_from([&["happierwork"], flags].concat()).expect("parses").serve
    }

    #[test]
    fn provider_is_a_file_a_url_or_an_issuer() {
        let of = |flags: &[&str]| serve(flags).options().expect("options");
        let options = of(&["--jwks", "jwks.json"]);
        assert_eq!(options.identity_provider, None);
        assert_eq!(options.auth.expect("on").jwks, Some("jwks.json".into()));
        let options = of(&["--jwks", "https://login.example.com/keys"]);
        let source = options.identity_provider.expect("a provider").source;
        assert_eq!(source, ProviderSource::Keys("https://login.example.com/keys".to_owned()));
        assert_eq!(options.auth.expect("on").jwks, None);
        let issuer = ["--oidc-issuer", "https://login.example.com"];
        let options = of(&issuer);
        let auth = options.auth.expect("on");
        assert_eq!((auth.issuer.as_deref(), auth.provider_logins), (Some("https://login.example.com"), false));
        assert_eq!(options.identity_provider.expect("a provider").client, None);
        let login = [&issuer[..], &["--oidc-client-id", "plan"]].concat();
        assert_eq!(serve(&login).options().err(), Some(ConfigError::LoginNeedsAuth));
        let options = of(&[&login[..], &["--auth", "auth", "--jwt-role", "finance=owner,*=viewer"]].concat());
        assert_eq!(options.identity_provider.expect("a provider").client.expect("a client").id, "plan");
        let auth = options.auth.expect("on");
        assert_eq!((auth.claims.roles.len(), auth.audience, auth.provider_logins), (2, None, true));
        for flags in [&["--oidc-client-id", "plan"][..], &[&issuer[..], &["--jwks", "x"]].concat()] {
            assert!(Cli::try_parse_from([&["happierwork"], flags].concat()).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn values_of_role_claims_may_contain_equals_signs() {
        assert_eq!(role("finance=owner"), Ok(("finance".to_owned(), Role::Owner)));
        assert_eq!(role("*=viewer"), Ok(("*".to_owned(), Role::Viewer)));
        assert_eq!(role("cn=finance=editor"), Ok(("cn=finance".to_owned(), Role::Editor)));
        for bad in ["", "finance", "=owner", "finance=admin", "finance="] {
            assert!(role(bad).is_err(), "{bad}");
        }
    }
}
