//! The files of the dashboard that `build.rs` has embedded.

use super::Asset;

pub(super) const ASSETS: &[Asset] = &include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));
