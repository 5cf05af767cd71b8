//! The commands of docs/peering.md as written, except for ports and folders.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::support::PATIENCE;
use super::support::ports::free_port;
use super::support::process::{Running, folder, program};
use crate::support::users::Users;

/// The shell commands of the page, in order.
fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/peering.md");
    let page = std::fs::read_to_string(path).unwrap().replace(" \\\n", " ");
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

/// Starts a server with the flags of a command, in this folder.
fn start(command: &str, home: &Path) -> Running {
    let arguments: Vec<&str> = command.strip_prefix("happierwork ").expect("a server").split_whitespace().collect();
    let mut command = program(&arguments);
    command.current_dir(home);
    Running::server(command).0
}

/// Runs a shell command. Returns what it prints.
fn shell(command: &str, home: &Path) -> String {
    let output = Command::new("sh").args(["-c", command]).current_dir(home).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn commands_of_the_page_work_as_written() {
    let commands = commands();
    let [hq, branch, create, list, office, token] = &commands[..] else { panic!("six commands: {commands:?}") };
    let (home, ports) = (folder(), [free_port().to_string(), free_port().to_string()]);
    let here = |command: &str| command.replace("8100", &ports[0]).replace("8200", &ports[1]);
    let _hq = start(&here(hq), home.path());
    let branch = start(&here(branch), home.path());
    branch.until_logged("connected to a peer");
    assert!(shell(&here(create), home.path()).contains("Branch 2027"));
    let deadline = Instant::now() + PATIENCE;
    while !shell(&here(list), home.path()).contains("Branch 2027") {
        assert!(Instant::now() < deadline, "the plan does not arrive");
        std::thread::sleep(Duration::from_millis(20));
    }

    let (users, office_home) = (Users::new(), folder());
    let in_home = |command: &str| {
        let auth = users.path();
        let token_folder = office_home.path().display().to_string();
        command
            .replace("/etc/happierwork-peer", &token_folder)
            .replace("/etc/happierwork", auth.to_str().unwrap())
            .replace("0.0.0.0:8000", "127.0.0.1:0")
    };
    let binary = env!("CARGO_BIN_EXE_happierwork");
    shell(&in_home(token).replacen("happierwork token", &format!("{binary} token"), 1), office_home.path());
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(office_home.path().join("cert.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(office_home.path().join("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    let office = start(&in_home(office), office_home.path());
    // There is no such server.
    office.until_logged("a peer is not connected");
}
