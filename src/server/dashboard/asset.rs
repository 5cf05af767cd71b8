//! One file of the dashboard.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::read::GzDecoder;

/// One file of the page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Where it is, as browsers write it in a URL: `/assets/index-4f1d.js`.
    pub path: &'static str,
    /// Its media type.
    pub media: &'static str,
    /// Its entity tag, made of its content. A weak one, as encodings share it.
    pub tag: &'static str,
    /// What is in it.
    pub content: Content,
}

/// The content of a file, as it is kept.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// Something that does not become smaller.
    Plain(&'static [u8]),
    /// Compressed when the server was built.
    Compressed {
        /// For those who take brotli.
        brotli: &'static [u8],
        /// For those who take gzip.
        gzip: &'static [u8],
        /// Bytes that it has for those who take neither.
        length: usize,
    },
}

/// What is in a gzip file of so many bytes.
pub(super) fn inflated(gzip: &[u8], length: usize) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(length);
    GzDecoder::new(gzip).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}
