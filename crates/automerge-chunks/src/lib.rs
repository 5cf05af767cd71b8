//! Automerge's binary format without its library: files and messages are chains of *chunks*, each with a magic number,
//! a checksum, a kind and a length ([specification](https://automerge.org/automerge-binary-format-spec/)).
//!
//! | module | purpose |
//! |---|---|
//! | [`chunk`] | splits bytes into chunks, verifies checksums, inflates columns within a limit |
//! | [`cost`] | estimates the memory that a chunk takes, before the library builds it |
//! | [`load`] | loads a chain of chunks strictly: an error instead of a partial document |
//! | [`operations`] | reads the operations of a document one by one |
//!
//! Pure: no clock, no disk, no socket.
//!
//! ```
//! use automerge::{AutoCommit, ROOT, transaction::Transactable};
//! use automerge_chunks::chunk::{ScanEnd, scan};
//!
//! let mut document = AutoCommit::new();
//! document.put(ROOT, "name", "Growth 2027")?;
//! let mut file = document.save();
//! assert_eq!(scan(&file, 1 << 20).end, ScanEnd::Whole);
//!
//! file.truncate(file.len() - 1);
//! assert_ne!(scan(&file, 1 << 20).end, ScanEnd::Whole);
//! # Ok::<(), automerge::AutomergeError>(())
//! ```
#![deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]

pub mod chunk;
pub mod cost;
pub mod load;
pub mod operations;
pub mod reader;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
