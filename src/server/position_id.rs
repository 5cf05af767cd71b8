//! Ids of new positions.

use std::fmt::Write;

/// Returns a random id for a new position: 14 lower-case hexadecimal digits, as the legacy backend created them.
#[must_use]
pub fn new_position_id() -> String {
    rand::random::<[u8; 7]>().iter().fold(String::with_capacity(14), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_14_hexadecimal_digits() {
        let id = super::new_position_id();
        assert!(id.len() == 14 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    }
}
