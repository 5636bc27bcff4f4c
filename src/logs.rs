//! The program's own log: structured lines on standard error, and in `logs/` for the connector, rotated and bounded.
//!
//! The engine keeps the container's standard error too, but that is gone with the container; `logs/` stays.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A log file is closed and renamed at this size.
const FILE_BYTES: u64 = 4 << 20;
/// How many closed files are kept; with the open one at most 24 MiB, which is weeks of a healthy connector.
const KEPT_FILES: u32 = 5;

fn filter(verbose: u8) -> EnvFilter {
    let level = match verbose {
        0 => "warn",
        1 => "soc_connector=debug,info",
        _ => "trace",
    };
    EnvFilter::try_from_env("SOC_LOG").unwrap_or_else(|_| EnvFilter::new(level))
}

/// The log of a command: standard error, warnings only unless asked for more (`-v`, or `SOC_LOG` in tracing's syntax).
pub fn to_stderr(verbose: u8) {
    // A second call (tests in one process) keeps the first.
    let _ = tracing_subscriber::fmt().with_env_filter(filter(verbose)).with_writer(io::stderr).try_init();
}

/// The log of the connector: standard error as text and `DIR/logs/connector.log` as JSON lines, from level info on.
pub fn of_connector(dir: &Path, verbose: u8) -> io::Result<()> {
    let file = RotatingFile::open(dir.join("connector.log"))?;
    let level = if verbose == 0 {
        EnvFilter::try_from_env("SOC_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
    } else {
        filter(verbose)
    };
    let _ = tracing_subscriber::registry()
        .with(level)
        .with(tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false))
        .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(file))
        .try_init();
    Ok(())
}

/// A file that is renamed to `.1` (that one to `.2`, …) when it has grown to its bound.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    open: Mutex<(File, u64)>,
}

impl RotatingFile {
    /// Opens or creates the file for appending, mode 0600.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let open = Mutex::new(append(&path)?);
        Ok(Self { path, open })
    }

    fn write_line(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if open.1 + line.len() as u64 > FILE_BYTES {
            self.rotate()?;
            *open = append(&self.path)?;
        }
        open.0.write_all(line)?;
        open.1 += line.len() as u64;
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        let numbered = |n: u32| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        for n in (1..KEPT_FILES).rev() {
            if numbered(n).exists() {
                fs::rename(numbered(n), numbered(n + 1))?;
            }
        }
        fs::rename(&self.path, numbered(1))
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// One log line; tracing writes each event with one call.
#[derive(Debug)]
pub struct Line<'a>(&'a RotatingFile);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_line(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_never_outgrows_its_bound_and_keeps_the_newest_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = RotatingFile::open(dir.path().join("connector.log")).unwrap();
        let line = vec![b'x'; 1 << 20];
        for _ in 0..(u64::from(KEPT_FILES) + 3) * 4 {
            log.write_line(&line).unwrap();
        }
        log.write_line(b"newest").unwrap();
        let sizes: Vec<u64> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len() as u32, KEPT_FILES + 1);
        assert!(sizes.iter().all(|&size| size <= FILE_BYTES));
        assert!(fs::read(dir.path().join("connector.log")).unwrap().ends_with(b"newest"));
    }
}
