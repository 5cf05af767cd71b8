//! Requests for documents that do not exist, and new documents.

use std::rc::Rc;
use std::time::Duration;

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use tokio::time::timeout;

use super::line::{Line, ask as request, sync};
use super::{Gang, HOME, new_document, new_name};
use crate::Fallible;
use crate::client::Http;
use crate::client::answers::from_nothing;
use crate::scenario::attack::forge::{empty_change, message};

/// More documents than one connection may wait for.
const ASKED: usize = 2_500;
/// How long the connection waits.
const WAIT: Duration = Duration::from_secs(15);
/// Number of documents that one connection creates in a row.
const BROUGHT: usize = 200;
const STAY: Duration = Duration::from_secs(2);
/// Number of requests on one HTTP connection.
const POSTED: usize = 50;
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests documents that do not exist, and waits for them.
pub async fn ask(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let name = new_name();
    let mut line = Line::join(&gang, &gang.viewer_sync, &name).await?;
    let hello = from_nothing()?;
    for _ in 0..ASKED {
        line.send(&request(&name, &new_document(), &hello)?).await?;
    }
    line.stay(WAIT).await;
    Ok(())
}

/// Creates documents of one change each by sync.
pub async fn bring(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let name = new_name();
    let mut line = Line::join(&gang, &gang.editor_sync, &name).await?;
    let change = empty_change(&rand::random::<[u8; 16]>(), 1, 1, &[]);
    let change = message(vec![change.hash], vec![change.bytes]);
    for _ in 0..BROUGHT {
        line.send(&sync(&name, &new_document(), &change)?).await?;
    }
    line.stay(STAY).await;
    Ok(())
}

/// Creates documents over HTTP.
pub async fn post(gang: Rc<Gang>, _: usize) -> Fallible<()> {
    let mut http = Http::connect_from(HOME, gang.server).await?;
    for _ in 0..POSTED {
        let request = http.request(Method::POST, "/api/documents");
        let request = request.header(AUTHORIZATION, format!("Bearer {}", gang.editor_token));
        let request = request.header(CONTENT_TYPE, "application/json").body(r#"{"name":"Growth 2028"}"#.into())?;
        let answer = timeout(PATIENCE, http.send(request)).await??;
        if answer.status != 201 {
            return Err(format!("{}", answer.status).into());
        }
    }
    Ok(())
}
