//! Flags and environment variables; startup, and shutdown by a signal.

use std::net::TcpListener;

use clap::CommandFactory;
use happierwork::cli::config::Cli;

use super::support::process::{Running, folder, imported, program, refused, run, serve};
use super::support::socket_to;

#[test]
fn help_lists_every_flag_with_its_variable() {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    let serve_help = run(&["serve", "--help"]);
    let mut flags = 0;
    for argument in Cli::command().get_arguments() {
        let Some(long) = argument.get_long().filter(|long| !matches!(*long, "help" | "version")) else { continue };
        let variable = argument.get_env().unwrap_or_else(|| panic!("--{long} has no variable")).to_str().unwrap();
        for text in [&help.out, &serve_help.out] {
            assert!(text.contains(&format!("--{long}")), "--{long} is not in {text}");
            assert!(text.contains(&format!("[env: {variable}")), "{variable} is not in {text}");
        }
        flags += 1;
    }
    assert!(flags >= 12, "{flags}");
    for command in ["serve", "export", "import", "check", "health", "key", "token", "user"] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command} is not in {}", help.out);
        assert_eq!(run(&[command, "--help"]).code, Some(0));
    }
}

#[test]
fn invalid_flag_exits_with_2_and_creates_nothing() {
    let folder = folder();
    let mut command = program(&["--state", "here.automerge", "--listen", "nonsense"]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(super::support::process::names(folder.path()).is_empty());
}

#[test]
fn startup_message_shows_document_url_and_addresses() {
    let folder = folder();
    let state = imported(folder.path());
    let (server, address) = Running::server(serve(&state, &["--listen", "127.0.0.2:0"]));
    let mut server = server;
    let second = server.until(|line| line.contains("listening http://127.0.0.2:").then(|| line.to_owned()));
    assert!(second.ends_with("/sync)"), "{second}");
    let printed = server.printed.join("\n");
    assert!(printed.contains(&format!("document  {} (60 positions)", state.display())), "{printed}");
    assert!(printed.contains("url       automerge:"), "{printed}");
    assert!(printed.contains(&format!("ws://{address}/sync")), "{printed}");
    assert!(!printed.contains("OPEN"), "{printed}");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn flags_can_come_from_the_environment() {
    let folder = folder();
    let mut command = program(&[]);
    command.env("HAPPIERWORK_LISTEN", "127.0.0.1:0,127.0.0.3:0").env("HAPPIERWORK_STATE", "plan.automerge");
    let (mut server, _) = Running::server({
        command.current_dir(folder.path());
        command
    });
    server.until(|line| line.contains("listening http://127.0.0.3:").then_some(()));
    assert!(folder.path().join("plan.automerge").exists());
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn public_address_requires_authentication_or_open() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let open_to_all = |more: &[&str], port: Option<&str>| {
        let mut command = program(&["--state", state.to_str().unwrap()]);
        command.args(more).current_dir(folder.path());
        if let Some(port) = port {
            command.env("PORT", port);
        }
        command
    };
    for (flags, port) in [
        (&["--listen", "0.0.0.0:0"][..], None),
        (&["--listen", "127.0.0.1:0", "--listen", "[::]:0"], None),
        (&["--port", "0"], None),
        (&[], Some("0")),
    ] {
        let ended = refused(open_to_all(flags, port));
        for word in ["reachable from other machines", "127.0.0.1", "--auth", "--open"] {
            assert!(ended.err.contains(word), "{flags:?}: {}", ended.err);
        }
        assert!(!state.exists(), "{flags:?}");
    }
    for (flags, words) in [
        (&["--open", "--auth", "auth"][..], ["--open", "--auth"]),
        (&["--open", "--jwks", "jwks.json"], ["--open", "--jwks"]),
        (&["--jwt-audience", "us"], ["--jwt-audience", "--jwks"]),
        (&["--jwt-issuer", "it", "--auth", "auth"], ["--jwt-issuer", "--jwks"]),
    ] {
        let ended = refused(open_to_all(flags, Some("0")));
        assert!(words.iter().all(|word| ended.err.contains(word)), "{flags:?}: {}", ended.err);
        assert!(!state.exists(), "{flags:?}");
    }
    let (server, address) = Running::server(open_to_all(&["--open"], Some("0")));
    assert!(address.ip().is_unspecified(), "{address}");
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains("OPEN      no authentication"), "{}", ended.out);
}

#[test]
fn occupied_port_error_suggests_a_remedy() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = serve(&state, &[]);
    command.args(["--listen", &address]);
    let ended = refused(command);
    for word in [&*address, "--listen"] {
        assert!(ended.err.contains(word), "{}", ended.err);
    }
    assert!(!state.exists(), "a server that does not start creates no file");
}

