//! The fields of a position in the API description, derived from [`plan::FIELDS`].

use plan::{FieldId, FieldKind, MAX_BUDGET};
use primitives::MAX_TEXT;
use serde_json::Value;
use utoipa::Modify;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};

use super::patterns::{MONTH_OR_EMPTY, NOT_BLANK};

/// A schema with the fields of a position.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// An answer: a field that is not set is `null`, or absent if it is optional.
    Answer,
    /// The body that creates a position.
    New,
    /// The body that changes a position.
    Patch,
}

const SCHEMAS: [(&str, Use); 4] =
    [("Position", Use::Answer), ("NewPosition", Use::New), ("PositionPatch", Use::Patch), ("BatchChange", Use::Patch)];

/// Adds the fields to the schemas.
pub struct FieldSchemas;

impl Modify for FieldSchemas {
    fn modify(&self, description: &mut OpenApi) {
        let Some(components) = &mut description.components else { return };
        for (name, usage) in SCHEMAS {
            let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(name) else { continue };
            for field in FieldId::all() {
                schema.properties.insert(field.key().to_owned(), RefOr::T(property(field, usage).into()));
            }
            let is_required = |field: &FieldId| match usage {
                Use::Answer => !field.kind().is_optional(),
                Use::New => field.is_required(),
                Use::Patch => false,
            };
            let required = FieldId::all().filter(is_required).map(|field| field.key().to_owned());
            // After `id`, where that is required.
            let at = schema.required.len().min(1);
            schema.required.splice(at..at, required);
        }
    }
}

#[expect(deprecated, reason = "`example`, like the schemas that utoipa derives")]
fn property(field: FieldId, usage: Use) -> Object {
    let definition = field.definition();
    let example = serde_json::from_str(definition.example).unwrap_or(Value::Null);
    let property = ObjectBuilder::new().example(Some(example));
    let (property, rule) = match (definition.kind, usage) {
        (FieldKind::Text { .. }, Use::Answer) => (property.schema_type(nullable(Type::String)), ""),
        (FieldKind::Text { required }, _) => {
            let property = property.schema_type(Type::String).max_length(Some(MAX_TEXT));
            if required {
                let property = property.min_length(Some(1)).pattern(Some(NOT_BLANK));
                (property, " Up to 1,000 characters, not only white space.")
            } else {
                let default = (usage == Use::New).then(|| Value::from(""));
                (property.default(default), " Up to 1,000 characters.")
            }
        }
        (FieldKind::Amount, usage) => {
            let property = property
                .schema_type(nullable(Type::Number))
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)));
            match usage {
                Use::Answer => (property, " Null: unknown."),
                Use::New => (property.minimum(Some(0)).maximum(Some(MAX_BUDGET)), " Null or absent: unknown."),
                Use::Patch => (property.minimum(Some(0)).maximum(Some(MAX_BUDGET)), " Null: unknown from now on."),
            }
        }
        (FieldKind::Choice(_) | FieldKind::Month, Use::Answer) => {
            (property.schema_type(nullable(Type::String)), " Absent: not set.")
        }
        (kind @ (FieldKind::Choice(_) | FieldKind::Month), usage) => {
            let property = property.schema_type(nullable(Type::String));
            let property = match kind {
                FieldKind::Choice(choices) => property.enum_values(Some(choices_or_unset(choices))),
                _ => property.pattern(Some(MONTH_OR_EMPTY)),
            };
            let rule = match usage {
                Use::Patch => " Null or an empty text: not set from now on.",
                _ => " Null, an empty text or absent: not set.",
            };
            (property, rule)
        }
    };
    property.description(Some(format!("{}{rule}", definition.description))).build()
}

fn choices_or_unset(choices: &[&str]) -> Vec<Value> {
    choices.iter().chain([&""]).map(|choice| Value::from(*choice)).chain([Value::Null]).collect()
}

fn nullable(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}
