//! Close codes of WebSockets: the application's own (4000 and above), and the registered code 1013.

/// The document id is malformed.
pub const BAD_ID: u16 = 4400;
/// The token is missing, invalid or no longer valid.
pub const UNAUTHORIZED: u16 = 4401;
/// The page's origin is not allowed, or the user lacks a right.
pub const FORBIDDEN: u16 = 4403;
/// The path has no WebSocket.
pub const NOT_FOUND: u16 = 4404;
/// Another connection of the same user has joined with this peer id.
pub const REPLACED: u16 = 4409;
/// Try again later (registered).
pub const TRY_AGAIN: u16 = 1013;
