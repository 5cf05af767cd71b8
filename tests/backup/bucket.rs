//! Backups in a bucket: against the server of moto, which `make` installs with the tests of the API's clients.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::place::{Place, contents, files, stored, text};
use super::support::http_to;
use super::support::ports::free_port;
use super::support::process::{Ended, folder, program};

/// A service that is compatible with S3. It ends when this is dropped.
struct Service {
    child: Child,
    address: SocketAddr,
}

impl Service {
    /// Starts it with an empty bucket `plans`.
    async fn start() -> Self {
        let moto = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python-venv/bin/moto_server");
        assert!(moto.exists(), "{} is missing: run `make target/python-venv`", moto.display());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut command = Command::new(moto);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let service = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "moto does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(http_to(address, "PUT", "/plans", &[], String::new()).await.0, 200);
        service
    }

    /// Runs the program with the environment for this service.
    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = program(arguments);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.env("AWS_ENDPOINT", format!("http://{}", self.address)).env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "hunter2").env("AWS_REGION", "us-east-1");
        command.output().unwrap().into()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn bucket_holds_backups_like_a_folder() {
    let service = Service::start().await;
    let place = Place::filled(2);
    // Large enough to be sent in parts.
    let noise: Vec<u8> = (0..17 << 20).map(|_| rand::random::<u8>()).collect();
    let mut large = automerge::AutoCommit::new();
    automerge::transaction::Transactable::put(&mut large, automerge::ROOT, "noise", noise).unwrap();
    std::fs::write(place.document(9), large.save()).unwrap();
    let before = place.contents();
    let (state, documents) = (place.state(), place.documents());
    let back_up = |more: &[&str]| {
        let store = ["s3://plans/hq/daily", "--state", text(&state), "--documents", text(&documents)];
        service.run(&[&["backup"], &store[..], more].concat())
    };
    let first = stored(&back_up(&[]));
    let again = stored(&back_up(&["--keep-last", "1"]));
    assert!(first > 17 << 20 && again == 0, "{first} bytes, then {again}");
    let list = service.run(&["restore", "s3://plans/hq/daily", "--list"]);
    assert_eq!((list.code, list.out.lines().count()), (Some(0), 1), "{list:?}");
    let restored = folder();
    let out = service.run(&["restore", "s3://plans/hq/daily", "--to", &files(restored.path())]);
    assert_eq!(out.code, Some(0), "{out:?}");
    assert_eq!(contents(restored.path()), before);

    let elsewhere = service.run(&["restore", "s3://plans/hq", "--dry-run"]);
    assert!(elsewhere.code == Some(1) && elsewhere.err.contains("s3://plans/hq holds no backup"), "{elsewhere:?}");
    let missing = service.run(&["restore", "s3://nowhere/hq", "--dry-run"]);
    assert!(missing.code == Some(1) && !missing.err.contains("hunter2"), "{missing:?}");
}
