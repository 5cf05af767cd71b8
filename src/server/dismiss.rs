//! Sockets that are closed before they have begun.

use bytes::Bytes;
use tokio::time::timeout;

use super::App;
use super::last_words::{say_briefly, say_goodbye, write_and_pause};
use super::origin::SocketOrigin;
use super::outbound::Outbound;
use super::spoken::Spoken;
use super::sync::repo::error_message;
use super::upgrade::Socket;

/// Says why, and closes. Cheap, as a stock client that is refused comes back every 5 seconds for ever.
pub async fn refuse(app: &App, socket: Socket, spoken: &Spoken, code: u16, reason: &str, origin: &SocketOrigin) {
    let goodbye = app.guests.goodbye();
    dismiss(app, socket, spoken, code, reason, goodbye.is_some(), origin).await;
}

/// The same. `at_length`: it may take a moment, so that the words arrive.
pub async fn dismiss(
    app: &App,
    mut socket: Socket,
    spoken: &Spoken,
    code: u16,
    reason: &str,
    at_length: bool,
    origin: &SocketOrigin,
) {
    origin.log_refusal(code, reason);
    let mut out = Outbound::default();
    match spoken {
        Spoken::Repo => out.binary(&error_message(&app.identity, None, reason), &Bytes::new()),
        Spoken::Text => {
            if let Some(surface) = &app.additional {
                out.text(surface.refusal(reason).bytes());
            }
        }
        // The one has no words; and what the other speaks is not known.
        Spoken::Plain(_) | Spoken::FirstFrame | Spoken::Unknown => {}
    }
    if at_length && matches!(spoken, Spoken::Repo) {
        let _ = timeout(app.times.goodbye, write_and_pause(&mut socket, &mut out)).await;
    }
    out.close(Some(code), reason);
    if at_length {
        say_goodbye(socket, out, app.times.goodbye).await;
    } else {
        say_briefly(socket, out).await;
    }
}
