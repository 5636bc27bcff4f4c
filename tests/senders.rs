//! Real senders, each as its users run it, through a connector to the incubator: what arrives is what they sent.

mod common;

use common::{Process, Rig, have, run};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn logger_in_both_formats_over_both_transports_and_framings() {
    if !have("logger", "logger") {
        return;
    }
    let mut rig = Rig::start();
    for transport in [&["--udp"][..], &["--tcp"], &["--tcp", "--octet-count"]] {
        for format in ["--rfc5424", "--rfc3164"] {
            let body = format!("logger says hello {} {format}", transport.join(" "));
            run(Command::new("logger")
                .args(["--server", "127.0.0.1", "--port", &rig.port().to_string(), format])
                .args(transport)
                .args(["--tag", "myapp", "--id=4711", "--priority", "auth.warning", &body]))
            .ok();
            let event = rig.view.wait_body(&body);
            assert_eq!(event["priority"], "36", "{event:#}");
            assert_eq!((&event["facility"], &event["severity"]), (&"4".into(), &"4".into()));
            assert_eq!(event["appName"], "myapp");
            assert_eq!(event["procId"], "4711");
            assert_eq!(event["syslogTag"], "myapp[4711]");
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            let short = host.split('.').next().unwrap();
            assert!(event["hostName"].as_str().unwrap().starts_with(short), "{event:#}");
            assert!(event["connector"]["source"].as_str().unwrap().starts_with("127.0.0.1:"));
            assert_eq!(event["connector"]["transport"], if transport[0] == "--udp" { "udp" } else { "tcp" });
            let structured = event["structuredData"].as_str().unwrap();
            assert_eq!(structured.starts_with("[timeQuality "), format == "--rfc5424", "{structured}");
        }
    }
}

#[test]
fn rsyslog_forwards_over_udp_and_both_framings_of_tcp() {
    if !have("rsyslog", "rsyslogd") || !have("rsyslog", "logger") {
        return;
    }
    let mut rig = Rig::start();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("log");
    let mut config = format!(
        "global(workDirectory=\"{dir}\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n\
         input(type=\"imuxsock\" Socket=\"{socket}\" useSpecialParser=\"on\")\n",
        dir = dir.path().display(),
        socket = socket.display()
    );
    let ways = [
        ("rsudp", "protocol=\"udp\" template=\"RSYSLOG_TraditionalForwardFormat\""),
        ("rslf", "protocol=\"tcp\" TCP_Framing=\"traditional\" template=\"RSYSLOG_ForwardFormat\""),
        (
            "rscounted",
            "protocol=\"tcp\" TCP_Framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\"",
        ),
    ];
    for (tag, way) in ways {
        let port = rig.port();
        config.extend([
            format!("if $programname == \"{tag}\" then "),
            format!("action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" {way})\n"),
        ]);
    }
    let file = dir.path().join("rsyslog.conf");
    fs::write(&file, config).unwrap();
    let mut command = Command::new("rsyslogd");
    command.arg("-n").arg("-f").arg(&file).arg("-i").arg(dir.path().join("pid"));
    let _rsyslog = Process::spawn(command);
    await_path(&socket);
    for (tag, _) in ways {
        let body = format!("rsyslog relays this by {tag}");
        run(Command::new("logger")
            .arg("--socket")
            .arg(&socket)
            .args(["--tag", tag, "--id=99", "-p", "mail.err", &body]))
        .ok();
        // What comes in through its socket rsyslog keeps with the space before it. Its RFC 5424 template puts another
        // one before that, so by the RFC the space is the message's own.
        let expected = if tag == "rscounted" { format!(" {body}") } else { body };
        let event = rig.view.wait_body(&expected);
        assert_eq!(event["priority"], "19", "{event:#}");
        assert_eq!((&event["appName"], &event["procId"]), (&tag.into(), &"99".into()), "{event:#}");
    }
}

#[test]
fn pythons_sysloghandler_over_udp_and_tcp() {
    if !have("SysLogHandler", "python3") {
        return;
    }
    let mut rig = Rig::start();
    let script = r#"
import logging, logging.handlers, socket, sys
port = int(sys.argv[1])
for kind, name in ((socket.SOCK_DGRAM, "udp"), (socket.SOCK_STREAM, "tcp")):
    handler = logging.handlers.SysLogHandler(("127.0.0.1", port), facility="local3", socktype=kind)
    log = logging.getLogger(name)
    log.addHandler(handler)
    log.error("python over %s: first", name)
    log.error("python over %s: second", name)
    handler.close()
"#;
    run(Command::new("python3").args(["-c", script, &rig.port().to_string()])).ok();
    for transport in ["udp", "tcp"] {
        for which in ["first", "second"] {
            // No header but PRI, and a NUL at the end, which is SysLogHandler's only separator over TCP.
            let event = rig.view.wait_body(&format!("python over {transport}: {which}"));
            assert_eq!(event["priority"], "155", "{event:#}");
            assert_eq!(event["hostName"], "127.0.0.1", "{event:#}");
        }
    }
}

#[test]
fn busybox_syslogd_forwards() {
    if !have("busybox syslogd", "busybox") {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED busybox syslogd: it needs a /dev of its own, so root");
        return;
    }
    let mut rig = Rig::start();
    let body = "busybox relays this";
    // Its /dev/log cannot be moved, so it gets a /dev of its own.
    let script = format!(
        "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && \
         {{ busybox syslogd -n -O /dev/messages -L -R 127.0.0.1:{} & }} && \
         until [ -S /dev/log ]; do sleep 0.1; done; busybox logger -t bbapp -p daemon.notice '{body}'; \
         until grep -q '{body}' /dev/messages; do sleep 0.1; done; kill $!",
        rig.port()
    );
    run(Command::new("timeout").args([
        "30",
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        &script,
    ]));
    let event = rig.view.wait_body(body);
    assert_eq!(event["priority"], "29", "{event:#}");
    assert_eq!(event["appName"], "bbapp", "{event:#}");
    assert_eq!(event["hostName"], "127.0.0.1", "busybox names no host: {event:#}");
}

fn await_path(path: &Path) {
    let until = std::time::Instant::now() + common::PATIENCE;
    while !path.exists() {
        assert!(std::time::Instant::now() < until, "{} never came", path.display());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
