//! The settings file in the installation directory.

use super::{Change, Changes, Settings, TEMPLATE, edit, load_accepted, load_old, parse};
use crate::error::{Code, Error, Result};
use crate::install::{self, Install};
use crate::state::Mode;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;

/// Bytes of a random id: enough that no two installations ever meet.
const RANDOM_ID_BYTES: usize = 8;

/// Largest settings file in bytes. The template has about twelve thousand; a larger file is a mistaken one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads the settings. E121 where there is no readable file, E122 where something in it is wrong or no id is set.
pub fn load(install: &Install) -> Result<Settings> {
    let path = install.settings_file();
    let text = read(&path)?.ok_or_else(|| {
        Error::new(
            Code::SettingsUnreadable,
            format!("{} does not exist; run `setup`, which writes it", path.display()),
        )
    })?;
    let settings = parse(&text, &path)?;
    if settings.connector.id.is_empty() {
        return Err(Error::new(
            Code::SettingsInvalid,
            format!("{}:1: connector.id is not set; run `setup`, which sets it", path.display()),
        ));
    }
    Ok(settings)
}

/// The settings as the file that people edit has them now, also before setup has accepted them or given an id; the
/// defaults where there is no file. E121 where it cannot be read, E122 where something in it is wrong.
pub fn load_edited(install: &Install) -> Result<Settings> {
    let path = install.settings_file();
    read(&path)?.map_or_else(|| Ok(Settings::default()), |text| parse(&text, &path))
}

/// Setup's part: reads the file, or begins with the template where there is none, applies the options, gives the
/// installation an id where it has none, and writes the file where that changed it. Nothing is written where
/// anything is wrong (E121, E122). conf/ must exist.
///
/// The id is a new one, or, where events wait, that of the settings that were accepted last or that `reset` put aside: a
/// receiver knows an event that comes twice by its id and number, and the numbers go on.
pub fn prepare(install: &Install, changes: &Changes) -> Result<Settings> {
    let path = install.settings_file();
    let old = read(&path)?;
    let mut text = edit(old.as_deref().unwrap_or(&TEMPLATE), changes, &path)?;
    let mut settings = parse(&text, &path)?;
    if settings.connector.id.is_empty() {
        let id = id_of_kept_events(install).unwrap_or_else(random_id);
        let changes = Changes { id: Change::Set(id), ..Changes::default() };
        text = edit(&text, &changes, &path)?;
        settings = parse(&text, &path)?;
    }
    if old.as_ref() != Some(&text) {
        install::write_atomically(&path, text.as_bytes())?;
    }
    Ok(settings)
}

fn read(path: &Path) -> Result<Option<String>> {
    let unreadable = |what: &str| Error::new(Code::SettingsUnreadable, format!("{} {what}", path.display()));
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable("cannot be read").caused_by(error)),
        Ok(metadata) if !metadata.is_file() => return Err(unreadable("is not a file")),
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
            return Err(unreadable("is larger than 1 MiB, so it is no settings file"));
        }
        Ok(_) => {}
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable("cannot be read").caused_by(error))?;
    String::from_utf8(bytes).map(Some).map_err(|error| unreadable("is not UTF-8 text").caused_by(error))
}

fn id_of_kept_events(install: &Install) -> Option<String> {
    let has_events =
        |mode| std::fs::read_dir(install.spool_dir(mode)).is_ok_and(|mut dir| dir.next().is_some());
    let is_kept = [Mode::Stage, Mode::Production].into_iter().any(has_events);
    let former = load_accepted(install).ok().or_else(|| load_old(install));
    former.filter(|_| is_kept).map(|former| former.connector.id).filter(|id| !id.is_empty())
}

fn random_id() -> String {
    let mut bytes = [0; RANDOM_ID_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).expect("the kernel's random numbers are always there");
    bytes.iter().fold(String::new(), |mut id, byte| {
        write!(id, "{byte:02x}").expect("a String takes everything");
        id
    })
}
