//! `setup`: checks every prerequisite, gets the image, writes conf/ and setup/ (manual 1.4).
//!
//! All checks run before anything stops, each with a line of its own. Nothing that was set up before changes until
//! every check has passed: a failed setup leaves a running connector running.

use super::{Session, block_on, by_owner};
use crate::checks::{self, Finding, Outcome};
use crate::clock::SystemClock;
use crate::console::{self, Console};
use crate::engine::{self, Engine, Progress, image::Image, network::NetworkPlan, reboot};
use crate::error::{Code, Error, Result};
use crate::install::{self, Install};
use crate::settings::{self, Change, Changes, EngineKind, Network, Settings};
use crate::state::store::{self, Record};
use crate::state::{Connector, Mode, images};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Settings that can be given on the command line. What is not given stays as the settings file has it.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Use Docker as container engine
    #[arg(long)]
    pub docker: bool,
    /// Use Podman as container engine (the default)
    #[arg(long, conflicts_with = "docker")]
    pub podman: bool,
    /// Reach the engine through sudo, as an ordinary user
    #[arg(long)]
    pub sudo: bool,
    /// Reach the engine without sudo (the default)
    #[arg(long, conflicts_with = "sudo")]
    pub no_sudo: bool,
    /// Port for syslog over UDP and TCP; one below 1024 needs --sudo or root
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub syslog_port: Option<u16>,
    /// Network of the container; auto keeps the senders' addresses
    #[arg(long, value_enum)]
    pub network: Option<Network>,
    /// Pull this image instead of making one from this program
    #[arg(long, value_name = "REF", conflicts_with_all = ["image_file", "own_image"])]
    pub image: Option<String>,
    /// Load this archive instead, as `image save` or the engine's own `save` writes it; it is used from then on
    #[arg(long, value_name = "FILE", conflicts_with = "own_image")]
    pub image_file: Option<PathBuf>,
    /// Make the image from this program (the default)
    #[arg(long)]
    pub own_image: bool,
    /// CA certificates that servers are checked against, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<String>,
    /// Name of this installation, first part of every event's connector.id
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,
}

impl Options {
    /// Whether the image of an archive that was given before stays.
    fn keeps_loaded(&self) -> bool {
        !self.own_image && self.image.is_none() && self.image_file.is_none()
    }

    fn changes(&self) -> Changes {
        let choice = |yes: bool, no: bool| match (yes, no) {
            (true, _) => Change::Set(true),
            (_, true) => Change::Set(false),
            _ => Change::Keep,
        };
        Changes {
            id: self.id.clone().into(),
            engine: match (self.docker, self.podman) {
                (true, _) => Change::Set(EngineKind::Docker),
                (_, true) => Change::Set(EngineKind::Podman),
                _ => Change::Keep,
            },
            sudo: choice(self.sudo, self.no_sudo),
            network: self.network.into(),
            image: if self.own_image || self.image_file.is_some() {
                Change::Unset
            } else {
                self.image.clone().into()
            },
            syslog_port: self.syslog_port.into(),
            ca: self.ca.clone().into(),
        }
    }
}

