//! The files of the page that this program was built with: the table that `build.rs` has made.

use super::Asset;

pub(super) const ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));
