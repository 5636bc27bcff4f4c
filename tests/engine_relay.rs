//! The helper behind `engine-relay`: it is ready when it says so, says why when it cannot be, and leaves nothing.
//!
//! Runs where `SOC_TEST_ENGINES=1` and as root on a machine that `tests/lib/engines.sh` has prepared.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

const HELPER: &str = env!("CARGO_BIN_EXE_soc-connector");

/// Says loudly that nothing was tested, past the test harness's capture.
fn engines_are_there() -> bool {
    if std::env::var("SOC_TEST_ENGINES").as_deref() == Ok("1") {
        return true;
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED, NOTHING TESTED: real engines need SOC_TEST_ENGINES=1");
    false
}

/// The helper goes with the command, and takes Podman's service with it, even if the command had no time for goodbyes.
#[test]
fn the_helper_ends_with_its_command() {
    if !engines_are_there() {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    let socket = dir.path().join("s");
    let mut helper = Command::new(HELPER)
        .args(["engine-relay", "--kind", "podman", "--owner", "0:0", "--socket"])
        .arg(&socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the helper starts");
    let mut word = String::new();
    let stdout = helper.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut word).expect("readable");
    assert_eq!(word, "ready\n");
    assert_eq!(socket.metadata().expect("exists").permissions().mode() & 0o777, 0o600);
    UnixStream::connect(&socket).expect("it listens");
    let service = format!("soc-connector-{}-", helper.id());
    assert_eq!(processes_with(&service), 1, "Podman's service");
    drop(helper.stdin.take());
    assert!(helper.wait().expect("it ends").success());
    assert!(!socket.exists());
    assert_eq!(processes_with(&service), 0);
}

#[test]
fn a_helper_that_cannot_reach_docker_says_so() {
    if !engines_are_there() {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    let output = Command::new(HELPER)
        .args(["engine-relay", "--kind", "docker", "--owner", "0:0", "--engine", "/nonexistent/docker.sock"])
        .arg("--socket")
        .arg(dir.path().join("s"))
        .output()
        .expect("the helper starts");
    assert!(!output.status.success());
    assert!(output.stdout.starts_with(b"E302 "), "{}", String::from_utf8_lossy(&output.stdout));
}

fn processes_with(text: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("readable").filter_map(Result::ok);
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(text)).count()
}
