//! Reads numbers and length-prefixed bytes in Automerge's encoding. Never panics: missing input yields `None`.

/// A cursor over bytes.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Number of remaining bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether no bytes remain.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; `None` at the end.
    pub fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// The next `length` bytes; `None` if there are fewer.
    pub fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads length-prefixed bytes.
    pub fn length_prefixed(&mut self) -> Option<&'a [u8]> {
        let length = self.unsigned()?;
        self.take(length)
    }

    /// Reads an unsigned LEB128 number.
    pub fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for index in 0..10 {
            let byte = self.byte()?;
            if index == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Reads a signed LEB128 number.
    pub fn signed(&mut self) -> Option<i64> {
        let mut value = 0i64;
        for index in 0..10 {
            let byte = self.byte()?;
            // The tenth byte has room for the sign only.
            if index == 9 && byte != 0 && byte != 0x7f {
                return None;
            }
            value |= i64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let bits = 7 * (index + 1);
                let negative = byte & 0x40 != 0;
                return Some(if negative && bits < 64 { value | (-1i64 << bits) } else { value });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write_unsigned(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let part = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                bytes.push(part);
                return bytes;
            }
            bytes.push(part | 0x80);
        }
    }

    fn write_signed(mut value: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let part = (value & 0x7f) as u8;
            value >>= 7;
            if (value == 0 && part & 0x40 == 0) || (value == -1 && part & 0x40 != 0) {
                bytes.push(part);
                return bytes;
            }
            bytes.push(part | 0x80);
        }
    }

    #[test]
    fn oversized_and_truncated_numbers_are_none() {
        for bytes in [&[][..], &[0x80], &[0xff; 10], &[0xff; 11]] {
            assert_eq!(Reader::new(bytes).unsigned(), None, "{bytes:?}");
        }
        for bytes in [&[][..], &[0x80], &[0x80; 10], &[0xff; 11]] {
            assert_eq!(Reader::new(bytes).signed(), None, "{bytes:?}");
        }
        assert_eq!(Reader::new(&[5, 1, 2]).length_prefixed(), None);
    }

    proptest! {
        #[test]
        fn numbers_survive_a_round_trip(unsigned: u64, signed: i64) {
            let mut bytes = write_unsigned(unsigned);
            bytes.extend(write_signed(signed));
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.unsigned(), Some(unsigned));
            prop_assert_eq!(reader.signed(), Some(signed));
            prop_assert!(reader.is_empty());
        }
    }
}
