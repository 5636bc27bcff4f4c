//! What engines answer, read: pure, and tolerant of what an engine of tomorrow adds.

use super::{ContainerInfo, ContainerState, Info};
use crate::settings::EngineKind;
use serde_json::Value;

/// The version of Podman's own API in the answer to `/version`; none where the engine is not Podman.
pub fn podman_api(version: &Value) -> Option<&str> {
    podman_part(version)?["Details"]["APIVersion"].as_str()
}

fn podman_part(version: &Value) -> Option<&Value> {
    version["Components"].as_array()?.iter().find(|part| part["Name"] == "Podman Engine")
}

/// Reads Podman's `/version` and `/libpod/info`.
pub fn podman_info(version: &Value, info: &Value) -> Info {
    let host = &info["host"];
    let rootless = host["security"]["rootless"].as_bool().unwrap_or(false);
    let cgroup_version = if host["cgroupVersion"] == "v2" { 2 } else { 1 };
    let controllers = host["cgroupControllers"].as_array();
    // As root every controller is there; an ordinary user has those that systemd delegated, and none on v1.
    let has = |name: &str| {
        !rootless
            || (cgroup_version == 2 && controllers.is_some_and(|list| list.iter().any(|one| one == name)))
    };
    Info {
        kind: EngineKind::Podman,
        version: text(podman_part(version).map_or(&Value::Null, |part| &part["Version"])),
        api: podman_api(version).unwrap_or_default().to_owned(),
        rootless,
        cgroup_version,
        memory_limit: has("memory"),
        pids_limit: has("pids"),
        selinux: host["security"]["selinuxEnabled"].as_bool().unwrap_or(false),
        remaps_users: false,
    }
}

