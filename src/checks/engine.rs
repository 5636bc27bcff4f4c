//! Whether the container engine is new enough and this user may use it. Pure: the engine module gathers the facts, and
//! every file is given by its content.

use super::Outcome;
use crate::error::{Code, Error, Result};
use crate::settings::{Engine, EngineKind};

/// Least major and minor version (manual, section 1.1.3).
pub fn least_version(kind: EngineKind) -> (u32, u32) {
    match kind {
        EngineKind::Podman => (3, 0),
        EngineKind::Docker => (20, 10),
    }
}

/// Subordinate ids that a user's container can need; the range that distributions give each user.
pub const SUBORDINATE_IDS: u64 = 65_536;

/// Whether the version, as the engine tells it, is new enough. One that cannot be read is a warning: it is probably
/// newer than this program.
pub fn version(kind: EngineKind, told: &str) -> Outcome {
    let (least_major, least_minor) = least_version(kind);
    let name = kind.name();
    match parse_version(told) {
        Some((major, minor)) if (major, minor) >= (least_major, least_minor) => {
            Outcome::Ok(format!("{name} {} is new enough.", told.trim()))
        }
        Some(_) => Outcome::Failed(Error::new(
            Code::EngineTooOld,
            format!("{name} {} is older than {least_major}.{least_minor}", told.trim()),
        )),
        None => Outcome::Warning(Error::new(
            Code::EngineTooOld,
            format!("{name} tells {:?} as its version; needed is {least_major}.{least_minor}", told.trim()),
        )),
    }
}

/// Major and minor of `4.3.1`, `20.10.24+dfsg1`, `v5.0.0-rc1`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let text = text.trim();
    let mut parts = text.strip_prefix('v').unwrap_or(text).split(['.', '-', '+', '~', ' ']);
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some((major, minor))
}

/// The user that rootless Podman runs as, and the files that say which ids the user may hand on.
#[derive(Debug, Clone, Copy, Default)]
pub struct SubordinateFacts<'a> {
    /// Login name.
    pub user: &'a str,
    /// User id; lines can begin with it in place of the name.
    pub uid: u32,
    /// `/etc/subuid`, where it can be read.
    pub subuid: Option<&'a str>,
    /// `/etc/subgid`, where it can be read.
    pub subgid: Option<&'a str>,
    /// `/etc/nsswitch.conf`, where it can be read.
    pub nsswitch: Option<&'a str>,
}

/// Whether the user has subordinate ids for rootless Podman: fails with none, warns with less than
/// [`SUBORDINATE_IDS`]. Where a directory service hands them out (`subid:` in nsswitch.conf), only Podman can tell.
pub fn subordinate_ids(facts: &SubordinateFacts<'_>) -> Outcome {
    if facts.nsswitch.is_some_and(elsewhere) {
        return Outcome::Skipped("subordinate ids come from where /etc/nsswitch.conf says".to_owned());
    }
    let users = facts.subuid.map_or(0, |text| granted(text, facts.user, facts.uid));
    let groups = facts.subgid.map_or(0, |text| granted(text, facts.user, facts.uid));
    if users.min(groups) >= SUBORDINATE_IDS {
        return Outcome::Ok(format!(
            "User {} has {users} subordinate user ids, {groups} group ids.",
            facts.user
        ));
    }
    let error = Error::new(
        Code::SubordinateIdsMissing,
        format!(
            "user {user} has {users} subordinate user ids and {groups} group ids, {SUBORDINATE_IDS} are usual; as \
             root run `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}` with a range that \
             /etc/subuid and /etc/subgid give to nobody else",
            user = facts.user
        ),
    );
    if users.min(groups) == 0 { Outcome::Failed(error) } else { Outcome::Warning(error) }
}

/// Ids that the lines `user:first:count` (subuid(5)) give to this user, by name or number.
pub fn granted(text: &str, user: &str, uid: u32) -> u64 {
    let uid = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let (who, first, count) = (fields.next()?, fields.next()?, fields.next()?);
            first.parse::<u32>().ok()?;
            (who == user || who == uid).then(|| count.parse::<u32>().ok().map(u64::from))?
        })
        .sum()
}

/// Whether nsswitch.conf has a source of subordinate ids other than the files.
fn elsewhere(nsswitch: &str) -> bool {
    nsswitch
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().strip_prefix("subid:"))
        .any(|sources| sources.split_whitespace().any(|source| source != "files"))
}

