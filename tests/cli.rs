//! The program as an operator types it: exit statuses, error codes, what is said where, and no panic whatever is found.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::{Done, Soc, binary, incubator, run};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use soc_connector::error::Code;
use soc_connector::incubator::client::Confirmations;
use soc_connector::settings::Endpoint;
use soc_connector::tls::{self, Identity, Roots};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// Everything that an operator types, in the order of the manual.
const COMMANDS: [&str; 20] = [
    "setup",
    "status",
    "start",
    "stop",
    "test",
    "sample",
    "deploy",
    "update",
    "reset",
    "delete",
    "purge",
    "explain",
    "parse",
    "metrics",
    "spool",
    "demo",
    "run",
    "incubator",
    "pki",
    "image",
];

/// The program with these arguments, and without a container engine: no test here may get as far as to one.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env("PATH", "/nonexistent").env_remove("SOC_DIR").env_remove("DOCKER_HOST");
    command
}

fn in_dir(dir: &Path, arguments: &[&str]) -> Done {
    run(program(&["--dir", dir.to_str().unwrap()]).args(arguments))
}

/// Asserts that a command failed with this code, said so as the contract says, and did not panic.
#[track_caller]
fn assert_code(done: &Done, code: &str) {
    assert_eq!(done.code, Some(1), "{done:?}");
    let mut lines = done.err.lines().skip_while(|line| !line.starts_with("ERROR - "));
    let first = lines.next().unwrap_or_else(|| panic!("{done:?}"));
    assert!(first.starts_with(&format!("ERROR - {code} ")), "{done:?}");
    assert!(lines.next().is_some_and(|line| line.starts_with("        cause: ")), "{done:?}");
    assert!(lines.next().is_some_and(|line| line.starts_with("        remedy: ")), "{done:?}");
    assert!(!done.err.contains("panicked"), "{done:?}");
}

#[test]
fn exit_status_tells_done_failed_and_wrong_usage_apart() {
    for arguments in [&["--help"][..], &["--version"], &["help", "setup"], &["explain", "E104"]] {
        assert_eq!(run(&mut program(arguments)).code, Some(0), "{arguments:?}");
    }
    assert_code(&run(&mut program(&["explain", "E999"])), "E902");
    let wrong: [&[&str]; 8] = [
        &[],
        &["no-such-command"],
        &["status", "--no-such-option"],
        &["status", "too much"],
        &["run", "--mode", "neither"],
        &["setup", "--syslog-port", "65536"],
        &["pki", "dir", "--days", "0"],
        &["--dir"],
    ];
    for arguments in wrong {
        let done = run(&mut program(arguments));
        assert_eq!(done.code, Some(2), "{arguments:?}: {done:?}");
        assert!(done.out.is_empty() && done.err.contains("--help"), "{arguments:?}: {done:?}");
    }
}

#[test]
fn help_names_every_command_and_what_is_for_the_program_alone_is_hidden() {
    let help = run(&mut program(&["--help"])).ok().out;
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // What an explanation's second line begins with stands further right.
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed[..COMMANDS.len()], COMMANDS, "{help}");
    assert_eq!(listed[COMMANDS.len()..], ["help"], "{help}");
    assert!(help.contains("Exit status: "), "{help}");
}

#[test]
fn explain_knows_every_code_and_says_when_there_is_none() {
    for way in ["E104", "e104", "104"] {
        let done = run(&mut program(&["explain", way])).ok();
        assert!(done.out.starts_with("INFO - E104\n       cause: The command is not allowed"), "{done:?}");
    }
    let all = run(&mut program(&["explain"])).ok().out;
    for &code in Code::ALL {
        let text =
            format!("INFO - {code}\n       cause: {}\n       remedy: {}\n", code.cause(), code.remedy());
        assert!(all.contains(&text), "{code}");
    }
    for unknown in ["E000", "E99999999999", "x", "", "-1", "E1O4", "\u{1b}[2J"] {
        let done = run(program(&["explain", "--"]).arg(unknown));
        assert_code(&done, "E902");
        assert!(!done.err.contains('\u{1b}'), "what was typed cannot steer the terminal: {done:?}");
    }
}

