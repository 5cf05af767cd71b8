//! Close codes of WebSockets beyond the registered ones, and one of those.

/// The token is missing, invalid or no longer valid.
pub const UNAUTHORIZED: u16 = 4401;
/// A page of a foreign origin, or an action that this user may not take.
pub const FORBIDDEN: u16 = 4403;
/// There is no WebSocket at this path.
pub const NOT_FOUND: u16 = 4404;
/// Another connection has taken this peer's place.
pub const REPLACED: u16 = 4409;
/// The document id is malformed.
pub const BAD_ID: u16 = 4400;
/// Try again later.
pub const TRY_AGAIN: u16 = 1013;
