//! The one error type: a stable code, what happened, and through the catalogue its cause and remedy.

mod catalogue;

pub use catalogue::Code;

use std::fmt;

/// The result of everything that can fail for an operator.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the operator's terms. The code's cause and remedy come from the catalogue.
#[derive(Debug)]
pub struct Error {
    code: Code,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with this code; `what` says in one sentence, with names and values, what happened here.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), source: None }
    }

    /// The same with the library's or system's own error behind it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What happened, with every underlying error appended, without the code.
    pub fn what(&self) -> String {
        let mut text = self.what.clone();
        let mut source = self.source.as_deref().map(|s| s as &dyn std::error::Error);
        while let Some(error) = source {
            let part = error.to_string();
            // Many libraries repeat their source in their own text.
            if !text.contains(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            source = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.what())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}