#[test]
fn with_json_every_line_is_an_object_also_of_an_error() {
    let parse = |text: &str| -> Vec<Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    };
    let all = parse(&run(&mut program(&["--json", "explain"])).ok().out);
    assert_eq!(all.len(), Code::ALL.len());
    assert!(all.iter().all(|line| line["cause"].is_string() && line["remedy"].is_string()), "{all:#?}");

    let done = in_dir(Path::new("/nonexistent"), &["status", "--json"]);
    assert_eq!((done.code, done.err.as_str()), (Some(1), ""));
    let lines = parse(&done.out);
    assert_eq!((lines.len(), &lines[0]["code"], &lines[0]["level"]), (1, &json!("E101"), &json!("ERROR")));
    assert!(lines[0]["message"].as_str().unwrap().contains("/nonexistent"), "{lines:#?}");

    let dir = tempfile::tempdir().unwrap();
    let made = parse(&run(program(&["--json", "pki"]).arg(dir.path())).ok().out);
    assert!(made.iter().all(|line| line["level"].is_string() && line["message"].is_string()), "{made:#?}");
}

#[test]
fn a_directory_that_is_none_is_e101() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [dir.path().join("missing"), file] {
        for command in ["status", "setup", "start", "deploy", "run", "health", "reset"] {
            let done = in_dir(&place, &[command]);
            assert_code(&done, "E101");
            assert!(done.err.contains(place.to_str().unwrap()), "{done:?}");
        }
    }
}

#[test]
fn the_directory_is_soc_dir_unless_one_is_typed() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, number) in [(&one, 1), (&other, 2)] {
        fs::create_dir(dir.path().join("conf")).unwrap();
        let text = format!("wrong_{number} = 1\n");
        fs::write(dir.path().join("conf/soc-connector.toml"), text).unwrap();
    }
    let at = |command: &mut Command| run(command.arg("status"));
    let done = at(program(&[]).env("SOC_DIR", one.path()));
    assert!(done.err.contains("wrong_1"), "{done:?}");
    let done = at(program(&["--dir", other.path().to_str().unwrap()]).env("SOC_DIR", one.path()));
    assert!(done.err.contains("wrong_2"), "{done:?}");
    let done = at(program(&[]).current_dir(other.path()));
    assert!(done.err.contains("wrong_2"), "without both it is the working directory: {done:?}");
}

/// A state as setup leaves it.
fn state() -> Value {
    json!({
        "version": 1, "mode": "stage", "tested": false, "setup_due": false, "image": "sha256:0", "network": "host",
        "container": "soc-connector-00000000", "completed": "2026-01-01T00:00:00Z",
    })
}

/// An installation that setup has completed, as far as its files tell.
fn installation(soc: &Soc) -> tempfile::TempDir {
    let dir = soc.install("client", common::free_port(), "");
    fs::create_dir_all(dir.path().join("setup/conf")).unwrap();
    fs::copy(dir.path().join("conf/soc-connector.toml"), dir.path().join("setup/conf/soc-connector.toml"))
        .unwrap();
    fs::write(dir.path().join("setup/state.json"), state().to_string()).unwrap();
    dir
}

/// Every command that looks at the state.
const STATEFUL: [&str; 11] =
    ["status", "start", "stop", "test", "sample", "deploy", "update", "reset", "delete", "purge", "run"];

#[test]
fn a_broken_state_is_e103_with_setup_as_the_remedy() {
    let soc = Soc::start();
    let dir = installation(&soc);
    let file = dir.path().join("setup/state.json");
    let whole = state().to_string();
    let with = |name: &str, value: Value| {
        let mut state = state();
        state[name] = value;
        state.to_string().into_bytes()
    };
    let broken = [
        Vec::new(),
        b"not JSON".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\0\0\0\0\0\0\0\0".to_vec(),
        b"\xFF\xFE{}".to_vec(),
        whole.as_bytes()[..whole.len() / 2].to_vec(),
        with("version", json!(2)),
        with("version", json!(-1)),
        with("mode", json!("neither")),
        with("from_another_version", json!(true)),
        "[".repeat(100_000).into_bytes(),
    ];
    for text in broken {
        fs::write(&file, &text).unwrap();
        let done = in_dir(dir.path(), &["status"]);
        assert_code(&done, "E103");
        assert!(
            done.err.contains("state.json") && done.err.contains("remedy: Run `soc-connector setup`"),
            "{done:?}"
        );
    }
    for command in STATEFUL {
        assert_code(&in_dir(dir.path(), &[command]), "E103");
    }
    // Setup itself does not stumble over it: what it complains of is that there is no engine here.
    let done = in_dir(dir.path(), &["setup"]);
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains("ERROR - E106 ") && !done.err.contains("E103"), "{done:?}");

    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_code(&in_dir(dir.path(), &["status"]), "E103");
}