/// Whether this user may use the engine. `docker_group` says whether the process is in the group that owns Docker's
/// socket. Podman needs no more than subordinate ids. Whether sudo works is seen when it is used.
pub fn access(engine: &Engine, uid: u32, docker_group: bool) -> Result<String> {
    let name = engine.kind.name();
    if uid == 0 {
        return Ok(format!("root may use {name}."));
    }
    if engine.sudo {
        return Ok(format!("{name} is used through sudo."));
    }
    match engine.kind {
        EngineKind::Podman => Ok(format!("podman is used rootless, by user {uid}.")),
        EngineKind::Docker if docker_group => Ok(format!("User {uid} is in the group docker.")),
        EngineKind::Docker => Err(Error::new(
            Code::EngineNoAccess,
            format!("user {uid} is not in the group docker, and sudo is not to be used"),
        )),
    }
}

/// Whether one of the process's groups is called `docker` in `/etc/group` (group(5)).
pub fn in_docker_group(group_file: &str, process_gids: &[u32]) -> bool {
    group_file.lines().filter_map(|line| line.strip_prefix("docker:")).any(|rest| {
        rest.split(':').nth(1).and_then(|gid| gid.parse().ok()).is_some_and(|gid| process_gids.contains(&gid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Ok(_) => "ok",
            Outcome::Warning(_) => "warning",
            Outcome::Failed(_) => "failed",
            Outcome::Skipped(_) => "skipped",
        }
    }

    #[test]
    fn versions_from_the_manuals_least_on_are_new_enough() {
        use EngineKind::{Docker, Podman};
        for (engine, told, expected) in [
            (Podman, "4.3.1", "ok"),
            (Podman, "3.4.2", "ok"),
            (Podman, "3.0.0", "ok"),
            (Podman, "3.0.0-rc2", "ok"),
            (Podman, "2.2.1", "failed"),
            (Podman, "10.0", "ok"),
            (Podman, "v5.0.0-dev", "ok"),
            (Docker, "20.10.24+dfsg1", "ok"),
            (Docker, "20.10.5\n", "ok"),
            (Docker, "20.9.99", "failed"),
            (Docker, "19.03.15", "failed"),
            (Docker, "27.3.1-ce", "ok"),
            (Docker, "master", "warning"),
            (Docker, "", "warning"),
            (Docker, "20", "warning"),
        ] {
            assert_eq!(kind(&version(engine, told)), expected, "{engine:?} {told:?}");
        }
    }

    #[test]
    fn subordinate_ids_are_summed_by_name_and_number() {
        let file =
            "# a comment\nroot:1:5\nsoc:100000:65536\n1000:300000:10\nsocx:1:1\nsoc:1\nsoc:x:7\nsoc:1:x\n\n";
        assert_eq!(granted(file, "soc", 1000), 65_546);
        assert_eq!(granted(file, "soc", 1), 65_536);
        assert_eq!(granted(file, "nobody", 65_534), 0);
        assert_eq!(granted("soc:0:4294967295\nsoc:0:4294967295", "soc", 1), 2 * u64::from(u32::MAX));
    }

    #[test]
    fn rootless_podman_needs_ranges_of_both_kinds() {
        let all = "soc:100000:65536";
        for (subuid, subgid, nsswitch, expected) in [
            (Some(all), Some(all), None, "ok"),
            (Some(all), Some(all), Some("passwd: files sss\n#subid: sss"), "ok"),
            (Some(all), None, None, "failed"),
            (None, None, None, "failed"),
            (Some(all), Some("other:100000:65536"), None, "failed"),
            (Some(all), Some("soc:100000:1000"), None, "warning"),
            (None, None, Some("subid: files"), "failed"),
            (None, None, Some("subid: sss"), "skipped"),
        ] {
            let facts = SubordinateFacts { user: "soc", uid: 1000, subuid, subgid, nsswitch };
            assert_eq!(kind(&subordinate_ids(&facts)), expected, "{facts:?}");
        }
    }

    #[test]
    fn docker_needs_root_sudo_or_its_group() {
        let podman = Engine::default();
        let docker = Engine { kind: EngineKind::Docker, ..Engine::default() };
        let sudo = Engine { sudo: true, ..docker.clone() };
        for (engine, uid, group, allowed) in [
            (&podman, 1000, false, true),
            (&docker, 0, false, true),
            (&sudo, 1000, false, true),
            (&docker, 1000, true, true),
            (&docker, 1000, false, false),
        ] {
            let result = access(engine, uid, group);
            assert_eq!(result.is_ok(), allowed, "{engine:?}");
            assert!(result.err().is_none_or(|error| error.code() == Code::EngineNoAccess));
        }
        let file = "root:x:0:\ndockerx:x:5:\ndocker:x:998:soc\n";
        assert!(in_docker_group(file, &[100, 998]));
        assert!(
            !in_docker_group(file, &[5]),
            "a process that was begun before it joined has to be begun anew"
        );
        assert!(!in_docker_group("", &[998]));
    }
}
