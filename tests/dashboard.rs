//! The dashboard at `/` as browsers request it, and a server that was built without it.
#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod support;

use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use auth::{AuthFolder, AuthOptions, NewKey};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use happierwork::server::{Asset, Content, Dashboard};
use support::{Answer, TestServer};
use tempfile::TempDir;

const INDEX: &str = "<!doctype html><title>The plan</title>";
const SCRIPT: &str = "console.log('as long as a script that is worth compressing has to be, and then a little more')";
const WASM: &[u8] = b"\0asm\x01\0\0\0";
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n, and nothing that any program could show to anybody, nor compress";
/// Stands for the compressed page that the build embeds. The server does not decompress it.
const AS_BROTLI: &[u8] = b"the page, in fewer bytes";

static GZIPPED: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    [INDEX.as_bytes(), SCRIPT.as_bytes(), WASM].map(|content| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(content).unwrap();
        gzip.finish().unwrap()
    })
});

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let compressed = |path, media, tag, index: usize, length| {
        let content = Content::Compressed { brotli: AS_BROTLI, gzip: &GZIPPED[index], length };
        Asset { path, media, tag, content }
    };
    let picture = Content::Plain(PICTURE);
    vec![
        compressed("/assets/index-a1b2.js", "text/javascript; charset=utf-8", "W/\"script\"", 1, SCRIPT.len()),
        compressed("/assets/automerge-c3d4.wasm", "application/wasm", "W/\"wasm\"", 2, WASM.len()),
        compressed("/index.html", "text/html; charset=utf-8", "W/\"index\"", 0, INDEX.len()),
        Asset { path: "/icon.png", media: "image/png", tag: "W/\"icon\"", content: picture },
        Asset { path: "/letters.woff2", media: "font/woff2", tag: "W/\"letters\"", content: picture },
    ]
});

async fn with_page() -> TestServer {
    let folder = Arc::new(TempDir::new().unwrap());
    TestServer::start_in(folder, |options| options.dashboard = Dashboard::of(&ASSETS)).await
}

async fn ask(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Answer {
    server.call("GET", path, headers, "").await
}

fn gunzipped(answer: &Answer) -> Vec<u8> {
    let mut content = Vec::new();
    GzDecoder::new(&answer.body[..]).read_to_end(&mut content).unwrap();
    content
}

#[tokio::test]
async fn page_uses_the_accepted_encoding() {
    let server = with_page().await;
    for path in ["/", "/index.html"] {
        for (accepted, encoding) in [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip")] {
            let page = ask(&server, path, &[("accept-encoding", accepted)]).await;
            assert_eq!((page.status.as_u16(), page.header("content-encoding")), (200, encoding), "{path} {accepted}");
            match encoding {
                "br" => assert_eq!(&page.body[..], AS_BROTLI),
                _ => assert_eq!(gunzipped(&page), INDEX.as_bytes()),
            }
            assert_eq!(page.header("content-length"), page.body.len().to_string());
        }
        for headers in [&[][..], &[("accept-encoding", "identity")], &[("accept-encoding", "deflate")]] {
            let page = ask(&server, path, headers).await;
            assert_eq!((page.text(), page.headers.get("content-encoding")), (INDEX, None), "{path} {headers:?}");
            assert_eq!(page.header("content-length"), INDEX.len().to_string());
        }
        let page = ask(&server, path, &[]).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let vary: Vec<_> = page.headers.get_all("vary").iter().collect();
        assert!(vary.iter().any(|names| *names == "accept-encoding"), "{vary:?}");
    }
}

#[tokio::test]
async fn unchanged_page_answers_304() {
    let server = with_page().await;
    let page = ask(&server, "/", &[]).await;
    assert_eq!((page.header("etag"), page.header("cache-control")), ("W/\"index\"", "no-cache"));
    for encoding in ["br", "gzip", "identity"] {
        for tag in ["W/\"index\"", "\"index\"", "\"older\", W/\"index\"", "*"] {
            let known = ask(&server, "/", &[("accept-encoding", encoding), ("if-none-match", tag)]).await;
            assert_eq!((known.status.as_u16(), known.body.len()), (304, 0), "{encoding} {tag}");
            assert_eq!((known.header("etag"), known.header("cache-control")), ("W/\"index\"", "no-cache"));
            assert!(known.headers.contains_key("content-security-policy"));
        }
        let other = ask(&server, "/", &[("accept-encoding", encoding), ("if-none-match", "W/\"older\"")]).await;
        assert_eq!(other.status, 200, "{encoding}");
        assert_eq!(other.header("etag"), "W/\"index\"");
    }
}

#[tokio::test]
async fn hashed_assets_are_immutable() {
    let server = with_page().await;
    for (path, cache) in [
        ("/assets/index-a1b2.js", "public, max-age=31536000, immutable"),
        ("/assets/automerge-c3d4.wasm", "public, max-age=31536000, immutable"),
        ("/icon.png", "no-cache"),
        ("/index.html", "no-cache"),
    ] {
        assert_eq!(ask(&server, path, &[]).await.header("cache-control"), cache, "{path}");
    }
}

#[tokio::test]
async fn web_assembly_has_its_media_type() {
    let server = with_page().await;
    let wasm = ask(&server, "/assets/automerge-c3d4.wasm", &[]).await;
    assert_eq!((wasm.header("content-type"), &wasm.body[..]), ("application/wasm", WASM));
    let wasm = ask(&server, "/assets/automerge-c3d4.wasm", &[("accept-encoding", "br")]).await;
    assert_eq!((wasm.header("content-type"), &wasm.body[..]), ("application/wasm", AS_BROTLI));
}

#[tokio::test]
async fn compressed_formats_are_not_compressed_again() {
    let server = with_page().await;
    for (path, media) in [("/icon.png", "image/png"), ("/letters.woff2", "font/woff2")] {
        let file = ask(&server, path, &[("accept-encoding", "gzip, br")]).await;
        assert_eq!((file.header("content-type"), file.headers.get("content-encoding")), (media, None));
        assert_eq!(&file.body[..], PICTURE);
    }
}

#[tokio::test]
async fn head_mirrors_get_and_other_methods_answer_405() {
    let server = with_page().await;
    for path in ["/", "/assets/index-a1b2.js", "/icon.png"] {
        for encoding in ["br", "gzip", "identity"] {
            let headers = [("accept-encoding", encoding)];
            let get = ask(&server, path, &headers).await;
            let head = server.call("HEAD", path, &headers, "").await;
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path} {encoding}");
            let said = |answer: &Answer| {
                let mut headers = answer.headers.clone();
                headers.remove("date");
                headers
            };
            assert_eq!(said(&head), said(&get), "{path} {encoding}");
        }
    }
    let refused = server.call("POST", "/assets/index-a1b2.js", &[], "").await;
    refused.problem(405);
    assert_eq!(refused.header("allow"), "GET, HEAD");
}