#[test]
fn the_accepted_settings_are_a_part_of_the_state() {
    let soc = Soc::start();
    let dir = installation(&soc);
    let done = in_dir(dir.path(), &["status"]);
    assert!(!done.err.contains("E103"), "{done:?}");
    fs::remove_file(dir.path().join("setup/conf/soc-connector.toml")).unwrap();
    assert_code(&in_dir(dir.path(), &["status"]), "E103");
}

#[test]
fn a_wrong_setting_is_named_with_its_line_and_key() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("conf")).unwrap();
    let file = dir.path().join("conf/soc-connector.toml");
    let wrong = [
        ("# one\n[listener]\nsyslog_port = 70000\n", ":3: ", "syslog_port"),
        ("[listener]\nsyslog_prot = 1514\n", ":2: ", "syslog_prot"),
        ("[uplink]\n\n\nformat = \"xml\"\n", ":4: ", "format"),
        ("[listener]\naddresses = [\"::\", \"here\"]\n", ":2: ", "addresses"),
        ("[listner]\n", ":1: ", "listner"),
        ("[limits]\nfiles = 600\n", ":2: ", "files"),
        ("[listener]\nsyslog_port = \n", ":2: ", ""),
    ];
    for (text, line, key) in wrong {
        fs::write(&file, text).unwrap();
        for command in ["status", "setup", "run"] {
            let done = in_dir(dir.path(), &[command]);
            assert_code(&done, "E122");
            let said = done.err.lines().find(|line| line.starts_with("ERROR")).unwrap();
            assert!(said.contains(line) && said.contains(key), "{text:?}: {said}");
            assert!(said.contains("conf/soc-connector.toml"), "{said}");
        }
    }
    fs::write(&file, b"\xFF\xFE").unwrap();
    let done = in_dir(dir.path(), &["status"]);
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains("ERROR - E12"), "{done:?}");
}

#[test]
fn of_two_commands_in_one_directory_the_second_is_told_who_is_first() {
    let soc = Soc::start();
    let dir = installation(&soc);
    let path = dir.path().join(".soc-connector.lock");
    fs::write(&path, "`update` (process 4711)").unwrap();
    let lock = fs::File::open(&path).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    for command in ["setup", "start", "stop", "deploy", "update", "reset", "delete", "purge"] {
        let done = in_dir(dir.path(), &[command]);
        assert_code(&done, "E102");
        assert!(done.err.contains("`update` (process 4711) is at work in "), "{done:?}");
    }
    let done = in_dir(dir.path(), &["status"]);
    assert!(!done.err.contains("E102"), "who only looks waits for nobody: {done:?}");
    drop(lock);
    let done = in_dir(dir.path(), &["start"]);
    assert!(done.code == Some(1) && !done.err.contains("E102"), "the lock went with its holder: {done:?}");
}

#[test]
fn the_pki_serves_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    run(&mut program(&["pki", place, "--client", "one", "--client", "two", "--server-name", "soc.example"]))
        .ok();
    let ca = fs::read(dir.path().join("ca.pem")).unwrap();
    for name in ["ca-key.pem", "server-key.pem", "one-key.pem", "two-key.pem"] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let (_incubator, _, confirmations) = incubator(dir.path(), "127.0.0.1:0", "127.0.0.1:0");
    // A later call adds to it and keeps the CA.
    run(&mut program(&["pki", place, "--client", "three"])).ok();
    assert_eq!(fs::read(dir.path().join("ca.pem")).unwrap(), ca);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for name in ["one", "two", "three"] {
        let at = |part: &str| dir.path().join(format!("{name}-{part}.pem"));
        let identity = Identity::load(&at("cert"), &at("key")).unwrap();
        assert_eq!(identity.facts().unwrap().subject_cn.as_deref(), Some(name));
        let config =
            tls::client_config(&identity, &Roots::from_file(&dir.path().join("ca.pem")).unwrap()).unwrap();
        let endpoint = Endpoint { host: "localhost".to_owned(), port: confirmations.port() };
        runtime.block_on(Confirmations::new(endpoint, config).kept()).unwrap();
    }
    assert_code(&run(&mut program(&["pki", place, "--client", "../outside"])), "E231");
}

