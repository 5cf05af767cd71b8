//! `/`: the dashboard. `/about`: a page that lists the endpoints, which also answers `/` in a server without the dashboard.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use plan::read_view;
use runtime::hub::Requester;
use sync_engine::Surface;

use super::App;
use super::ws::protocol_kind::ProtocolKind;
use super::ws::routes::upgrade;
use super::ws::upgrade::WebSocketUpgrade;

/// Shown if the server has no dashboard.
const WITHOUT_DASHBOARD: &str = "This server was built without the dashboard. To get it, install \
    <a href=\"https://nodejs.org/\">Node.js</a> 20.19 or later, and build the server again with \
    <code>HAPPIERWORK_DASHBOARD=required</code> in its environment.";
/// Shown if the server has the dashboard. Links are relative, so that they work below a path prefix of a proxy.
const WITH_DASHBOARD: &str = "<a href=\"./\">Open the dashboard</a>";

/// The routes of both pages.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(root))
        .route("/about", get(|State(app): State<Arc<App>>| async move { about(&app).await }))
}

async fn root(State(app): State<Arc<App>>, request: Request) -> Response {
    if WebSocketUpgrade::is_requested(request.headers()) {
        return upgrade(app, request, ProtocolKind::FirstMessage).await;
    }
    match app.dashboard.index(request.headers()) {
        Some(index) => index,
        None => about(&app).await,
    }
}

async fn about(app: &App) -> Response {
    // The page needs no authentication, so it describes the plan only if authentication is off.
    let plan = match &app.authority {
        None => describe_plan(app).await,
        Some(_) => "Log in to see the plan.".to_owned(),
    };
    let dashboard = if app.dashboard.exists() { WITH_DASHBOARD } else { WITHOUT_DASHBOARD };
    let page = include_str!("about.html").replace("{{dashboard}}", dashboard).replace("{{plan}}", &plan);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

async fn describe_plan(app: &App) -> String {
    let url = app.default_id.url();
    let view = app.hub.view(&Requester::anonymous(Surface::Api), &app.default_id).await.ok().flatten();
    let description = match view {
        Some(view) => {
            let view = read_view(&view);
            let name = view.plan().name.clone().unwrap_or_default();
            format!("“{}”, {} positions", escape(&name), view.len())
        }
        None => "temporarily unavailable".to_owned(),
    };
    format!("The plan <code>{url}</code>: {description}.")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
