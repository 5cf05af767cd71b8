//! Which of the encodings that we have somebody takes (RFC 9110, 12.5.3).

use axum::http::{HeaderMap, header};

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `br`
    Brotli,
    /// `gzip`
    Gzip,
    /// As it is.
    Identity,
}

impl Encoding {
    /// What `Content-Encoding` says; `None` for what is sent as it is.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// The smallest that is taken. What somebody would rather have counts only as yes or no: ours are all ready, and are all
/// the same to a browser.
#[must_use]
pub fn accepted(request: &HeaderMap) -> Encoding {
    match (takes(request, &["br"]), takes(request, &["gzip", "x-gzip"])) {
        (true, _) => Encoding::Brotli,
        (false, true) => Encoding::Gzip,
        (false, false) => Encoding::Identity,
    }
}

/// What is named counts, and `*` only for what is not.
fn takes(request: &HeaderMap, names: &[&str]) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut others = false;
    for coding in values.flat_map(|list| list.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let taken = parts.filter_map(quality).all(|quality| quality > 0.0);
        if names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)) {
            return taken;
        }
        others |= name == "*" && taken;
    }
    others
}

/// What cannot be read is no wish to have it.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Encoding {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
        }
        accepted(&headers)
    }

    #[test]
    fn the_smallest_that_is_taken_is_sent() {
        for (values, encoding) in [
            (&["gzip, deflate, br, zstd"][..], Encoding::Brotli),
            (&["gzip", "br"], Encoding::Brotli),
            (&["br;q=0.1, gzip;q=1.0"], Encoding::Brotli),
            (&["*"], Encoding::Brotli),
            (&["br;q=0, *"], Encoding::Gzip),
            (&["br;q=0,*;q=0.5"], Encoding::Gzip),
            (&["gzip, deflate"], Encoding::Gzip),
            (&["GZIP ; Q=0.5"], Encoding::Gzip),
            (&["x-gzip"], Encoding::Gzip),
            (&["br; q=0.000, gzip"], Encoding::Gzip),
            (&["br;q=nonsense, gzip"], Encoding::Gzip),
            (&["br;q=NaN"], Encoding::Identity),
            (&["gzip;q=0, br;q=0, *"], Encoding::Identity),
            (&["*;q=0"], Encoding::Identity),
            (&["identity"], Encoding::Identity),
            (&["brotli"], Encoding::Identity),
            (&[""], Encoding::Identity),
            (&[], Encoding::Identity),
        ] {
            assert_eq!(of(values), encoding, "{values:?}");
        }
    }
}
