//! Expensive responses: exports and lists with the strongest compression, and static files.

use std::rc::Rc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, ROOT};
use hyper::Method;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION};
use primitives::DocumentId;
use tokio::time::timeout;

use super::{Gang, HOME, new_document, new_name};
use crate::Fallible;
use crate::client::envelope::Envelope;
use crate::client::{Http, Socket};
use crate::scenario::attack::forge::message;

/// Number of rows of the exported document.
const ROWS: usize = 20_000;
/// Operations of a row (the row and four fields), and of the map of rows.
pub const OPERATIONS: u64 = 5 * ROWS as u64 + 1;
/// Number of requests on one connection.
const REQUESTS: usize = 20;
/// Longest duration of a request.
const PATIENCE: Duration = Duration::from_secs(20);
/// A file of the page with the API description.
const FILE: &str = "/api/swagger-ui-bundle.js";

/// Creates a document with many rows, and waits until it is stored.
pub async fn make_large(gang: &Gang) -> Fallible<DocumentId> {
    let (id, mut doc) = (new_document(), Automerge::new());
    let mut transaction = doc.transaction();
    let positions = transaction.put_object(ROOT, "positions", ObjType::Map)?;
    for row in 0..ROWS {
        let position = transaction.put_object(&positions, format!("row-{row}"), ObjType::Map)?;
        for (key, value) in [("designation", "Engineer"), ("department", "Finance"), ("location", "Pune")] {
            transaction.put(&position, key, value)?;
        }
        // The rows differ, so that they do not compress to nothing.
        transaction.put(&position, "budget", row as u64 * 7_919 % 100_003)?;
    }
    transaction.commit();
    let heads = doc.get_heads();
    // Leaked once per process.
    let path: &'static str = gang.editor_sync.clone().leak();
    let mut socket = Socket::connect(HOME, gang.server, path).await?;
    let (mut envelope, _) = Envelope::join(&mut socket, &new_name(), &id).await?;
    envelope.sync(&mut socket.outbox, &message(heads.clone(), vec![doc.save()]));
    loop {
        socket.turn().await?;
        while let Some(frame) = socket.inbox.next(&mut socket.outbox)? {
            let Some(data) = envelope.open(frame)? else { continue };
            if automerge::sync::Message::decode(data)?.heads == heads {
                return Ok(id);
            }
        }
    }
}

/// Requests exports.
pub async fn export(gang: Rc<Gang>, number: usize) -> Fallible<()> {
    let large = gang.arsenal.large.as_ref().ok_or("there is no large document")?;
    let format = if number.is_multiple_of(2) { "json" } else { "csv" };
    ask(&gang, &format!("/api/documents/{large}/export.{format}"), Some(&gang.editor_token)).await
}

/// Requests a file without a token.
pub async fn load_page(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    ask(&gang, FILE, None).await
}

/// Requests the list of documents.
pub async fn list(gang: Rc<Gang>, number: usize) -> Fallible<()> {
    let token = if number.is_multiple_of(2) { &gang.viewer_token } else { &gang.editor_token };
    ask(&gang, "/api/documents", Some(token)).await
}

async fn ask(gang: &Gang, path: &str, token: Option<&str>) -> Fallible<()> {
    let mut http = Http::connect_from(HOME, gang.server).await?;
    for _ in 0..REQUESTS {
        let mut request = http.request(Method::GET, path).header(ACCEPT_ENCODING, "br");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = timeout(PATIENCE, http.send(request.body(bytes::Bytes::new().into())?)).await??;
        if answer.status != 200 {
            return Err(format!("{path}: {}", answer.status).into());
        }
    }
    Ok(())
}
