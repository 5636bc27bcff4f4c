//! What an operator reads: one line per fact, each beginning with its kind, on standard output; errors on standard
//! error with their cause and remedy.
//!
//! With `--json` every line is one JSON object instead, for programs. Text that came from outside (a log message, a
//! device's name) passes [`printable`] on its way to a terminal.

use crate::error::Error;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

/// Where console lines go. Copies share the same standard streams.
#[derive(Debug, Clone, Copy, Default)]
pub struct Console {
    json: bool,
}

impl Console {
    /// A console that writes text, or JSON objects.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether `--json` was given.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// `INFO - …`
    pub fn info(self, message: impl Display) {
        self.line("INFO", &message);
    }

    /// `OK - …`
    pub fn ok(self, message: impl Display) {
        self.line("OK", &message);
    }

    /// `WARN - …`
    pub fn warn(self, message: impl Display) {
        self.line("WARN", &message);
    }

    /// `WARN - Ennn …` with the remedy on the next line.
    pub fn warn_error(self, error: &Error) {
        if self.json {
            Self::problem("WARN", error);
        } else {
            out(&format!(
                "WARN - {}\n       remedy: {}",
                printable(&error.to_string()),
                error.code().remedy()
            ));
        }
    }

    /// `ERROR - Ennn …` with cause and remedy on the next lines.
    pub fn error(self, error: &Error) {
        if self.json {
            Self::problem("ERROR", error);
        } else {
            let text = format!(
                "ERROR - {}\n        cause: {}\n        remedy: {}",
                printable(&error.to_string()),
                error.code().cause(),
                error.code().remedy()
            );
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// One JSON value as it is; what a program asked for with `--json`.
    pub fn value(self, value: &Value) {
        out(&value.to_string());
    }

    /// A line whose text is [`printable`] already, with colours of our own in it.
    pub fn painted(self, line: &str) {
        out(line);
    }

    fn line(self, level: &str, message: &dyn Display) {
        let message = message.to_string();
        if self.json {
            out(&json!({ "level": level, "message": message }).to_string());
        } else {
            out(&format!("{level} - {}", printable(&message)));
        }
    }

    fn problem(level: &str, error: &Error) {
        out(&problem(level, error).to_string());
    }
}

/// An error as it is told to programs.
pub fn problem(level: &str, error: &Error) -> Value {
    let code = error.code();
    json!({
        "level": level, "code": code.to_string(), "message": error.what(),
        "cause": code.cause(), "remedy": code.remedy(),
    })
}

/// Writes one line; a reader that went away (`| head`) is not an error of ours.
fn out(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}");
    let _ = stdout.flush();
}

/// Replaces what could steer a terminal: control characters but for newline and tab, in both ASCII and C1 ranges.
pub fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_cannot_reach_a_terminal() {
        assert_eq!(printable("plain\ttext\nline"), "plain\ttext\nline");
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c"), "a\\u{1b}[2Jb\\u{9b}c");
    }
}