/// Reads Docker's `/version` and `/info`.
pub fn docker_info(version: &Value, info: &Value) -> Info {
    let option = |name: &str| {
        info["SecurityOptions"].as_array().is_some_and(|all| {
            all.iter().filter_map(Value::as_str).any(|one| one.split(',').any(|part| part == name))
        })
    };
    Info {
        kind: EngineKind::Docker,
        version: text(&version["Version"]),
        api: text(&version["ApiVersion"]),
        rootless: option("name=rootless"),
        cgroup_version: if info["CgroupVersion"] == "2" { 2 } else { 1 },
        memory_limit: info["MemoryLimit"].as_bool().unwrap_or(false),
        pids_limit: info["PidsLimit"].as_bool().unwrap_or(false),
        selinux: option("name=selinux"),
        remaps_users: option("name=userns"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Reads an inspected container, which is the same JSON in both engines but for its states.
pub fn container_info(value: &Value) -> ContainerInfo {
    let state = &value["State"];
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let exit_code = state["ExitCode"].as_i64().unwrap_or(0);
    let status = text(&state["Status"]).unwrap_or_default();
    ContainerInfo {
        state: match status.as_str() {
            "created" | "configured" | "initialized" => ContainerState::Created,
            "running" => ContainerState::Running,
            "exited" | "stopped" | "dead" => ContainerState::Exited(exit_code),
            _ => ContainerState::Other(status),
        },
        image_id: {
            let id = text(&value["Image"]).unwrap_or_default();
            if id.contains(':') { id } else { format!("sha256:{id}") }
        },
        // Go's zero time.
        started_at: text(&state["StartedAt"]).filter(|time| !time.starts_with("0001-")),
        restarts: value["RestartCount"].as_u64().unwrap_or(0),
        health: text(&state["Health"]["Status"]).filter(|health| health != "none"),
        exit_code,
        oom_killed: state["OOMKilled"].as_bool().unwrap_or(false),
        labels: value["Config"]["Labels"]
            .as_object()
            .map(|labels| {
                labels
                    .iter()
                    .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                    .collect()
            })
            .unwrap_or_default(),
        pid: state["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
    }
}

/// The name or id in what an engine says after loading; the last one where there are more.
pub fn loaded(text: &str) -> Option<&str> {
    text.lines().rev().find_map(|line| {
        let names = ["Loaded image: ", "Loaded image ID: ", "Loaded image(s): "]
            .iter()
            .find_map(|start| line.trim().strip_prefix(start))?;
        names.rsplit(',').next().map(str::trim).filter(|name| !name.is_empty())
    })
}

/// `repository:latest` where neither tag nor digest is given; Docker would pull every tag.
pub fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}

/// One line of output for a terminal: what the process wrote may hold what a sender wrote.
pub fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn podman_limits_what_its_user_was_given() {
        let version = json!({"Components": [
            {"Name": "Podman Engine", "Version": "4.3.1", "Details": {"APIVersion": "4.3.1"}},
            {"Name": "Conmon", "Version": "conmon version 2.1.6"},
        ]});
        assert_eq!(podman_api(&version), Some("4.3.1"));
        for (rootless, cgroups, controllers, memory, pids) in [
            (true, "v1", json!([]), false, false),
            (true, "v1", json!(["memory", "pids"]), false, false),
            (true, "v2", json!(["cpu", "memory", "pids"]), true, true),
            (true, "v2", json!(["cpu", "pids"]), false, true),
            (true, "v2", json!(null), false, false),
            (false, "v1", json!(null), true, true),
            (false, "v2", json!(["cpu", "memory", "pids"]), true, true),
        ] {
            let info = podman_info(
                &version,
                &json!({"host": {"cgroupVersion": cgroups, "cgroupControllers": controllers,
                                 "security": {"rootless": rootless, "selinuxEnabled": true}}}),
            );
            assert_eq!(
                (info.memory_limit, info.pids_limit),
                (memory, pids),
                "{rootless} {cgroups} {controllers}"
            );
            assert_eq!((info.version.as_str(), info.rootless, info.selinux), ("4.3.1", rootless, true));
        }
    }

    #[test]
    fn docker_says_how_it_confines_in_its_options() {
        let version =
            json!({"Version": "20.10.24+dfsg1", "ApiVersion": "1.41", "Components": [{"Name": "Engine"}]});
        assert_eq!(podman_api(&version), None);
        let of = |options: Value| {
            docker_info(
                &version,
                &json!({"CgroupVersion": "2", "SecurityOptions": options, "MemoryLimit": true}),
            )
        };
        let plain = of(json!(["name=seccomp,profile=default", "name=cgroupns"]));
        assert!(!plain.rootless && !plain.selinux && !plain.remaps_users);
        assert_eq!((plain.cgroup_version, plain.memory_limit, plain.pids_limit), (2, true, false));
        assert!(of(json!(["name=rootless"])).rootless);
        assert!(of(json!(["name=seccomp,profile=default", "name=selinux"])).selinux);
        assert!(of(json!(["name=userns"])).remaps_users);
    }

    #[test]
    fn every_state_that_an_engine_knows_is_read() {
        use ContainerState::{Created, Exited, Other, Running};
        for (status, wanted) in [
            ("created", Created),
            ("configured", Created),
            ("initialized", Created),
            ("running", Running),
            ("exited", Exited(3)),
            ("stopped", Exited(3)),
            ("dead", Exited(3)),
            ("paused", Other("paused".into())),
            ("stopping", Other("stopping".into())),
            ("of tomorrow", Other("of tomorrow".into())),
            ("", Other(String::new())),
        ] {
            let info = container_info(&json!({"State": {"Status": status, "ExitCode": 3}, "Image": "abc"}));
            assert_eq!(info.state, wanted, "{status}");
            assert_eq!(info.image_id, "sha256:abc");
        }
    }

    #[test]
    fn what_is_not_there_is_none() {
        let info = container_info(&json!({
            "State": {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z", "Pid": 0, "Health": {"Status": ""}},
            "Config": {"Labels": null},
        }));
        assert_eq!((info.started_at, info.pid, info.health), (None, None, None));
        assert!(info.labels.is_empty());
        let info = container_info(&json!({
            "State": {"Status": "running", "StartedAt": "2026-11-22T03:49:47.152636259Z", "Pid": 17, "OOMKilled": true,
                      "Health": {"Status": "healthy"}},
            "Config": {"Labels": {"a": "b"}}, "RestartCount": 2,
        }));
        assert_eq!(info.started_at.as_deref(), Some("2026-11-22T03:49:47.152636259Z"));
        assert_eq!((info.pid, info.health.as_deref(), info.restarts), (Some(17), Some("healthy"), 2));
        assert!(info.oom_killed);
        assert_eq!(info.labels["a"], "b");
    }

    #[test]
    fn what_was_loaded_is_found_in_the_engines_words() {
        for (said, name) in [
            ("Loaded image: localhost/soc-connector:0.1.0", Some("localhost/soc-connector:0.1.0")),
            ("Loading layer\nLoaded image: x:1\n", Some("x:1")),
            ("Loaded image ID: sha256:abc\n", Some("sha256:abc")),
            ("Loaded image(s): a:1,b:2", Some("b:2")),
            ("Loaded image: ", None),
            ("no space left on device", None),
        ] {
            assert_eq!(loaded(said), name, "{said}");
        }
    }

    #[test]
    fn one_tag_is_pulled_never_all() {
        for (given, pulled) in [
            ("repo.example/soc", "repo.example/soc:latest"),
            ("repo.example:5000/soc", "repo.example:5000/soc:latest"),
            ("repo.example:5000/soc:1.2", "repo.example:5000/soc:1.2"),
            ("repo.example/soc@sha256:abc", "repo.example/soc@sha256:abc"),
        ] {
            assert_eq!(with_tag(given), pulled);
        }
    }

    #[test]
    fn output_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\tc\u{9b}d\r"), "a\u{fffd}[2Jb\tc\u{fffd}d\u{fffd}");
    }
}
