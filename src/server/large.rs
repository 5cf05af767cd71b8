//! Large answers, which hold a reservation of the memory until they have been written: to make one takes a moment, to read it as long
//! as the client likes.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use runtime::hub::Unavailable;
use runtime::memory_budget::Reservation;
use runtime::metrics::RefusalReason;

use super::{App, Problem};

struct Held {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body of an answer.
///
/// # Errors
/// When there is no room for it now.
pub fn body(app: &App, bytes: Vec<u8>) -> Result<Bytes, Problem> {
    let mut reservation = app.hub.memory_budget().reservation();
    reservation.resize(bytes.len() as u64).map_err(|full| {
        app.hub.metrics().record_refusal(RefusalReason::Memory);
        Problem::from(Unavailable::from(full))
    })?;
    // As long as anybody has any of it, be it what is still to be written to a socket.
    Ok(Bytes::from_owner(Held { bytes, _reservation: reservation }))
}

/// The answer with these bytes, or why there is none.
pub fn answer(app: &App, kind: &'static str, bytes: Vec<u8>) -> Response {
    match body(app, bytes) {
        Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response(),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use runtime::memory_budget::MemoryBudget;

    use super::*;

    #[test]
    fn what_is_not_written_yet_takes_memory() {
        let memory = MemoryBudget::new(0);
        let mut reservation = memory.reservation();
        reservation.resize(1 << 20).expect("there is no limit");
        let body = Bytes::from_owner(Held { bytes: vec![0; 1 << 20], _reservation: reservation });
        let rest = body.slice(1_000_000..);
        drop(body);
        assert_eq!(memory.used(), 1 << 20);
        drop(rest);
        assert_eq!(memory.used(), 0);
    }
}
