//! Reads access records.

use primitives::strict_json;
use runtime::hub::AccessRecord;
use store::StoredAccess;

/// Reads a stored access record.
///
/// # Errors
/// When it is not valid.
pub fn read_record(stored: &StoredAccess) -> Result<AccessRecord, String> {
    strict_json::from_slice(&stored.record)
        .map_err(|error| format!("the access record of document {} is not valid: {error}", stored.document))
}
