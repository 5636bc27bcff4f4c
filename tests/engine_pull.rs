//! Pulling with real engines, from a registry that this test is itself.
//!
//! Runs where `SOC_TEST_ENGINES=1` and as root on a machine that `tests/lib/engines.sh` has prepared; that script tells
//! Podman that the port below speaks plain HTTP.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::{Soc, binary, free_port, run};
use soc_connector::Code;
use soc_connector::engine::image::Image;
use soc_connector::engine::{Connection, Engine, connect_through};
use soc_connector::install::Install;
use soc_connector::settings::{self, EngineKind};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// As in `tests/lib/engines.sh`.
const PORT: u16 = 5087;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What the registry has: manifests by tag and digest, blobs by digest; each with its media type.
type Store = Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>;

/// A read-only registry: the part of the OCI distribution specification that a pull needs.
struct Registry {
    store: Store,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", PORT)).expect("no other test uses the port");
        let store = Store::default();
        let served = Arc::clone(&store);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = Arc::clone(&served);
                std::thread::spawn(move || answer(&stream, &store));
            }
        });
        Self { store }
    }

    /// Publishes an image under a tag, in place of what was there.
    fn publish(&self, image: &Image, tag: &str) {
        let parts = parts(&image.archive);
        let manifest: serde_json::Value =
            serde_json::from_slice(&parts["manifest.json"]).expect("the image has one");
        let name = |value: &serde_json::Value| value.as_str().expect("a name").to_owned();
        let config = parts[&name(&manifest[0]["Config"])].clone();
        let layer = gzip(&parts[&name(&manifest[0]["Layers"][0])]);
        let describe = |media: &str, bytes: &[u8]| serde_json::json!({"mediaType": media, "size": bytes.len(), "digest": digest(bytes)});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": describe("application/vnd.docker.container.image.v1+json", &config),
            "layers": [describe("application/vnd.docker.image.rootfs.diff.tar.gzip", &layer)],
        })
        .to_string()
        .into_bytes();
        let mut store = self.store.lock().expect("no thread panics with it");
        let bytes = "application/octet-stream".to_owned();
        store.insert(digest(&config), (bytes.clone(), config));
        store.insert(digest(&layer), (bytes, layer));
        store.insert(digest(&manifest), (MANIFEST.into(), manifest.clone()));
        store.insert(tag.to_owned(), (MANIFEST.into(), manifest));
    }
}

/// One request, one answer, and the connection ends.
fn answer(stream: &TcpStream, store: &Store) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let _ = reader.read_line(&mut line);
    let mut header = String::new();
    while reader.read_line(&mut header).is_ok_and(|read| read > 2) {
        header.clear();
    }
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let wanted = path.rsplit('/').next().unwrap_or_default();
    let store = store.lock().expect("no thread panics with it");
    let found = if path == "/v2/" { None } else { store.get(wanted) };
    let (status, media, body) = match found {
        Some((media, body)) => ("200 OK", media.as_str(), body.as_slice()),
        None if path == "/v2/" => ("200 OK", "application/json", b"{}".as_slice()),
        None => (
            "404 Not Found",
            "application/json",
            b"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}".as_slice(),
        ),
    };
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {}\r\nDocker-Content-Digest: {}\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n",
        body.len(),
        digest(body),
    );
    if method != "HEAD" {
        let _ = stream.write_all(body);
    }
}

fn parts(archive: &[u8]) -> HashMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("whole");
        let name = entry.path().expect("a path").to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("whole");
        (name, content)
    });
    entries.collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test]
async fn a_newer_image_is_pulled_under_the_same_name() {
    if std::env::var("SOC_TEST_ENGINES").as_deref() != Ok("1") {
        let _ = writeln!(std::io::stderr(), "SKIPPED, NOTHING TESTED: real engines need SOC_TEST_ENGINES=1");
        return;
    }
    let registry = Registry::start();
    let dir = tempfile::tempdir().expect("temporary directory");
    let install = Install::open(dir.path()).expect("exists");
    install.create_layout().expect("own directory");
    let mut binary = std::fs::read("/proc/self/exe").expect("readable");
    let first = Image::of_binary(&binary, "1").expect("static");
    binary.push(0);
    let second = Image::of_binary(&binary, "1").expect("static");
    for kind in [EngineKind::Docker, EngineKind::Podman] {
        let settings = settings::Engine { kind, ..settings::Engine::default() };
        let helper = Path::new(env!("CARGO_BIN_EXE_soc-connector"));
        let engine: Connection = connect_through(&settings, &install, helper).await.expect("it answers");
        // No tag: `latest` and nothing else.
        let reference = format!("127.0.0.1:{PORT}/soc-connector-{}", std::process::id());
        registry.publish(&first, "latest");
        let mut steps = Vec::new();
        let id = engine.pull_image(&reference, &mut |progress| steps.push(progress.step)).await;
        assert_eq!(id.expect("pulled"), first.id, "{kind:?}");
        assert!(steps.iter().any(|step| !step.is_empty()), "{kind:?}: {steps:?}");
        registry.publish(&second, "latest");
        let id = engine.pull_image(&reference, &mut |_| {}).await.expect("pulled");
        assert_eq!(id, second.id, "{kind:?}");
        let missing = engine.pull_image(&format!("{reference}:none"), &mut |_| {}).await.expect_err("none");
        assert_eq!(missing.code(), Code::ImagePullFailed, "{kind:?}: {missing}");
        for id in [&first.id, &second.id] {
            assert!(engine.remove_image(id).await.expect("an answer"), "{kind:?}");
        }
        engine.close().await;
    }
    the_commands_pull(&registry);
}

/// The same as an operator does it: `setup --image`, a start with what was pulled, and `update` for a newer one.
fn the_commands_pull(registry: &Registry) {
    let program = binary();
    let mut bytes = std::fs::read(&program).unwrap();
    let first = Image::of_binary(&bytes, "1").unwrap();
    bytes.push(0);
    let second = Image::of_binary(&bytes, "1").unwrap();
    let soc = Soc::start();
    let dir = soc.install("client", free_port(), "");
    let command = |arguments: &[&str]| {
        let done = run(Command::new(&program).arg("--dir").arg(dir.path()).args(arguments));
        println!("$ soc-connector {}\n{}{}", arguments.join(" "), done.out, done.err);
        done
    };
    let image = || -> String {
        let record = std::fs::read(dir.path().join("setup/state.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        record["image"].as_str().unwrap().to_owned()
    };
    let reference = format!("127.0.0.1:{PORT}/soc-connector-pulled-{}", std::process::id());
    registry.publish(&first, "latest");
    command(&["setup", "--docker", "--image", &reference]).ok();
    assert_eq!(image(), first.id);
    command(&["start"]).ok();
    assert_eq!(command(&["update"]).ok().out.lines().last().unwrap(), "OK - the image is up to date");
    registry.publish(&second, "latest");
    let update = command(&["update"]).ok().out;
    assert!(update.contains(&format!("OK - a newer image is there: {}", second.id)), "{update}");
    command(&["stop"]).ok();
    let refused = command(&["start"]);
    assert!(refused.code == Some(1) && refused.err.contains("run `setup` first"), "{refused:?}");
    command(&["setup"]).ok();
    assert_eq!(image(), second.id, "setup goes on pulling, as the settings say");
    command(&["reset"]).ok();
    command(&["purge"]).ok();
    for image in [&first.id, &second.id] {
        let left = run(Command::new("docker").args(["image", "inspect", image]));
        assert_ne!(left.code, Some(0), "purge removes {image}, which no record names any more: {left:?}");
    }
}
