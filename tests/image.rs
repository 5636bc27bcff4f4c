//! The container image: the same bytes from whoever makes it, small, and the same program as the Containerfile's.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail like the test itself")]

mod common;

use common::{engines_wanted, run};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

/// What a released image may be at most, in bytes.
const MAX_BYTES: u64 = 20_000_000;

#[test]
fn an_image_is_the_same_whoever_saves_it_and_small_enough() {
    let dir = tempfile::tempdir().unwrap();
    let save = |name: &str, zone: &str| {
        let file = dir.path().join(name);
        let done =
            run(Command::new(common::binary()).args(["image", "save"]).arg(&file).env("TZ", zone)).ok();
        assert!(done.out.contains("sha256:"), "{}", done.out);
        (fs::read(file).unwrap(), done.out.split_whitespace().nth(3).unwrap().to_owned())
    };
    let (first, id) = save("first.tar", "UTC");
    let (second, second_id) = save("second.tar", "Asia/Tokyo");
    assert_eq!(id, second_id);
    assert!(first == second, "two archives of one binary differ");
    // A debug build is larger; what is shipped is what tests/run built.
    if std::env::var_os("SOC_TEST_BINARY").is_some() {
        assert!((first.len() as u64) < MAX_BYTES, "{} bytes", first.len());
    }
}

#[test]
fn the_containerfile_makes_an_image_of_the_same_program() {
    if !engines_wanted("Containerfile") {
        return;
    }
    let Some(binary) = std::env::var_os("SOC_TEST_BINARY") else {
        eprintln!("SKIPPED Containerfile: it takes the release binary, which tests/run builds");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let relative = Path::new(&binary).strip_prefix(root).unwrap().to_owned();
    let tag = "localhost/soc-connector-by-hand:test";
    run(Command::new("docker")
        // Debian's Docker brings the classic builder only.
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "--quiet", "--file", "Containerfile", "--tag", tag, "--build-arg"])
        .arg(format!("BINARY={}", relative.display()))
        .arg(".")
        .current_dir(root))
    .ok();
    let version = run(Command::new("docker").args(["run", "--rm", tag, "--version"])).ok();
    assert_eq!(version.out.trim(), format!("soc-connector {}", env!("CARGO_PKG_VERSION")));
    let name = format!("by-hand-{}", std::process::id());
    run(Command::new("docker").args(["create", "--name", &name, tag])).ok();
    let copied = tempfile::NamedTempFile::new().unwrap();
    run(Command::new("docker").args(["cp", &format!("{name}:/soc-connector")]).arg(copied.path())).ok();
    run(Command::new("docker").args(["rm", &name])).ok();
    run(Command::new("docker").args(["rmi", tag])).ok();
    let bytes = |path: &Path| {
        let mut all = Vec::new();
        fs::File::open(path).unwrap().read_to_end(&mut all).unwrap();
        all
    };
    assert!(bytes(copied.path()) == bytes(Path::new(&binary)), "the binary in the image is another one");
}