/// Runs setup.
pub fn exec(dir: &Path, console: Console, options: &Options) -> Result<()> {
    block_on(async {
        let install = Install::open(dir)?;
        // What another user, root too, writes there its owner could not read.
        by_owner(&install)?;
        let lock = install.lock("setup")?;
        install.create_layout()?;
        let settings = settings::prepare(&install, &options.changes())?;
        console.ok(format_args!("The settings are in {}.", install.settings_file().display()));

        let mut failures = 0;
        let mut tell = |finding: &Finding| failures += u32::from(show(console, finding));
        // A record that cannot be read is what setup is the remedy for.
        let record = store::load(&install).unwrap_or_default();
        let loaded = record.as_ref().and_then(|record| record.loaded.clone());
        let loaded = loaded.filter(|_| options.keeps_loaded() && settings.engine.image.is_none());
        for finding in engine_access(&settings.engine) {
            tell(&finding);
        }
        let session = match engine::connect(&settings.engine, &install).await {
            Ok(engine) => {
                let opened = Session::with_engine(
                    install.clone(),
                    console,
                    Some(lock),
                    record,
                    settings.clone(),
                    engine,
                )
                .await;
                opened
                    .map_err(|error| tell(&Finding { check: "engine", outcome: Outcome::Failed(error) }))
                    .ok()
            }
            Err(error) => {
                tell(&Finding { check: "engine", outcome: Outcome::Failed(error) });
                None
            }
        };
        let before = settings::load_accepted(&install).ok();
        let former = match &before {
            Some(before) if place(&before.engine) != place(&settings.engine) => {
                former_connector(&install, console, before, &mut tell).await
            }
            _ => None,
        };
        let mut plan = None;
        if let Some(session) = &session {
            match session.engine.info().await {
                Ok(info) => {
                    let outcome = checks::engine::version(info.kind, &info.version);
                    tell(&Finding { check: "engine version", outcome });
                    let user = install::user_name(rustix::process::geteuid().as_raw());
                    let facts = reboot::probe(info.kind, info.rootless, &user).await;
                    for missing in reboot::missing(info.kind, info.rootless, &user, facts) {
                        console.warn(missing);
                    }
                }
                Err(error) => tell(&Finding { check: "engine", outcome: Outcome::Failed(error) }),
            }
            plan = session.check_network(&mut tell).await;
        }
        let context = checks::Context {
            dir: install.dir(),
            settings: &settings,
            mode: Mode::Stage,
            proc: Path::new("/proc"),
            clock: &SystemClock,
            uid: rustix::process::geteuid().as_raw(),
            // It has the port of the settings it was started with, not of those that are being checked.
            own_port: [session.as_ref(), former.as_ref()]
                .into_iter()
                .flatten()
                .any(Session::running)
                .then(|| before.as_ref().unwrap_or(&settings).listener.syslog_port),
        };
        checks::run_all(&context, &mut tell).await;

        let mut image = None;
        if let Some(session) = &session {
            match session.image_for(loaded.as_deref(), options.image_file.as_deref()).await {
                Ok(got) => image = Some(got),
                Err(error) => tell(&Finding { check: "image", outcome: Outcome::Failed(error) }),
            }
        }
        match (session, plan, image, failures) {
            (Some(session), Some(plan), Some((image, is_loaded)), 0) => {
                if let Some(former) = &former {
                    former.stop_connector().await?;
                }
                session.complete(&image, is_loaded, &plan).await
            }
            _ => Err(Error::new(Code::ChecksFailed, format!("setup is not done: {failures} checks failed"))),
        }
    })?
}

/// What tells one place of containers from another: Podman has one for each user, Docker's daemon has one for all.
fn place(engine: &settings::Engine) -> (EngineKind, bool) {
    let root = engine.sudo && rustix::process::geteuid().as_raw() != 0;
    (engine.kind, engine.kind == EngineKind::Podman && root)
}

/// The container that is left in the engine used before; nobody would ever stop it once setup has named another engine.
async fn former_connector(
    install: &Install,
    console: Console,
    before: &Settings,
    tell: &mut impl FnMut(&Finding),
) -> Option<Session> {
    let look = async {
        let engine = engine::connect(&before.engine, install).await?;
        Session::with_engine(install.clone(), console, None, None, before.clone(), engine).await
    };
    match look.await {
        Ok(session) => session.container.is_some().then_some(session),
        // It may have been uninstalled, which is a reason to change engines.
        Err(error) => {
            tell(&Finding { check: "former engine", outcome: Outcome::Warning(error) });
            None
        }
    }
}

