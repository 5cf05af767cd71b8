//! Regular expressions of texts in the API description.
//!
//! They are in one table instead of beside each field, because a rule such as "not only white space" applies to many fields and
//! its expression is long. Each corresponds to a rule in code, which its comment names.

use utoipa::Modify;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{Object, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};

/// A text with a visible character (`primitives::is_blank`). Invisible characters beyond U+FFFF are not listed.
pub(super) const NOT_BLANK: &str = r"[^\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]";
/// The same without control characters: the name of an author (`primitives::check_author_name`).
const NAME: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\u0000-\u001f\u007f-\u009f]*$";
/// A month, or an empty text, which unsets the field (`plan::Month`).
pub(super) const MONTH_OR_EMPTY: &str = "^((19[0-9]{2}|[2-9][0-9]{3})-(0[1-9]|1[0-2]))?$";
/// The id of a new position (`plan::check_position_id`).
const POSITION_ID: &str = r"^(?!(\.|%2[eE]){1,2}$)[^/\\\u0000-\u001f\u007f-\u009f]*[^/\\\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^/\\\u0000-\u001f\u007f-\u009f]*$";
/// `default`, or base58 (`primitives::DocumentId`, which also checks the checksum).
const DOCUMENT_ID: &str = "^(default|[1-9A-HJ-NP-Za-km-z]{6,100})$";
/// Base58: an id of a scenario or its plan.
const SCENARIO_ID: &str = "^[1-9A-HJ-NP-Za-km-z]{6,100}$";
/// Change hashes, separated by commas or dots (`heads_query::parse_hashes`).
const HASHES: &str = r"^ *[0-9a-fA-F]{64} *([,.] *[0-9a-fA-F]{64} *)*$";
/// Up to 100 change hashes (`attribution::MAX_CHANGES`).
const UP_TO_100_HASHES: &str = r"^ *[0-9a-fA-F]{64} *([,.] *[0-9a-fA-F]{64} *){0,99}$";
/// A place in the history (`plan::history::Cursor`).
const CURSOR: &str = r"^(0|-?[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,8})\.[0-9a-f]{64}$";

/// A place in the feed of all documents (`runtime::hub::RecentPosition`).
const FEED_POSITION: &str = r"^[0-9a-f]{16}\.(0|[1-9][0-9]{0,18})(\.[0-9a-f]{64}(,[0-9a-f]{64}){0,99})?$";

/// A place in a list: base64 (`plan::ListCursor`, `documents_query::DocumentCursor`).
const LIST_CURSOR: &str = "^[A-Za-z0-9_-]{1,1400}$";

/// Properties of request bodies: schema, property, expression.
const PROPERTIES: [(&str, &str, &str); 8] = [
    ("NewDocument", "name", NOT_BLANK),
    ("NewDocument", "yearStart", MONTH_OR_EMPTY),
    ("DocumentPatch", "name", NOT_BLANK),
    ("DocumentPatch", "yearStart", MONTH_OR_EMPTY),
    ("NewPosition", "id", POSITION_ID),
    ("Login", "email", NOT_BLANK),
    ("ScenarioName", "name", NOT_BLANK),
    ("Merge", "scenario", SCENARIO_ID),
];

/// Parameters of paths and queries.
const PARAMETERS: [(&str, &str); 11] = [
    ("documentId", DOCUMENT_ID),
    ("scenarioId", SCENARIO_ID),
    ("with", SCENARIO_ID),
    ("user", NAME),
    ("author", NAME),
    ("at", HASHES),
    ("changes", UP_TO_100_HASHES),
    ("before", CURSOR),
    ("since", HASHES),
    ("after", FEED_POSITION),
    ("cursor", LIST_CURSOR),
];

/// Adds the expressions to the description.
pub struct Patterns;

impl Modify for Patterns {
    fn modify(&self, description: &mut OpenApi) {
        for (schema, property, pattern) in PROPERTIES {
            if let Some(text) = self::property(description, schema, property) {
                text.pattern = Some(pattern.to_owned());
                text.format = format_of(pattern).or_else(|| text.format.take());
            }
        }
        for parameter in parameters(description) {
            if let Some(RefOr::T(Schema::Object(value))) = &mut parameter.schema {
                without_null(value);
            }
            let pattern = PARAMETERS.iter().find(|(name, _)| *name == parameter.name);
            if let (Some((_, pattern)), Some(RefOr::T(Schema::Object(text)))) = (pattern, &mut parameter.schema) {
                text.pattern = Some((*pattern).to_owned());
                text.format = format_of(pattern);
            }
        }
    }
}

/// The format of ids with a checksum, which an expression cannot check.
fn format_of(pattern: &str) -> Option<SchemaFormat> {
    let format = match pattern {
        DOCUMENT_ID => "document-id",
        SCENARIO_ID => "scenario-id",
        _ => return None,
    };
    Some(SchemaFormat::Custom(format.to_owned()))
}

/// Removes `null` from the types of a parameter, because parameters cannot be null.
fn without_null(value: &mut Object) {
    if let SchemaType::Array(types) = &value.schema_type {
        let mut types = types.iter().filter(|kind| **kind != Type::Null);
        if let (Some(only), None) = (types.next(), types.next()) {
            value.schema_type = SchemaType::Type(only.clone());
        }
    }
}

fn property<'a>(description: &'a mut OpenApi, schema: &str, property: &str) -> Option<&'a mut Object> {
    match description.components.as_mut()?.schemas.get_mut(schema)? {
        RefOr::T(Schema::Object(schema)) => match schema.properties.get_mut(property)? {
            RefOr::T(Schema::Object(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn parameters(description: &mut OpenApi) -> impl Iterator<Item = &mut Parameter> {
    let items = description.paths.paths.values_mut();
    let operations =
        items.flat_map(|item| [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete]);
    let parameters = operations.flatten().flat_map(|operation| operation.parameters.iter_mut().flatten());
    parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::server::api::openapi::describe;

    #[test]
    fn every_pattern_is_in_the_description() {
        let mut description = describe();
        for (schema, property, pattern) in PROPERTIES {
            let text = super::property(&mut description, schema, property);
            assert_eq!(text.and_then(|text| text.pattern.as_deref()), Some(pattern), "{schema}.{property}");
        }
        let names: BTreeSet<String> = parameters(&mut description).map(|parameter| parameter.name.clone()).collect();
        for (name, _) in PARAMETERS {
            assert!(names.contains(name), "{name}");
        }
    }
}