#[tokio::test]
async fn signals_close_sockets_with_1001_and_exit_cleanly() {
    for signal in ["TERM", "INT"] {
        let folder = folder();
        let (server, address) = Running::server(serve(&folder.path().join("state.automerge"), &[]));
        let mut sockets = Vec::new();
        for path in ["/ws/dashboard/", "/sync", "/sync/default"] {
            sockets.push(socket_to(address, path).await);
        }
        assert_eq!(sockets[0].json().await["type"], "login_update");
        server.signal(signal);
        for socket in &mut sockets {
            assert_eq!(socket.closed().await.map(|close| close.code.into()), Some(1001), "{signal}");
        }
        drop(sockets);
        let ended = tokio::task::spawn_blocking(move || server.ended()).await.unwrap();
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.err);
    }
}

#[tokio::test]
async fn log_format_json_writes_json_lines() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let (server, address) = Running::server(serve(&state, &["--log-format", "json", "--log", "debug"]));
    let mut socket = socket_to(address, "/sync").await;
    socket.send(tokio_tungstenite::tungstenite::Message::binary(vec![0xff])).await;
    socket.closed().await;
    drop(socket);
    let ended = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    let started: Vec<serde_json::Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(started.len(), 1, "{}", ended.out);
    assert_eq!((&started[0]["event"], &started[0]["new"]), (&"started".into(), &true.into()));
    assert_eq!(started[0]["version"], env!("CARGO_PKG_VERSION"));
    assert!(started[0]["url"].as_str().unwrap().starts_with("automerge:"), "{}", started[0]);
    let mut messages = Vec::new();
    for line in ended.err.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line.get(key).is_some(), "no {key} in {line}");
        }
        messages.push(line["message"].as_str().unwrap().to_owned());
    }
    for message in ["refused a message", "a WebSocket was refused", "stopping"] {
        assert!(messages.iter().any(|found| found == message), "{message:?} is not among {messages:?}");
    }
    let filter = refused(serve(&state, &["--log", "not a filter=="]));
    assert!(filter.err.contains("--log"), "{}", filter.err);
}

#[test]
fn startup_error_is_json_with_json_log() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    std::fs::write(&state, b"no document").unwrap();
    let running = Running::spawn(&mut serve(&state, &["--log-format", "json", "--log", "off"]));
    let ended = running.ended();
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    let line: serde_json::Value = serde_json::from_str(&ended.err).unwrap_or_else(|_| panic!("{}", ended.err));
    assert!(line["message"].as_str().unwrap().contains("not an Automerge document"), "{line}");
}

#[tokio::test]
async fn rejected_sockets_are_logged_without_tokens() {
    let folder = folder();
    let (server, address) = Running::server(serve(&folder.path().join("state.automerge"), &[]));
    for (path, code) in [("/sync/nonsense?token=secret", 4400), ("/app/sync?token=secret", 4404)] {
        let mut socket = socket_to(address, path).await;
        assert_eq!(socket.closed().await.map(|close| close.code.into()), Some(code), "{path}");
    }
    let ended = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    let refused: Vec<&str> = ended.err.lines().filter(|line| line.contains("a WebSocket was refused")).collect();
    assert_eq!(refused.len(), 2, "{}", ended.err);
    for (line, words) in refused.iter().zip([
        ["address=127.0.0.1", "path=\"/sync/nonsense\"", "code=4400"],
        ["address=127.0.0.1", "path=\"/app/sync\"", "code=4404"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    }
    assert!(!ended.err.contains("secret"), "{}", ended.err);
}

#[test]
fn empty_environment_variable_counts_as_unset() {
    let folder = folder();
    let mut command = serve(&folder.path().join("state.automerge"), &[]);
    for variable in ["PORT", "HAPPIERWORK_GRACE", "HAPPIERWORK_ALLOW_ORIGIN", "HAPPIERWORK_MAX_CONNECTIONS"] {
        command.env(variable, "");
    }
    let (server, _) = Running::server(command);
    assert_eq!(server.stop().code, Some(0));
    // Without an address, the server would use the default one, if it could read the document.
    let mut command = program(&["--state", folder.path().to_str().unwrap()]);
    command.env("HAPPIERWORK_LISTEN", "");
    let ended = refused(command);
    assert!(!ended.err.contains("HAPPIERWORK_LISTEN") && ended.code == Some(1), "{}", ended.err);
}
