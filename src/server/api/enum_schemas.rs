//! Schemas of the enumerations in the API: roles, protocols, documents of a token. Handlers write their values as text.

use utoipa::ToSchema;

/// `viewer` can read, `editor` can also change, `owner` can also grant access and delete.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role, example = "editor")]
#[expect(dead_code, reason = "describes `auth::Role`; a test compares both")]
pub enum RoleName {
    /// Reads.
    Viewer,
    /// Reads and changes.
    Editor,
    /// Reads, changes, grants access and deletes.
    Owner,
}

/// The protocol over which a change arrived: `sync` is automerge-repo, `plain` is plain Automerge sync.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Surface)]
#[expect(dead_code, reason = "describes `sync_engine::Surface`; a test compares both")]
pub enum SurfaceName {
    /// automerge-repo.
    Sync,
    /// Plain Automerge sync.
    Plain,
    /// The legacy socket and the legacy REST paths.
    Legacy,
    /// This API.
    Api,
    /// Another server that this server has dialled.
    Peer,
}

/// The documents that a token grants: `*` for all, or a list of ids and `default`.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = TokenDocuments)]
#[expect(dead_code, reason = "describes `auth::Documents`; a test compares both")]
pub enum DocumentNames {
    /// All documents.
    All(AllDocuments),
    /// These documents.
    Named(Vec<String>),
}

/// All documents, also those that are created later.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `auth::Documents`")]
pub enum AllDocuments {
    /// All documents.
    #[serde(rename = "*")]
    All,
}

#[cfg(test)]
mod tests {
    use auth::{Documents, Role};
    use serde_json::{Value, json};
    use sync_engine::Surface;
    use utoipa::PartialSchema;

    use super::*;

    fn names<T: PartialSchema>() -> Value {
        serde_json::to_value(T::schema()).unwrap()["enum"].clone()
    }

    #[test]
    fn described_values_equal_those_in_use() {
        assert_eq!(names::<RoleName>(), json!([Role::Viewer, Role::Editor, Role::Owner]));
        let surfaces = [Surface::Sync, Surface::Plain, Surface::Legacy, Surface::Api, Surface::Peer];
        assert_eq!(names::<SurfaceName>(), json!(surfaces.map(|surface| surface.to_string())));
        assert_eq!(names::<AllDocuments>(), json!([Documents::All]));
    }
}
