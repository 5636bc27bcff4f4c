//! What setup checks before it changes anything.
//!
//! Every check is one line on the console and one [`Finding`], and a failed one never keeps the others from running:
//! an operator who has to ask three departments wants to know so at once. What needs no engine is in [`run_all`];
//! [`engine`] judges facts that the engine module has gathered.
//!
//! The checks read the world through [`Context`] only: the directory, `/proc`, the clock and the settings, so that tests can
//! replace each.

pub mod certificate;
pub mod clock;
pub mod endpoint;
pub mod engine;
pub mod host;
pub mod port;

use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::pki::Pair;
use crate::settings::Settings;
use crate::state::Mode;
use crate::tls::{Identity, Roots};
use std::fmt;
use std::path::Path;

/// How a check ended. The texts are whole sentences that stand for themselves on a line.
#[derive(Debug)]
pub enum Outcome {
    /// As it should be.
    Ok(String),
    /// Works for now, but someone should know.
    Warning(Error),
    /// Setup cannot go on.
    Failed(Error),
    /// Not checked, and why. The reason is another check that failed, or that there is nothing to check.
    Skipped(String),
}

impl From<Result<String, Error>> for Outcome {
    fn from(result: Result<String, Error>) -> Self {
        result.map_or_else(Self::Failed, Self::Ok)
    }
}

/// One check's result.
#[derive(Debug)]
pub struct Finding {
    /// The check's name, stable, for `--json` and tests.
    pub check: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

impl Finding {
    /// The code of a warning or failure.
    pub fn code(&self) -> Option<Code> {
        match &self.outcome {
            Outcome::Warning(error) | Outcome::Failed(error) => Some(error.code()),
            Outcome::Ok(_) | Outcome::Skipped(_) => None,
        }
    }

    /// Whether setup cannot go on.
    pub fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// The console's line: `OK - …`, `WARN - Ennn …`, `ERROR - Ennn …` or `INFO - … not checked …`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Ok(text) => write!(f, "OK - {text}"),
            Outcome::Warning(error) => write!(f, "WARN - {error}"),
            Outcome::Failed(error) => write!(f, "ERROR - {error}"),
            Outcome::Skipped(why) => write!(f, "INFO - {} not checked: {why}", self.check),
        }
    }
}

/// What the checks look at.
pub struct Context<'a> {
    /// The installation directory, absolute.
    pub dir: &'a Path,
    /// The settings as they will be used.
    pub settings: &'a Settings,
    /// Which receivers must answer: the incubator in stage mode, one concentrator at least in production mode.
    pub mode: Mode,
    /// `/proc`.
    pub proc: &'a Path,
    /// The time of day.
    pub clock: &'a dyn Clock,
    /// The effective user.
    pub uid: u32,
    /// The syslog port of this installation's own running connector; it does not count as taken.
    pub own_port: Option<u16>,
}

/// What was found, and what the checks have read on their way.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order in which they were told.
    pub findings: Vec<Finding>,
    /// The files of the client certificate and its key, where there is exactly one pair.
    pub files: Option<Pair>,
    /// The same, loaded, where they can be used.
    pub identity: Option<Identity>,
}

impl Report {
    /// How many checks failed; setup goes on only with none.
    pub fn failures(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_failure()).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Warning(_))).count()
    }

    fn tell(&mut self, told: &mut (dyn FnMut(&Finding) + Send), check: &'static str, outcome: Outcome) {
        let finding = Finding { check, outcome };
        told(&finding);
        self.findings.push(finding);
    }
}

/// Runs every check that needs no engine; `told` gets each finding as soon as it is there, in a fixed order.
///
/// Takes as long as the slowest endpoint, which has [`endpoint::TOTAL_STEPS`] times the settings' connect timeout.
pub async fn run_all(context: &Context<'_>, told: &mut (dyn FnMut(&Finding) + Send)) -> Report {
    let mut report = Report::default();
    for (check, outcome) in host::checks(context) {
        report.tell(told, check, outcome);
    }
    let (files, identity, outcomes) = certificate::checks(context);
    for (check, outcome) in outcomes {
        report.tell(told, check, outcome);
    }
    for (check, outcome) in port::checks(context) {
        report.tell(told, check, outcome);
    }

    let ca = context.settings.tls.ca_file(context.dir);
    let roots = Roots::load(ca.as_deref());
    report.tell(told, "server CAs", certificate::roots(ca.as_deref(), roots.as_ref()));
    let client = endpoint::Client::new(identity.as_ref(), roots.ok().as_ref());
    let incubator = endpoint::checks(context, &client, &mut |check, outcome| {
        report.tell(told, check, outcome);
    })
    .await;
    report.tell(told, "clock", clock::check(context, incubator).await);

    report.files = files;
    report.identity = identity;
    report
}

#[cfg(test)]
mod tests;