/// Whether this user can use the engine at all, as far as files tell.
fn engine_access(wanted: &settings::Engine) -> Vec<Finding> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let uid = rustix::process::geteuid().as_raw();
    let groups: Vec<u32> = rustix::process::getgroups()
        .unwrap_or_default()
        .into_iter()
        .map(rustix::process::Gid::as_raw)
        .collect();
    let docker_group = read("/etc/group").is_some_and(|file| checks::engine::in_docker_group(&file, &groups));
    let access = checks::engine::access(wanted, uid, docker_group).into();
    let mut findings = vec![Finding { check: "engine access", outcome: access }];
    if wanted.kind == EngineKind::Podman && !wanted.sudo && uid != 0 {
        let outcome = checks::engine::subordinate_ids(&checks::engine::SubordinateFacts {
            user: &install::user_name(uid),
            uid,
            subuid: read("/etc/subuid").as_deref(),
            subgid: read("/etc/subgid").as_deref(),
            nsswitch: read("/etc/nsswitch.conf").as_deref(),
        });
        findings.push(Finding { check: "subordinate ids", outcome });
    }
    findings
}

/// Prints a finding. A failure is printed with its cause and remedy, and returned to be counted.
pub(super) fn show(console: Console, finding: &Finding) -> bool {
    if console.is_json() {
        console.value(&as_json(finding));
        return finding.is_failure();
    }
    match &finding.outcome {
        Outcome::Ok(text) => console.ok(text),
        Outcome::Skipped(why) => console.info(format_args!("{} not checked: {why}", finding.check)),
        Outcome::Warning(error) => console.warn_error(error),
        Outcome::Failed(error) => console.error(error),
    }
    finding.is_failure()
}

/// With the check's name, by which a program knows it.
fn as_json(finding: &Finding) -> Value {
    let mut object = match &finding.outcome {
        Outcome::Ok(text) => json!({ "level": "OK", "message": text }),
        Outcome::Skipped(why) => json!({ "level": "INFO", "message": format!("not checked: {why}") }),
        Outcome::Warning(error) => console::problem("WARN", error),
        Outcome::Failed(error) => console::problem("ERROR", error),
    };
    object["check"] = finding.check.into();
    object
}

impl<E: Engine> Session<E> {
    async fn check_network(&self, tell: &mut impl FnMut(&Finding)) -> Option<NetworkPlan> {
        let outcome = match self.network_plan().await {
            Ok(plan) => {
                let why = match self.settings.engine.network {
                    Network::Auto => "it keeps the senders' addresses",
                    _ => "as the settings say",
                };
                let text = format!("The container's network is \"{}\": {why}.", plan.attachment.name());
                tell(&Finding { check: "network", outcome: Outcome::Ok(text) });
                for remark in &plan.remarks {
                    self.console.warn(remark);
                }
                return Some(plan);
            }
            Err(error) => Outcome::Failed(error),
        };
        tell(&Finding { check: "network", outcome });
        None
    }

    /// The image, and whether an archive brought it, now or before.
    async fn image_for(&self, loaded: Option<&str>, file: Option<&Path>) -> Result<(String, bool)> {
        if let Some(id) = loaded
            && let Some(id) = self.loaded_image(id).await?
        {
            return Ok((id, true));
        }
        Ok((self.get_image(file).await?, file.is_some()))
    }

    /// The image that an archive brought before, where this engine has it.
    async fn loaded_image(&self, id: &str) -> Result<Option<String>> {
        if self.engine.image(id).await?.is_none() {
            self.console.warn(format_args!(
                "the engine does not have the image {id}, which an archive brought; `--image-file` gives it once more"
            ));
            return Ok(None);
        }
        self.console.ok(format_args!(
            "The engine has the image {id}, which an archive brought; `--own-image` makes one from this program."
        ));
        Ok(Some(id.to_owned()))
    }

    /// Gets the image, and remembers it for `purge`. Returns its id.
    pub(super) async fn get_image(&self, file: Option<&Path>) -> Result<String> {
        let id = self.bring_image(file).await?;
        images::remember(&self.install, &id)?;
        Ok(id)
    }

