//! `/`: the dashboard. `/about`: a plain page that names the surfaces, also at `/` where there is no dashboard. And what
//! everybody gets who asks for something that is not there.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use plan::read_view;
use runtime::hub::Requester;
use sync_engine::Surface;

use super::spoken::Spoken;
use super::upgrade::Upgrade;
use super::websockets::upgrade;
use super::{App, Problem};

/// How to get the dashboard.
const WITHOUT: &str = "This server was built without the dashboard. To get it, install \
    <a href=\"https://nodejs.org/\">Node.js</a> 20.19 or later, and build the server again with \
    <code>HAPPIERWORK_DASHBOARD=required</code> in its environment.";
/// Where it is. Links of this page are relative, so that they hold below a path prefix of a proxy, too.
const WITH: &str = "<a href=\"./\">Open the dashboard</a>";

/// The root, and the page about it.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(root))
        .route("/about", get(|State(app): State<Arc<App>>| async move { about(&app).await }))
}

async fn root(State(app): State<Arc<App>>, request: Request) -> Response {
    if Upgrade::is_asked_for(request.headers()) {
        return upgrade(app, request, Spoken::FirstFrame).await;
    }
    match app.dashboard.index(request.headers()) {
        Some(index) => index,
        None => about(&app).await,
    }
}

async fn about(app: &App) -> Response {
    // The page is for everybody who can reach the server; what the plan says is not, where users are known, nor which it is.
    let plan = match &app.authority {
        None => plan(app).await,
        Some(_) => "What there is here is for those who may read it.".to_owned(),
    };
    let dashboard = if app.dashboard.is_there() { WITH } else { WITHOUT };
    let page = include_str!("page.html").replace("{{dashboard}}", dashboard).replace("{{plan}}", &plan);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

async fn plan(app: &App) -> String {
    let url = app.default_id.url();
    let view = app.hub.view(&Requester::anonymous(Surface::Api), &app.default_id).await.ok().flatten();
    let says = match view {
        Some(view) => {
            let view = read_view(&view);
            let name = view.plan().name.clone().unwrap_or_default();
            format!("“{}”, {} positions", escape(&name), view.len())
        }
        None => "it cannot be read now".to_owned(),
    };
    format!("The plan <code>{url}</code>: {says}.")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A path that no surface has.
pub async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; see / for what there is", uri.path()))
}

/// A method that a path does not have.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    not_allowed(&method, &uri)
}

/// The same. The router adds the `Allow` header.
pub fn not_allowed(method: &Method, uri: &Uri) -> Problem {
    let detail = format!("{} does not take {method}; the Allow header says what it takes", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This method is not for this path", detail)
}
