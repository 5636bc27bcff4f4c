//! States, and the table of commands allowed in them.

use crate::error::{Code, Error, Result};
use std::fmt;

/// Stage or production; each has its own receivers and its own spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Events go to the incubator.
    Stage,
    /// Events go to the concentrators.
    Production,
}

impl Mode {
    /// The word in commands, outputs and paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Production => "production",
        }
    }
}

/// Whether the container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connector {
    /// No running container.
    Stopped,
    /// A running container.
    Running,
}

/// One of the manual's five rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Setup was never done, not to its end, or was reset.
    Incomplete,
    /// Setup done.
    Complete(Mode, Connector),
}

impl fmt::Display for State {
    /// The manual's line without its `INFO - `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("Setup: incomplete Mode: - Connector: -"),
            Self::Complete(mode, connector) => {
                let connector = match connector {
                    Connector::Stopped => "stopped",
                    Connector::Running => "running",
                };
                write!(f, "Setup: complete Mode: {} Connector: {connector}", mode.name())
            }
        }
    }
}

/// A command whose permission depends on the state. Those that are always allowed (setup, status, run, incubator,
/// demo, explain, …) are not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the commands'")]
pub enum Guarded {
    Start,
    Stop,
    Test,
    Sample,
    Deploy,
    Update,
    Reset,
    Delete,
    Purge,
}