#[tokio::test]
async fn page_forbids_foreign_scripts() {
    let server = with_page().await;
    let page = ask(&server, "/", &[]).await;
    let policy: Vec<&str> = page.header("content-security-policy").split(';').map(str::trim).collect();
    for directive in ["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "connect-src 'self'"] {
        assert!(policy.contains(&directive), "{directive} in {policy:?}");
    }
    assert_eq!(page.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn missing_path_does_not_return_the_page() {
    let server = with_page().await;
    for path in ["/assets/index-0000.js", "/assets/", "/assets", "/index", "/icon.png/", "//index.html", "/%69con.png"]
    {
        ask(&server, path, &[]).await.problem(404);
    }
    assert_eq!(ask(&server, "/data/", &[]).await.text(), "[]", "other endpoints are unchanged");
}

#[tokio::test]
async fn about_page_links_to_the_dashboard() {
    let server = with_page().await;
    let about = ask(&server, "/about", &[]).await;
    assert!(about.status == 200 && about.text().contains("<a href=\"./\">"), "{}", about.text());
    assert!(about.text().contains("/ws/dashboard/") && !about.text().contains("{{"), "{}", about.text());
    assert!(about.text().contains(&server.document.url()) && !about.text().contains("nodejs.org"), "{}", about.text());
}

#[tokio::test]
async fn about_page_explains_a_missing_dashboard() {
    let server = TestServer::start().await;
    for path in ["/", "/about"] {
        let page = ask(&server, path, &[]).await;
        assert!(page.status == 200 && page.text().contains("/ws/dashboard/"), "{path}: {}", page.text());
        assert!(
            page.text().contains("Node.js</a> 20.19") && !page.text().contains("<a href=\"./\">"),
            "{}",
            page.text()
        );
    }
    ask(&server, "/index.html", &[]).await.problem(404);
}

#[tokio::test]
async fn websocket_at_the_root_works_with_the_dashboard() {
    let server = with_page().await;
    let (mut socket, answer) = tokio_tungstenite::connect_async(format!("ws://{}/", server.address)).await.unwrap();
    assert_eq!(answer.status(), 101);
    // A client that sends nothing for a second is a legacy client.
    let greeting = socket.next().await.unwrap().unwrap();
    assert!(greeting.to_text().unwrap().contains("login_update"), "{greeting:?}");
}

#[tokio::test]
async fn page_is_public_and_data_requires_login() {
    let folder = Arc::new(TempDir::new().unwrap());
    let auth = folder.path().join("auth");
    AuthFolder::create(&auth).unwrap().change_keys(|keys| keys.make(NewKey::Ed25519, 0).map(drop)).unwrap();
    let session = Duration::from_secs(3_600);
    let auth = AuthOptions { folder: Some(auth), session, ..AuthOptions::default() };
    let server = TestServer::start_in(folder, |options| {
        options.dashboard = Dashboard::of(&ASSETS);
        options.auth = Some(auth);
    })
    .await;
    for path in ["/", "/assets/index-a1b2.js", "/about"] {
        let page = ask(&server, path, &[]).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.text().contains(server.document.as_str()), "{path} reveals the document");
    }
    assert_eq!(ask(&server, "/api/documents", &[]).await.status, 401);
}

/// The dashboard that this program was built with, if any: all files decompress, and the page references existing files.
#[tokio::test]
async fn embedded_page_is_complete() {
    let folder = Arc::new(TempDir::new().unwrap());
    let server = TestServer::start_in(folder, |options| options.dashboard = Dashboard::embedded()).await;
    let page = ask(&server, "/", &[]).await;
    assert_eq!(page.status, 200);
    if !Dashboard::embedded().exists() {
        assert_ne!(option_env!("HAPPIERWORK_DASHBOARD"), Some("required"));
        assert!(page.text().contains("without the dashboard"), "{}", page.text());
        return;
    }
    let files: Vec<&str> = page.text().split('"').filter(|text| text.starts_with("./assets/")).collect();
    assert!(!files.is_empty(), "{}", page.text());
    for file in files.iter().map(|link| link.trim_start_matches('.')) {
        let plain = ask(&server, file, &[]).await;
        let gzip = ask(&server, file, &[("accept-encoding", "gzip")]).await;
        assert_eq!((plain.status.as_u16(), gzip.header("content-encoding")), (200, "gzip"), "{file}");
        assert!(gunzipped(&gzip) == plain.body, "{file}");
        let brotli = ask(&server, file, &[("accept-encoding", "br")]).await;
        assert!(brotli.header("content-encoding") == "br" && brotli.body.len() <= plain.body.len(), "{file}");
    }
}
