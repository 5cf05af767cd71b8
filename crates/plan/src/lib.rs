//! The plan: positions and budgets.
//!
//! Pure: no clock, no disk, no socket.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]

pub mod amount;
mod budget;
pub mod csv;
pub mod formula_guard;
mod position_id;

pub use amount::{AmountError, Marks, Scale, amount_of_json, is_blank_amount, parse_amount};
pub use budget::{Budget, BudgetError, MAX_BUDGET};
pub use position_id::{InvalidPositionId, MAX_ID, check_position_id};