#[test]
fn the_script_finds_the_binary_and_passes_everything_on() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a place with spaces");
    fs::create_dir(&place).unwrap();
    let script = place.join("soc-connector.sh");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("soc-connector.sh"), &script).unwrap();
    let call = |arguments: &[&str], path: &Path| {
        run(Command::new("sh")
            .arg(&script)
            .args(arguments)
            .env("PATH", format!("{}:/usr/bin:/bin", path.display())))
    };
    let nowhere = dir.path();
    let done = call(&["explain"], nowhere);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.starts_with("ERROR - E901 no soc-connector binary"), "{done:?}");

    // A directory of that name is no binary.
    fs::create_dir(place.join("soc-connector")).unwrap();
    assert_eq!(call(&["explain"], nowhere).code, Some(1));
    fs::remove_dir(place.join("soc-connector")).unwrap();

    // The one beside it comes before one on PATH.
    let elsewhere = dir.path().join("bin");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("soc-connector"), "#!/bin/sh\necho \"from PATH: $*\"\nexit 7\n").unwrap();
    fs::set_permissions(elsewhere.join("soc-connector"), fs::Permissions::from_mode(0o755)).unwrap();
    let done = call(&["explain", "E104"], &elsewhere);
    assert_eq!((done.code, done.out.as_str()), (Some(7), "from PATH: explain E104\n"));
    symlink(binary(), place.join("soc-connector")).unwrap();

    let done = call(&["explain", "E104"], &elsewhere).ok();
    assert!(done.out.starts_with("INFO - E104\n"), "{done:?}");
    let done = call(&["explain", "two words  and $HOME *"], &elsewhere);
    assert_code(&done, "E902");
    assert!(done.err.contains("\"two words  and $HOME *\""), "{done:?}");
    assert_eq!(call(&["no-such-command"], &elsewhere).code, Some(2));
    assert_eq!(call(&[], &elsewhere).code, Some(2));
    // It is found from wherever it is called, and the directory stays the caller's.
    let done = run(Command::new("sh")
        .args(["a place with spaces/soc-connector.sh", "status"])
        .current_dir(nowhere)
        .env("PATH", "/usr/bin:/bin")
        .env("SOC_DIR", "missing here"));
    assert_code(&done, "E101");
    assert!(done.err.contains("missing here"), "{done:?}");
}

#[test]
fn a_file_of_messages_can_be_tried_out_before_a_device_is_connected() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("device.log");
    fs::write(&file, "<34>Oct 11 22:14:15 mymachine su: 'su root' failed\nno header at all\n").unwrap();
    let done = run(program(&["--json", "parse", "--source", "198.51.100.7"]).arg(&file)).ok();
    let events: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&events[0]["hostName"], &events[0]["connector"]["parse"]),
        (&"mymachine".into(), &"rfc3164".into())
    );
    assert_eq!(
        (&events[1]["hostName"], &events[1]["body"]),
        (&"198.51.100.7".into(), &"no header at all".into())
    );
    let text = run(program(&["parse"]).arg(&file)).ok().out;
    assert!(text.starts_with("INFO - message 1, rule rfc3164: {\n  \"appInst\": \"su\","), "{text}");
    let done = run(&mut program(&["parse", "/no/such/file"]));
    assert!(done.code == Some(1) && done.err.starts_with("ERROR - E505 "), "{done:?}");
}

#[test]
fn a_zone_is_tried_out_by_the_settings_file_before_setup() {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("conf/soc-connector.toml");
    let file = dir.path().join("device.log");
    fs::create_dir(dir.path().join("conf")).unwrap();
    fs::write(&file, "<34>2021-10-11 22:14:15 mymachine su: text\n").unwrap();
    let parse = || run(program(&["--json", "--dir"]).arg(dir.path()).arg("parse").arg(&file));
    for (text, timestamp) in [
        ("", "2021-10-11T22:14:15Z"),
        ("[normaliser]\ntime_zone = \"Europe/Berlin\"\n", "2021-10-11T22:14:15+02:00"),
    ] {
        fs::write(&settings, text).unwrap();
        let event: Value = serde_json::from_str(&parse().ok().out).unwrap();
        assert_eq!(event["timestamp"], timestamp);
    }
    fs::write(&settings, "[normaliser]\ntime_zone = \"Berlin\"\n").unwrap();
    let done = parse();
    assert!(done.code == Some(1) && done.out.contains("E122"), "{done:?}");
}
