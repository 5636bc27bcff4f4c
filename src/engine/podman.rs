//! A container in Podman's words: the body of `POST /libpod/containers/create` (its `SpecGenerator`).

use super::Info;
use super::container::{ContainerSpec, DIR_INSIDE, EngineLimits, MAX_LOG_BYTES};
use super::network::Attachment;
use serde_json::{Map, Value, json};

/// Translates.
pub fn create_body(spec: &ContainerSpec, limits: EngineLimits, info: &Info) -> Value {
    let mounts: Vec<Value> = spec
        .mounts
        .iter()
        .map(|mount| {
            let mut options = vec![if mount.writable { "rw" } else { "ro" }, "rbind"];
            // `Z` gives the file this container's own SELinux label; the system's files must keep theirs.
            if info.selinux && mount.own {
                options.push("Z");
            }
            json!({"type": "bind", "source": mount.source, "destination": mount.target, "options": options})
        })
        .collect();
    let check = &spec.health_check;
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("name", json!(spec.name));
    set("image", json!(spec.image));
    set("command", json!(spec.args));
    set("work_dir", json!(DIR_INSIDE));
    set("terminal", json!(false));
    set("labels", json!(spec.labels));
    set("mounts", json!(mounts));
    set("read_only_filesystem", json!(true));
    set("cap_drop", json!(["ALL"]));
    set("no_new_privileges", json!(true));
    set("restart_policy", json!("always"));
    set("stop_timeout", json!(spec.stop_timeout.as_secs()));
    set("log_configuration", json!({"driver": "k8s-file", "size": MAX_LOG_BYTES}));
    set(
        "healthconfig",
        json!({
            "Test": std::iter::once("CMD").chain(check.command.iter().map(String::as_str)).collect::<Vec<_>>(),
            // Durations are whole nanoseconds in Go's JSON.
            "Interval": check.interval.as_nanos() as u64,
            "Timeout": check.timeout.as_nanos() as u64,
            "Retries": check.retries,
            "StartPeriod": check.start_period.as_nanos() as u64,
        }),
    );
    if spec.network.bind_capability {
        set("cap_add", json!(["NET_BIND_SERVICE"]));
    }
    // As root, the user inside is the user outside. Rootless, root inside is the operator outside, and `keep-id` makes
    // it the same number again. Podman 4.3.1 deadlocks over restarting a crashed container that has `keep-id` and a
    // network of its own, and then answers nobody; so there it is root inside, with as few rights.
    let same_inside = !info.rootless || spec.network.attachment == Attachment::Host;
    set("user", json!(if same_inside { spec.user_text() } else { "0:0".to_owned() }));
    if info.rootless && same_inside {
        set("userns", json!({"nsmode": "keep-id"}));
    }
    match spec.network.attachment {
        Attachment::Host => set("netns", json!({"nsmode": "host"})),
        Attachment::Bridge => set("netns", json!({"nsmode": "bridge"})),
        Attachment::Slirp4netns => {
            set("network_options", json!({"slirp4netns": ["port_handler=slirp4netns"]}));
            set("netns", json!({"nsmode": "slirp4netns"}))
        }
    };
    if !spec.network.publish.is_empty() {
        let ports: Vec<Value> = spec
            .network
            .publish
            .iter()
            .map(|port| {
                json!({
                    "host_ip": if port.host_address.is_unspecified() { String::new() } else { port.host_address.to_string() },
                    "host_port": port.host_port,
                    "container_port": port.port_inside,
                    "protocol": port.transport,
                })
            })
            .collect();
        set("portmappings", json!(ports));
    }
    let mut rlimits = vec![json!({"type": "nofile", "soft": limits.files, "hard": limits.files})];
    if let Some(most) = limits.user_processes {
        rlimits.push(json!({"type": "nproc", "soft": most, "hard": most}));
    }
    set("r_limits", json!(rlimits));
    let mut resources = Map::new();
    if let Some(bytes) = limits.memory_bytes {
        resources.insert("memory".into(), json!({"limit": bytes, "swap": bytes}));
    }
    if let Some(pids) = limits.pids {
        resources.insert("pids".into(), json!({"limit": pids}));
    }
    if !resources.is_empty() {
        set("resource_limits", Value::Object(resources));
    }
    Value::Object(body)
}
