//! Content negotiation: the encoding of a response, by the `Accept-Encoding` of its request (RFC 9110, 12.5.3).

use axum::http::{HeaderMap, header};

/// The encoding of a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncoding {
    /// `br`
    Brotli,
    /// `gzip`
    Gzip,
    /// Not encoded.
    Identity,
}

impl ContentEncoding {
    /// The value of `Content-Encoding`; `None` for the identity, which has no header.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// Selects the encoding with the smallest result that the client accepts. Quality values only accept or reject.
#[must_use]
pub fn negotiate(request: &HeaderMap) -> ContentEncoding {
    match (accepts(request, &["br"]), accepts(request, &["gzip", "x-gzip"])) {
        (true, _) => ContentEncoding::Brotli,
        (false, true) => ContentEncoding::Gzip,
        (false, false) => ContentEncoding::Identity,
    }
}

/// Whether the client accepts an encoding of one of these names. `*` applies to encodings that are not listed.
fn accepts(request: &HeaderMap, names: &[&str]) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut others = false;
    for coding in values.flat_map(|list| list.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let accepted = parts.filter_map(quality).all(|quality| quality > 0.0);
        if names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)) {
            return accepted;
        }
        others |= name == "*" && accepted;
    }
    others
}

/// The quality value of a parameter; 0 if it is malformed, `None` for other parameters.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> ContentEncoding {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
        }
        negotiate(&headers)
    }

    #[test]
    fn smallest_accepted_encoding_is_selected() {
        for (values, encoding) in [
            (&["gzip, deflate, br, zstd"][..], ContentEncoding::Brotli),
            (&["gzip", "br"], ContentEncoding::Brotli),
            (&["br;q=0.1, gzip;q=1.0"], ContentEncoding::Brotli),
            (&["*"], ContentEncoding::Brotli),
            (&["br;q=0, *"], ContentEncoding::Gzip),
            (&["br;q=0,*;q=0.5"], ContentEncoding::Gzip),
            (&["gzip, deflate"], ContentEncoding::Gzip),
            (&["GZIP ; Q=0.5"], ContentEncoding::Gzip),
            (&["x-gzip"], ContentEncoding::Gzip),
            (&["br; q=0.000, gzip"], ContentEncoding::Gzip),
            (&["br;q=nonsense, gzip"], ContentEncoding::Gzip),
            (&["br;q=NaN"], ContentEncoding::Identity),
            (&["gzip;q=0, br;q=0, *"], ContentEncoding::Identity),
            (&["*;q=0"], ContentEncoding::Identity),
            (&["identity"], ContentEncoding::Identity),
            (&["brotli"], ContentEncoding::Identity),
            (&[""], ContentEncoding::Identity),
            (&[], ContentEncoding::Identity),
        ] {
            assert_eq!(of(values), encoding, "{values:?}");
        }
    }
}
