//! Whether the container comes back after a reboot, and what is missing for that.
//!
//! Docker's daemon restarts containers by itself, where it is enabled. Podman has no daemon: `podman-restart.service`
//! starts those whose policy is `always`, for root in the system's systemd and for an ordinary user in that user's own,
//! which runs without a login only where lingering is enabled (`loginctl enable-linger`).

use crate::settings::EngineKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What the answer depends on. A fact that could not be found out is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// systemd runs this machine.
    pub systemd: bool,
    /// The unit that matters is enabled: `docker.service`, or `podman-restart.service` of root or of the user.
    pub unit_enabled: Option<bool>,
    /// The user's systemd runs without a login.
    pub lingers: Option<bool>,
}

/// What an operator has to do so that the container comes back; nothing where all is well or cannot be known.
pub fn missing(kind: EngineKind, rootless: bool, user: &str, facts: Facts) -> Vec<String> {
    if !facts.systemd {
        return vec![
            "this machine has no systemd: after a reboot run `soc-connector start` from its start-up scripts"
                .into(),
        ];
    }
    let mut missing = Vec::new();
    if facts.unit_enabled == Some(false) {
        missing.push(match (kind, rootless) {
            (EngineKind::Docker, _) => {
                "after a reboot Docker does not start by itself: `systemctl enable docker.service`".into()
            }
            (EngineKind::Podman, false) => "after a reboot Podman does not start the container again: \
                                            `sudo systemctl enable podman-restart.service`"
                .into(),
            (EngineKind::Podman, true) => "after a reboot Podman does not start the container again: \
                                           `systemctl --user enable podman-restart.service`"
                .into(),
        });
    }
    if kind == EngineKind::Podman && rootless && facts.lingers == Some(false) {
        missing.push(format!(
            "the container ends when {user} logs out and does not come back after a reboot: `loginctl enable-linger {user}`"
        ));
    }
    missing
}

/// Finds the facts out, within seconds.
pub async fn probe(kind: EngineKind, rootless: bool, user: &str) -> Facts {
    // What `sd_booted(3)` looks at.
    let systemd = Path::new("/run/systemd/system").is_dir();
    if !systemd {
        return Facts { systemd, unit_enabled: None, lingers: None };
    }
    let unit = match kind {
        EngineKind::Docker => "docker.service",
        EngineKind::Podman => "podman-restart.service",
    };
    let mut arguments = vec!["is-enabled", unit];
    if rootless {
        arguments.insert(0, "--user");
    }
    let unit_enabled = match word("systemctl", &arguments).await.as_deref() {
        Some("enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "linked") => Some(true),
        Some("disabled" | "masked" | "not-found") => Some(false),
        _ => None,
    };
    let lingers = if rootless {
        // The file is what `loginctl enable-linger` makes.
        Some(Path::new("/var/lib/systemd/linger").join(user).exists())
    } else {
        None
    };
    Facts { systemd, unit_enabled, lingers }
}

/// How long `systemctl` may take.
const ASKING: Duration = Duration::from_secs(5);

/// What a program says, whatever its exit status: `is-enabled` says "disabled" and exits with 1.
async fn word(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    // `su` leaves it unset, and `systemctl --user` finds its way by it.
    if let Some(dir) = super::connect::runtime_dir(rustix::process::geteuid().as_raw()) {
        command.env("XDG_RUNTIME_DIR", dir);
    }
    let output = tokio::time::timeout(ASKING, command.output()).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_piece_is_named_with_its_command() {
        let facts = |unit, lingers| Facts { systemd: true, unit_enabled: unit, lingers };
        let none: &[&str] = &[];
        for (kind, rootless, facts, wanted) in [
            (EngineKind::Podman, true, facts(Some(true), Some(true)), none),
            (EngineKind::Podman, true, facts(Some(false), Some(true)), &["--user enable podman-restart"]),
            (EngineKind::Podman, true, facts(Some(true), Some(false)), &["enable-linger soc"]),
            (
                EngineKind::Podman,
                true,
                facts(Some(false), Some(false)),
                &["--user enable podman-restart", "enable-linger soc"],
            ),
            (EngineKind::Podman, false, facts(Some(false), None), &["sudo systemctl enable podman-restart"]),
            (EngineKind::Docker, false, facts(Some(false), None), &["systemctl enable docker.service"]),
            (EngineKind::Docker, false, facts(None, None), none),
            (
                EngineKind::Podman,
                true,
                Facts { systemd: false, unit_enabled: None, lingers: None },
                &["no systemd"],
            ),
        ] {
            let said = missing(kind, rootless, "soc", facts);
            assert_eq!(said.len(), wanted.len(), "{said:?}");
            for (said, wanted) in said.iter().zip(wanted) {
                assert!(said.contains(wanted), "{said}");
            }
        }
    }
}