    /// From an archive, from a registry, or made from this very program.
    async fn bring_image(&self, file: Option<&Path>) -> Result<String> {
        let console = self.console;
        let mut shown = 0;
        // A line for each tenth is enough for a log and soon enough for a person.
        let mut progress = |progress: Progress| {
            if let Some(total) = progress.total_bytes.filter(|&total| total > 0) {
                let tenth = progress.done_bytes * 10 / total;
                if tenth > shown {
                    shown = tenth;
                    let step = if progress.step.is_empty() { "loading" } else { &progress.step };
                    console.info(format_args!("image: {step} {} %", tenth * 10));
                }
            }
        };
        if let Some(file) = file {
            let image = Image::load_file(file)?;
            console.info(format_args!("image: loading {} ...", file.display()));
            return self.engine.load_image(image.archive, &mut progress).await;
        }
        if let Some(reference) = &self.settings.engine.image {
            console.info(format_args!("image: pulling {reference} ..."));
            return self.engine.pull_image(reference, &mut progress).await;
        }
        let own = Image::of_this_program()?;
        if let Some(image) = self.engine.image(&own.id).await? {
            console.ok(format_args!("The engine has the image {} already.", image.id));
            return Ok(image.id);
        }
        console.info("image: making it from this program ...");
        let id = self.engine.load_image(own.archive, &mut progress).await?;
        console.ok(format_args!("The engine has the image {id}."));
        Ok(id)
    }

    /// Everything is checked: stops what runs, and writes what setup found.
    async fn complete(&self, image: &str, is_loaded: bool, plan: &NetworkPlan) -> Result<()> {
        if self.container.is_some() {
            self.stop_connector().await?;
        }
        // Until the last file is written, setup counts as not done.
        store::clear(&self.install)?;
        let settings = std::fs::read(self.install.settings_file()).map_err(|error| {
            Error::new(Code::SettingsUnreadable, "the settings file cannot be read back").caused_by(error)
        })?;
        install::write_atomically(&self.install.accepted_settings_file(), &settings)?;
        let record = Record {
            version: store::VERSION,
            mode: Mode::Stage,
            tested: false,
            setup_due: false,
            image: image.to_owned(),
            loaded: is_loaded.then(|| image.to_owned()),
            network: plan.attachment.name().to_owned(),
            container: self.container_name(),
            completed: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        };
        store::save(&self.install, &record)?;
        self.tell_backlog();
        self.console.info(record.state(Connector::Stopped));
        self.console.ok("SOC-Connector setup completed!");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_every_finding_with_the_name_of_its_check() {
        let error = || Error::new(Code::PortBusy, "UDP port 514 is taken");
        for (outcome, level, code) in [
            (Outcome::Ok("Free.".to_owned()), "OK", Value::Null),
            (Outcome::Skipped("no engine".to_owned()), "INFO", Value::Null),
            (Outcome::Warning(error()), "WARN", "E411".into()),
            (Outcome::Failed(error()), "ERROR", "E411".into()),
        ] {
            let object = as_json(&Finding { check: "UDP port", outcome });
            assert_eq!((&object["check"], &object["level"]), (&"UDP port".into(), &level.into()));
            assert_eq!(object["code"], code);
            assert!(object["message"].is_string(), "{object}");
        }
    }

    #[test]
    fn podman_through_sudo_is_another_place_and_docker_through_sudo_is_not() {
        let of = |kind, sudo| place(&settings::Engine { kind, sudo, ..settings::Engine::default() });
        let root = rustix::process::geteuid().is_root();
        assert_eq!(of(EngineKind::Podman, true) == of(EngineKind::Podman, false), root);
        assert_eq!(of(EngineKind::Docker, true), of(EngineKind::Docker, false));
        assert_ne!(of(EngineKind::Docker, false), of(EngineKind::Podman, false));
    }
}
