//! A container in Docker's words: the body of `POST /containers/create`.

use super::Info;
use super::container::{ContainerSpec, EngineLimits, MAX_LOG_BYTES, Mount};
use super::network::{Attachment, Publish};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, MountType, PortBinding,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use std::collections::HashMap;
use std::time::Duration;

/// Files that the log is split into; the older one is dropped when the newer is full.
const LOG_FILES: u64 = 2;

/// Translates.
pub fn create_body(spec: &ContainerSpec, limits: EngineLimits, info: &Info) -> ContainerCreateBody {
    let publish = spec.network.publish.as_slice();
    let host_config = HostConfig {
        binds: info.selinux.then(|| spec.mounts.iter().map(bind).collect()),
        mounts: (!info.selinux).then(|| spec.mounts.iter().map(mount).collect()),
        network_mode: Some(
            match spec.network.attachment {
                Attachment::Host => "host",
                Attachment::Bridge => "bridge",
                Attachment::Slirp4netns => "slirp4netns:port_handler=slirp4netns",
            }
            .to_owned(),
        ),
        port_bindings: (!publish.is_empty()).then(|| port_bindings(publish)),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: spec.network.bind_capability.then(|| vec!["NET_BIND_SERVICE".into()]),
        security_opt: Some(vec!["no-new-privileges".into()]),
        // A remapped user is not the operator's, and the host's network is refused to one.
        userns_mode: info.remaps_users.then(|| "host".to_owned()),
        memory: limits.memory_bytes.map(signed),
        memory_swap: limits.memory_bytes.map(signed),
        pids_limit: limits.pids.map(i64::from),
        ulimits: Some(vec![ResourcesUlimits {
            name: Some("nofile".into()),
            soft: Some(signed(limits.files)),
            hard: Some(signed(limits.files)),
        }]),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(HashMap::from([
                ("max-size".into(), (MAX_LOG_BYTES / LOG_FILES).to_string()),
                ("max-file".into(), LOG_FILES.to_string()),
            ])),
        }),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::ALWAYS),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    };
    let check = &spec.health_check;
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: Some(spec.args.clone()),
        user: Some(spec.user_text()),
        working_dir: Some(super::container::DIR_INSIDE.into()),
        tty: Some(false),
        labels: Some(spec.labels.clone().into_iter().collect()),
        exposed_ports: (!publish.is_empty()).then(|| {
            let mut ports: Vec<_> = publish.iter().map(Publish::inside).collect();
            ports.dedup();
            ports
        }),
        stop_timeout: Some(signed(spec.stop_timeout.as_secs())),
        healthcheck: Some(HealthConfig {
            test: Some(std::iter::once("CMD".to_owned()).chain(check.command.iter().cloned()).collect()),
            interval: Some(nanos(check.interval)),
            timeout: Some(nanos(check.timeout)),
            retries: Some(i64::from(check.retries)),
            start_period: Some(nanos(check.start_period)),
            start_interval: None,
        }),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

/// Where a source is missing, this is an error; with the older form of [`bind`], Docker makes a directory of root's in
/// its place, in DIR, also when it starts the container again after a reboot.
fn mount(mount: &Mount) -> bollard::models::Mount {
    bollard::models::Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.display().to_string()),
        target: Some(mount.target.clone()),
        read_only: Some(!mount.writable),
        ..bollard::models::Mount::default()
    }
}

/// The older form is the only one that can label: `Z` gives the file this container's own SELinux label. The system's
/// files must keep theirs.
fn bind(mount: &Mount) -> String {
    let access = if mount.writable { "rw" } else { "ro" };
    let label = if mount.own { ",Z" } else { "" };
    format!("{}:{}:{access}{label}", mount.source.display(), mount.target)
}

fn port_bindings(publish: &[Publish]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in publish {
        bindings.entry(port.inside()).or_default().get_or_insert_default().push(PortBinding {
            host_ip: Some(port.host_address.to_string()),
            host_port: Some(port.host_port.to_string()),
        });
    }
    bindings
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
