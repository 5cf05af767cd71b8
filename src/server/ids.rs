//! Random names, made where randomness is allowed.

use std::fmt::Write;

/// An id for a new position: 14 lower-case hex digits, as the original server made them.
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
    fn ids_look_like_the_recorded_ones() {
        let id = super::new_position_id();
        assert!(id.len() == 14 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    }
}
