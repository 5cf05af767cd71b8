//! Budgets.
use serde::Serialize;
/// A budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// Whole.
    Int(u64),
    /// Not.
    Float(f64),
}
/// No.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("must be a number from 0 to 2^53-1")]
pub struct BudgetError;
impl Budget {
    /// Makes one.
    /// # Errors
    /// bad
    pub fn new_f64(v: f64) -> Result<Self, BudgetError> {
        if !v.is_finite() || v < 0.0 || v > 9_007_199_254_740_991.0 {
            Err(BudgetError)
        } else if v.fract() == 0.0 {
            Ok(Self::Int(v as u64))
        } else {
            Ok(Self::Float(v))
        }
    }
    /// As.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(v) => v as f64,
            Self::Float(v) => v,
        }
    }
}
impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(v) => v.fmt(f),
            Self::Float(v) => v.fmt(f),
        }
    }
}
impl Serialize for Budget {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(v) => s.serialize_u64(*v),
            Self::Float(v) => s.serialize_f64(*v),
        }
    }
}
