//! Reads CBOR within bounds: minicbor's pull decoder with a depth limit, and errors that name the key.

use std::borrow::Cow;

use minicbor::data::{Tag, Type};
use minicbor::decode::{Decoder, Error};

use super::DecodeError;

/// Deepest accepted nesting. The protocol needs three levels; the rest is for skipped keys.
const MAX_DEPTH: usize = 16;
/// Tag of an array of unsigned bytes (RFC 8746). cbor-x writes it when told to tag typed arrays.
const TYPED_ARRAY_OF_BYTES: Tag = Tag::new(64);
/// First byte of a 16-bit float, which minicbor reads only with another dependency.
const FLOAT16: u8 = 0xf9;

/// A cursor over one frame.
pub(super) struct Reader<'b> {
    decoder: Decoder<'b>,
}

/// Number of remaining entries of a map or an array; unknown if it is terminated by an end mark.
pub(super) struct Remaining(Option<u64>);

impl<'b> Reader<'b> {
    pub(super) fn new(frame: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(frame) }
    }

    /// A second cursor over the same frame.
    pub(super) fn at(&self, position: usize) -> Self {
        let mut decoder = Decoder::new(self.decoder.input());
        decoder.set_position(position);
        Self { decoder }
    }

    pub(super) fn position(&self) -> usize {
        self.decoder.position()
    }

    /// Whether the value is null or undefined.
    pub(super) fn is_absent(&self) -> Result<bool, DecodeError> {
        Ok(matches!(self.kind()?, Type::Null | Type::Undefined))
    }

    /// Rejects trailing bytes.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        let offset = self.position();
        if offset < self.decoder.input().len() { Err(DecodeError::TrailingBytes { offset }) } else { Ok(()) }
    }

    /// Skips one value of any type.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        self.skip_within(MAX_DEPTH)
    }

    // The recursion is bounded by `depth`, the loops by the input: every entry takes at least one byte.
    fn skip_within(&mut self, depth: usize) -> Result<(), DecodeError> {
        let deeper = || depth.checked_sub(1).ok_or(DecodeError::TooDeep { limit: MAX_DEPTH });
        let offset = self.position();
        match self.kind()? {
            Type::Array | Type::ArrayIndef => {
                let deeper = deeper()?;
                let mut remaining = Remaining(self.decoder.array().map_err(|e| malformed(offset, &e))?);
                while self.more(&mut remaining)? {
                    self.skip_within(deeper)?;
                }
                Ok(())
            }
            Type::Map | Type::MapIndef => {
                let deeper = deeper()?;
                let mut remaining = Remaining(self.decoder.map().map_err(|e| malformed(offset, &e))?);
                while self.more(&mut remaining)? {
                    self.skip_within(deeper)?;
                    self.skip_within(deeper)?;
                }
                Ok(())
            }
            Type::Tag => {
                let deeper = deeper()?;
                self.decoder.tag().map_err(|e| malformed(offset, &e))?;
                self.skip_within(deeper)
            }
            Type::Break => Err(DecodeError::NotCbor { offset, reason: "an end mark without a beginning".into() }),
            _ => self.decoder.skip().map_err(|e| malformed(offset, &e)),
        }
    }

    pub(super) fn map(&mut self, key: &'static str) -> Result<Remaining, DecodeError> {
        let offset = self.expect(key, "a map", |kind| matches!(kind, Type::Map | Type::MapIndef))?;
        Ok(Remaining(self.decoder.map().map_err(|e| malformed(offset, &e))?))
    }

    pub(super) fn array(&mut self, key: &'static str) -> Result<Remaining, DecodeError> {
        let offset = self.expect(key, "a list", |kind| matches!(kind, Type::Array | Type::ArrayIndef))?;
        Ok(Remaining(self.decoder.array().map_err(|e| malformed(offset, &e))?))
    }

    /// Whether the map or array has another entry. Skips the end mark.
    pub(super) fn more(&mut self, remaining: &mut Remaining) -> Result<bool, DecodeError> {
        match &mut remaining.0 {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if self.kind()? == Type::Break => {
                self.decoder.set_position(self.position() + 1);
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// The next key of a map; `None` for a key that is not text, which is skipped. Known keys are text.
    pub(super) fn key(&mut self) -> Result<Option<Cow<'b, str>>, DecodeError> {
        if !matches!(self.kind()?, Type::String | Type::StringIndef) {
            self.skip()?;
            return Ok(None);
        }
        self.text("a key", usize::MAX).map(Some)
    }

    pub(super) fn text(&mut self, key: &'static str, limit: usize) -> Result<Cow<'b, str>, DecodeError> {
        let offset = self.expect(key, "text", |kind| matches!(kind, Type::String | Type::StringIndef))?;
        let text = self.decoder.str_iter().map_err(|e| malformed(offset, &e))?;
        let mut whole = Cow::Borrowed("");
        for part in text {
            let part = part.map_err(|e| malformed(offset, &e))?;
            if whole.len() + part.len() > limit {
                return Err(DecodeError::TooLong { key, limit });
            }
            // Borrows if there is one part, as in all known clients.
            whole += part;
        }
        Ok(whole)
    }

    /// Reads a byte string: plain, in parts, or tagged as a typed array.
    pub(super) fn bytes(&mut self, key: &'static str) -> Result<Cow<'b, [u8]>, DecodeError> {
        let mut offset = self.position();
        if self.kind()? == Type::Tag && self.decoder.tag().map_err(|e| malformed(offset, &e))? != TYPED_ARRAY_OF_BYTES {
            return Err(DecodeError::WrongType { key, expected: "bytes", found: "a tagged value".into() });
        }
        offset = self.expect(key, "bytes", |kind| matches!(kind, Type::Bytes | Type::BytesIndef)).map(|_| offset)?;
        let mut whole: Cow<'b, [u8]> = Cow::Borrowed(&[]);
        for part in self.decoder.bytes_iter().map_err(|e| malformed(offset, &e))? {
            let part = part.map_err(|e| malformed(offset, &e))?;
            if whole.is_empty() {
                whole = Cow::Borrowed(part);
            } else {
                whole.to_mut().extend_from_slice(part);
            }
        }
        Ok(whole)
    }

    pub(super) fn bool(&mut self, key: &'static str) -> Result<bool, DecodeError> {
        let offset = self.expect(key, "true or false", |kind| kind == Type::Bool)?;
        self.decoder.bool().map_err(|e| malformed(offset, &e))
    }

    /// Reads a whole number from 0 to 2^53 - 1, also encoded as a float, as cbor-x does from 2^32 on.
    pub(super) fn whole_number(&mut self, key: &'static str) -> Result<u64, DecodeError> {
        const MAX: f64 = 9_007_199_254_740_991.0;
        let number = self.number(key)?;
        if !(0.0..=MAX).contains(&number) || number.fract() != 0.0 {
            let expected = "a whole number from 0 to 2^53 - 1";
            return Err(DecodeError::BadNumber { key, expected, found: number.to_string() });
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and in the range")]
        Ok(number as u64)
    }

    /// Reads any finite number.
    pub(super) fn number(&mut self, key: &'static str) -> Result<f64, DecodeError> {
        let offset = self.position();
        let number = match self.kind()? {
            Type::F32 | Type::F64 => self.decoder.f64().map_err(|e| malformed(offset, &e))?,
            Type::F16 => self.half()?,
            _ => {
                self.expect(key, "a number", is_integer)?;
                // Rounds beyond 2^53, as JavaScript does.
                #[expect(clippy::cast_precision_loss, reason = "JavaScript knows no other numbers")]
                self.decoder.int().map(|int| i128::from(int) as f64).map_err(|e| malformed(offset, &e))?
            }
        };
        if !number.is_finite() {
            return Err(DecodeError::BadNumber { key, expected: "a finite number", found: number.to_string() });
        }
        Ok(number)
    }

    /// Reads a 16-bit float: one sign bit, 5 of exponent, 10 of fraction. Some encoders shorten every float if
    /// possible.
    fn half(&mut self) -> Result<f64, DecodeError> {
        let offset = self.position();
        let Some(&[FLOAT16, high, low]) = self.decoder.input().get(offset..offset + 3) else {
            return Err(DecodeError::Truncated);
        };
        self.decoder.set_position(offset + 3);
        let bits = u16::from_be_bytes([high, low]);
        let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
        let size = match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
        };
        Ok(if bits >> 15 == 1 { -size } else { size })
    }

    fn expect(
        &self,
        key: &'static str,
        expected: &'static str,
        is: impl Fn(Type) -> bool,
    ) -> Result<usize, DecodeError> {
        let kind = self.kind()?;
        if is(kind) {
            Ok(self.position())
        } else {
            Err(DecodeError::WrongType { key, expected, found: describe(kind).into() })
        }
    }

    fn kind(&self) -> Result<Type, DecodeError> {
        self.decoder.datatype().map_err(|e| malformed(self.position(), &e))
    }
}

fn is_integer(kind: Type) -> bool {
    use Type::{I8, I16, I32, I64, Int, U8, U16, U32, U64};
    matches!(kind, U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | Int)
}

fn malformed(offset: usize, error: &Error) -> DecodeError {
    if error.is_end_of_input() {
        DecodeError::Truncated
    } else {
        DecodeError::NotCbor { offset: error.position().unwrap_or(offset), reason: error.to_string() }
    }
}

fn describe(kind: Type) -> &'static str {
    match kind {
        Type::Bool => "true or false",
        Type::Null => "null",
        Type::Undefined => "undefined",
        Type::F16 | Type::F32 | Type::F64 => "a number",
        Type::Bytes | Type::BytesIndef => "bytes",
        Type::String | Type::StringIndef => "text",
        Type::Array | Type::ArrayIndef => "a list",
        Type::Map | Type::MapIndef => "a map",
        Type::Tag => "a tagged value",
        kind if is_integer(kind) => "a number",
        _ => "something else",
    }
}
