//! Which claims of a provider's tokens name the user, the role and the documents.

use serde_json::{Map, Value};

use super::{Documents, Role};

/// The claim with an e-mail address.
const EMAIL: &str = "email";
/// The role of users whose tokens have no value with a role of its own.
const ANY_VALUE: &str = "*";

/// How the claims of a provider's tokens are read. A claim within others is named by a path, such as `realm_access.roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimMapping {
    /// Claim that names the user.
    pub user: String,
    /// Claim with the user's roles: a text or a list of texts.
    pub role: String,
    /// The role that each value of [`role`](Self::role) grants; `*` stands for all others, and for a missing claim. If empty, the
    /// values are names of roles. The highest role counts.
    pub roles: Vec<(String, Role)>,
    /// Claim with the user's documents.
    pub documents: String,
    /// The documents of users whose tokens do not have that claim.
    pub default_documents: Documents,
}

impl Default for ClaimMapping {
    /// The claims of this server's own tokens.
    fn default() -> Self {
        Self {
            user: "sub".to_owned(),
            role: "role".to_owned(),
            roles: Vec::new(),
            documents: "documents".to_owned(),
            default_documents: Documents::none(),
        }
    }
}

impl ClaimMapping {
    /// Renames the claims of a provider to those of this server's tokens.
    ///
    /// # Errors
    /// When the user is not certain, or the documents cannot be read.
    pub(super) fn apply(&self, claims: &mut Map<String, Value>) -> Result<(), &'static str> {
        if self.user == EMAIL && claims.get("email_verified").is_some_and(|verified| !is_true(verified)) {
            // Some providers let users write any address there.
            return Err("its e-mail address is not verified (email_verified)");
        }
        let user = find(claims, &self.user).and_then(Value::as_str);
        let mut user = user.ok_or("it has no claim that names its user, or one that is no text")?.to_owned();
        if self.user == EMAIL {
            // Like the names of accounts. Providers return the spelling that the user has typed, and documents are shared with a name.
            user.make_ascii_lowercase();
        }
        let role = self.role_of(find(claims, &self.role));
        let documents = match find(claims, &self.documents) {
            Some(documents) => documents.clone(),
            None => serde_json::to_value(&self.default_documents).map_err(|_| "its documents cannot be read")?,
        };
        claims.insert("sub".to_owned(), user.into());
        claims.insert("documents".to_owned(), documents);
        match role {
            Some(role) => claims.insert("role".to_owned(), role.as_str().into()),
            None => claims.remove("role"),
        };
        Ok(())
    }

    fn role_of(&self, value: Option<&Value>) -> Option<Role> {
        let values: Vec<&str> = match value {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if self.roles.is_empty() {
            return values.into_iter().filter_map(Role::named).max();
        }
        values.into_iter().filter_map(|value| self.granted(value)).max().or_else(|| self.granted(ANY_VALUE))
    }

    /// The highest role of a value.
    fn granted(&self, wanted: &str) -> Option<Role> {
        self.roles.iter().filter(|(value, _)| value == wanted).map(|(_, role)| *role).max()
    }
}

/// Some providers write booleans as texts.
fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true) || value.as_str() == Some("true")
}

/// A claim by its name, which may contain points, or by its path.
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapped(mapping: &ClaimMapping, claims: Value) -> Result<Value, &'static str> {
        let Value::Object(mut claims) = claims else { panic!("not an object") };
        mapping.apply(&mut claims)?;
        let wanted = ["sub", "role", "documents"].map(|name| claims.get(name).cloned().unwrap_or(Value::Null));
        Ok(Value::from(wanted.to_vec()))
    }

    #[test]
    fn default_mapping_keeps_the_claims() {
        let mapping = ClaimMapping::default();
        let claims = json!({ "sub": "cfo", "role": "editor", "documents": ["default"], "email_verified": false });
        assert_eq!(mapped(&mapping, claims), Ok(json!(["cfo", "editor", ["default"]])));
        assert_eq!(mapped(&mapping, json!({ "sub": "cfo" })), Ok(json!(["cfo", null, []])));
        for role in [json!("admin"), json!(7), json!(null), json!({}), json!([]), json!(["admin"])] {
            assert_eq!(mapped(&mapping, json!({ "sub": "cfo", "role": role })), Ok(json!(["cfo", null, []])), "{role}");
        }
        for user in [json!(7), json!(null), json!(["cfo"])] {
            assert!(mapped(&mapping, json!({ "sub": user, "role": "editor" })).is_err(), "{user}");
        }
    }

    #[test]
    fn highest_role_of_all_values_counts() {
        let roles = vec![
            ("planners".to_owned(), Role::Editor),
            ("finance".to_owned(), Role::Owner),
            ("planners".to_owned(), Role::Viewer),
        ];
        let mut mapping = ClaimMapping { role: "groups".to_owned(), roles, ..ClaimMapping::default() };
        let role = |mapping: &ClaimMapping, groups: Value| {
            mapped(mapping, json!({ "sub": "cfo", "role": "owner", "groups": groups })).expect("mapped")[1].clone()
        };
        assert_eq!(role(&mapping, json!(["planners", "staff"])), "editor");
        assert_eq!(role(&mapping, json!(["finance", "planners"])), "owner");
        assert_eq!(role(&mapping, json!("planners")), "editor");
        for none in [json!("staff"), json!("owner"), json!(["*"]), json!(null), json!([])] {
            assert_eq!(role(&mapping, none.clone()), Value::Null, "{none}: the claim `role` has no meaning here");
        }
        mapping.roles.push(("*".to_owned(), Role::Viewer));
        assert_eq!(role(&mapping, json!("staff")), "viewer");
        assert_eq!(role(&mapping, json!(["staff", "finance"])), "owner");
    }

    #[test]
    fn claims_are_found_by_name_and_by_path() {
        let mapping = ClaimMapping {
            user: "https://plan.example.com/name".to_owned(),
            role: "realm_access.roles".to_owned(),
            documents: "plans.of.user".to_owned(),
            default_documents: Documents::All,
            ..ClaimMapping::default()
        };
        let claims = json!({
            "sub": "7", "https://plan.example.com/name": "cfo",
            "realm_access": { "roles": ["offline", "viewer"] }, "plans": { "of.user": ["default"] },
        });
        assert_eq!(mapped(&mapping, claims), Ok(json!(["cfo", "viewer", ["default"]])));
        let claims = json!({ "https://plan.example.com/name": "cfo", "realm_access": [], "plans": { "of": 7 } });
        assert_eq!(mapped(&mapping, claims), Ok(json!(["cfo", null, "*"])));
    }

    #[test]
    fn addresses_are_in_lower_case_and_other_names_are_kept() {
        let claims = || json!({ "sub": "Cfo", "email": "CFO@Example.com" });
        let mapping = ClaimMapping { user: "email".to_owned(), ..ClaimMapping::default() };
        assert_eq!(mapped(&mapping, claims()), Ok(json!(["cfo@example.com", null, []])));
        assert_eq!(mapped(&ClaimMapping::default(), claims()), Ok(json!(["Cfo", null, []])));
    }

    #[test]
    fn unverified_addresses_are_no_names() {
        let mapping = ClaimMapping { user: "email".to_owned(), ..ClaimMapping::default() };
        for (verified, accepted) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!(null), false),
        ] {
            let claims = json!({ "email": "cfo@example.com", "email_verified": verified });
            assert_eq!(mapped(&mapping, claims).is_ok(), accepted, "{verified}");
        }
        assert!(mapped(&mapping, json!({ "email": "cfo@example.com" })).is_ok(), "not all providers say so");
    }
}
