//! Measurement of time, memory and progress.

mod board;
mod latency;
mod machine;
mod usage;

pub use board::{Board, Noted};
pub use latency::Latencies;
pub use machine::machine;
pub use usage::Process;