impl Guarded {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Start,
        Self::Stop,
        Self::Test,
        Self::Sample,
        Self::Deploy,
        Self::Update,
        Self::Reset,
        Self::Delete,
        Self::Purge,
    ];

    /// As typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Test => "test",
            Self::Sample => "sample",
            Self::Deploy => "deploy",
            Self::Update => "update",
            Self::Reset => "reset",
            Self::Delete => "delete",
            Self::Purge => "purge",
        }
    }

    /// Which states it needs, in the words of the status line.
    fn needs(self) -> &'static str {
        match self {
            Self::Start => "Setup: complete Connector: stopped",
            Self::Stop => "Setup: complete Connector: running",
            Self::Test | Self::Sample => "Setup: complete Mode: stage Connector: running",
            Self::Deploy => {
                "Setup: complete Mode: stage Connector: stopped, with a passed `test` since setup"
            }
            Self::Update => "Setup: complete",
            Self::Reset | Self::Delete | Self::Purge => "Connector: stopped",
        }
    }

    /// Decides. `tested` says whether `test` passed since the last setup. E104 says state found, state needed and the
    /// command that leads there.
    pub fn check(self, state: State, tested: bool) -> Result<()> {
        use Connector::{Running, Stopped};
        use Mode::{Production, Stage};
        use State::{Complete, Incomplete};
        // What to run first; nothing where the command is allowed.
        let first = match (self, state) {
            (Self::Start, Complete(_, Stopped))
            | (Self::Stop, Complete(_, Running))
            | (Self::Test | Self::Sample, Complete(Stage, Running))
            | (Self::Update, Complete(..))
            | (Self::Reset | Self::Delete | Self::Purge, Incomplete | Complete(_, Stopped)) => return Ok(()),
            (Self::Deploy, Complete(Stage, Stopped)) if tested => return Ok(()),

            (
                Self::Start | Self::Stop | Self::Test | Self::Sample | Self::Deploy | Self::Update,
                Incomplete,
            ) => "setup",
            (Self::Start, Complete(_, Running)) => {
                return Err(self.refuse(state, "it runs already; to start it anew run `stop` first"));
            }
            (Self::Stop, Complete(_, Stopped)) => {
                return Err(self.refuse(state, "there is nothing to stop; `start` starts it"));
            }
            (Self::Test | Self::Sample, Complete(Stage, Stopped)) => "start",
            (Self::Test | Self::Sample, Complete(Production, _)) => {
                return Err(self.refuse(state, "`setup` leads back to stage mode, then `start`"));
            }
            (Self::Deploy, Complete(Stage, Stopped)) => {
                return Err(
                    self.refuse(state, "`test` has not passed since setup; run `start`, `test` and `stop`")
                );
            }
            (Self::Deploy, Complete(Production, _)) => {
                return Err(self.refuse(state, "it is in production mode already"));
            }
            (Self::Deploy, Complete(Stage, Running)) if !tested => {
                return Err(self.refuse(state, "`test` has not passed since setup; run `test` and `stop`"));
            }
            (Self::Deploy | Self::Reset | Self::Delete | Self::Purge, Complete(_, Running)) => "stop",
        };
        Err(self.refuse(state, &format!("run `{first}` first")))
    }

    /// Decides for a container that runs though setup's record is gone: it can be stopped, and before that nothing may
    /// take it away. Nothing for commands that the table decides.
    pub fn check_leftover(self) -> Option<Result<()>> {
        match self {
            Self::Stop => Some(Ok(())),
            Self::Reset | Self::Delete | Self::Purge => {
                Some(Err(self.refuse(State::Incomplete, "a connector runs nevertheless; run `stop` first")))
            }
            _ => None,
        }
    }

    fn refuse(self, state: State, way: &str) -> Error {
        Error::new(
            Code::NotAllowed,
            format!(
                "`{}` is not allowed now: found \"{state}\", needs \"{}\"; {way}",
                self.name(),
                self.needs()
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Guarded::{Delete, Deploy, Purge, Reset, Sample, Start, Stop, Test, Update};

    /// A state, its line, the commands allowed there, and the way out for some of the others.
    type Row = (State, &'static str, &'static [Guarded], &'static [(Guarded, &'static str)]);

    const STAGE_STOPPED: State = State::Complete(Mode::Stage, Connector::Stopped);
    const STAGE_RUNNING: State = State::Complete(Mode::Stage, Connector::Running);
    const PRODUCTION_STOPPED: State = State::Complete(Mode::Production, Connector::Stopped);
    const PRODUCTION_RUNNING: State = State::Complete(Mode::Production, Connector::Running);

    #[test]
    fn every_command_in_every_state_is_allowed_or_told_the_way() {
        // The manual's rows, the commands allowed there (deploy only after a passed test), and for those that are not,
        // the command that leads on.
        let rows: [Row; 5] = [
            (
                State::Incomplete,
                "Setup: incomplete Mode: - Connector: -",
                &[Reset, Delete, Purge],
                &[
                    (Start, "`setup`"),
                    (Stop, "`setup`"),
                    (Test, "`setup`"),
                    (Deploy, "`setup`"),
                    (Update, "`setup`"),
                ],
            ),
            (
                STAGE_STOPPED,
                "Setup: complete Mode: stage Connector: stopped",
                &[Start, Deploy, Update, Reset, Delete, Purge],
                &[(Stop, "`start`"), (Test, "`start`"), (Sample, "`start`")],
            ),
            (
                STAGE_RUNNING,
                "Setup: complete Mode: stage Connector: running",
                &[Stop, Test, Sample, Update],
                &[
                    (Start, "`stop`"),
                    (Deploy, "`stop`"),
                    (Reset, "`stop`"),
                    (Delete, "`stop`"),
                    (Purge, "`stop`"),
                ],
            ),
            (
                PRODUCTION_STOPPED,
                "Setup: complete Mode: production Connector: stopped",
                &[Start, Update, Reset, Delete, Purge],
                &[
                    (Test, "`setup`"),
                    (Sample, "`setup`"),
                    (Deploy, "production mode already"),
                    (Stop, "`start`"),
                ],
            ),
            (
                PRODUCTION_RUNNING,
                "Setup: complete Mode: production Connector: running",
                &[Stop, Update],
                &[(Start, "`stop`"), (Test, "`setup`"), (Reset, "`stop`"), (Purge, "`stop`")],
            ),
        ];
        for (state, line, allowed, ways) in rows {
            assert_eq!(state.to_string(), line);
            for command in Guarded::ALL {
                let decided = command.check(state, true);
                assert_eq!(decided.is_ok(), allowed.contains(&command), "{command:?} in {line}");
                let Err(error) = decided else { continue };
                assert_eq!(error.code(), Code::NotAllowed);
                let what = error.what();
                assert!(
                    what.contains(&format!("found \"{line}\"")) && what.contains(command.needs()),
                    "{what}"
                );
                if let Some((_, way)) = ways.iter().find(|(named, _)| *named == command) {
                    assert!(what.contains(way), "{what}");
                }
            }
        }
        // Without setup's record a running container can be stopped, and nothing else takes it away.
        assert!(Stop.check_leftover().unwrap().is_ok());
        for command in [Reset, Delete, Purge] {
            let what = command.check_leftover().unwrap().unwrap_err().what();
            assert!(what.contains("`stop`"), "{what}");
        }
        assert!([Start, Test, Deploy, Update].iter().all(|command| command.check_leftover().is_none()));
        let untested = Deploy.check(STAGE_STOPPED, false).unwrap_err().what();
        assert!(untested.contains("`test` has not passed since setup"), "{untested}");
        let untested = Deploy.check(STAGE_RUNNING, false).unwrap_err().what();
        assert!(untested.contains("run `test` and `stop`"), "{untested}");
    }
}
