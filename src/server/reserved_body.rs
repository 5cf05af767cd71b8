//! Large response bodies, which keep a memory reservation until they are written: creating one takes a moment, but a slow client
//! may take long to read it.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use runtime::hub::Unavailable;
use runtime::memory_budget::Reservation;
use runtime::metrics::RefusalReason;

use super::{App, Problem};

struct ReservedBytes {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for ReservedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reserves memory for a response body. The reservation is released when the last slice of the returned bytes is dropped.
///
/// # Errors
/// If the memory budget is exhausted.
pub fn reserve(app: &App, bytes: Vec<u8>) -> Result<Bytes, Problem> {
    let mut reservation = app.hub.memory_budget().reservation();
    reservation.resize(bytes.len() as u64).map_err(|full| {
        app.hub.metrics().record_refusal(RefusalReason::Memory);
        Problem::from(Unavailable::from(full))
    })?;
    Ok(Bytes::from_owner(ReservedBytes { bytes, _reservation: reservation }))
}

/// A response of media type `kind` with reserved memory, or the error of [`reserve`].
pub fn response(app: &App, kind: &'static str, bytes: Vec<u8>) -> Response {
    match reserve(app, bytes) {
        Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response(),
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use runtime::memory_budget::MemoryBudget;

    use super::*;

    #[test]
    fn unwritten_slice_keeps_the_reservation() {
        let memory = MemoryBudget::new(0);
        let mut reservation = memory.reservation();
        reservation.resize(1 << 20).expect("there is no limit");
        let body = Bytes::from_owner(ReservedBytes { bytes: vec![0; 1 << 20], _reservation: reservation });
        let rest = body.slice(1_000_000..);
        drop(body);
        assert_eq!(memory.used(), 1 << 20);
        drop(rest);
        assert_eq!(memory.used(), 0);
    }
}
