//! The client certificate and its key in the installation directory (manual, section 1.3.2).

use super::{Context, Outcome};
use crate::clock::UnixMicros;
use crate::error::{Code, Error, Result};
use crate::pki::Pair;
use crate::tls::{Facts, Identity, Roots};
use chrono::DateTime;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A certificate that ends within so many days is warned of. A new one is made by people, who can be on holiday.
pub const WARN_DAYS: i64 = 30;

const DAY_MICROS: i64 = 24 * 3600 * 1_000_000;

/// The permission bits of group and others.
const OTHERS: u32 = 0o077;

/// Finds the one pair of files, checks both, and loads them.
pub(super) fn checks(
    context: &Context<'_>,
) -> (Option<Pair>, Option<Identity>, Vec<(&'static str, Outcome)>) {
    let ca = context.settings.tls.ca_file(context.dir);
    let mut outcomes = Vec::new();
    let files = match find(context.dir, ca.as_deref()) {
        Ok(files) => {
            let names = [&files.certificate, &files.key].map(|path| file_name(path));
            outcomes.push((
                "certificate files",
                Outcome::Ok(format!("{} and {} are there.", names[0], names[1])),
            ));
            files
        }
        Err(error) => {
            outcomes.push(("certificate files", Outcome::Failed(error)));
            return (None, None, outcomes);
        }
    };
    outcomes.push(("key protection", protection(&files.key).into()));
    let identity = match Identity::load(&files.certificate, &files.key) {
        Ok(identity) => identity,
        Err(error) => {
            outcomes.push(("certificate and key", Outcome::Failed(error)));
            return (Some(files), None, outcomes);
        }
    };
    match identity.facts() {
        Ok(facts) => {
            let name = facts.subject_cn.as_deref().unwrap_or(&facts.subject);
            let belong = format!("Certificate of \"{name}\" and key belong together.");
            outcomes.push(("certificate and key", Outcome::Ok(belong)));
            outcomes.push(("certificate validity", validity(&facts, context.clock.now())));
            outcomes.push(("certificate use", client_use(&facts).into()));
            outcomes.push(("certificate issuer", issuer(&facts, &context.settings.tls.issuer).into()));
        }
        Err(error) => outcomes.push(("certificate and key", Outcome::Failed(error))),
    }
    (Some(files), Some(identity), outcomes)
}

/// The one `*-cert.pem` and the one `*-key.pem` directly in DIR. A CA file that the settings name is not taken for a
/// client's, whatever its name. E232 where there is none, E233 where there are several, which it names.
pub fn find(dir: &Path, ca: Option<&Path>) -> Result<Pair> {
    let unreadable = |error: std::io::Error| {
        Error::new(Code::DirUnusable, format!("{} cannot be read", dir.display())).caused_by(error)
    };
    let ca = ca.and_then(|ca| ca.canonicalize().ok());
    let (mut certificates, mut keys) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = file_name(&path);
        // A dangling link stays in: reading it will say what is wrong with it.
        if path.is_dir() || (ca.is_some() && path.canonicalize().ok() == ca) {
            continue;
        }
        if name.ends_with("-cert.pem") {
            certificates.push(path);
        } else if name.ends_with("-key.pem") {
            keys.push(path);
        }
    }
    let one = |mut found: Vec<PathBuf>, what: &str, pattern: &str| match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::new(
            Code::CertificateMissing,
            format!("no {what} ({pattern}) is in {}", dir.display()),
        )),
        _ => {
            found.sort();
            let names: Vec<_> = found.iter().map(|path| file_name(path)).collect();
            Err(Error::new(
                Code::CertificateAmbiguous,
                format!("several files in {} could be the {what}: {}", dir.display(), names.join(", ")),
            ))
        }
    };
    // Where both are amiss, the operator copies or sorts both anyway: the certificate's message suffices.
    let certificate = one(certificates, "client certificate", "*-cert.pem")?;
    let key = one(keys, "private key", "*-key.pem")?;
    Ok(Pair { certificate, key })
}

/// Nobody but the owner may read or change the key.
pub fn protection(key: &Path) -> Result<String> {
    let metadata = std::fs::metadata(key).map_err(|error| {
        Error::new(Code::KeyUnreadable, format!("{} cannot be read", key.display())).caused_by(error)
    })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(format!("{} is its owner's alone.", file_name(key)));
    }
    Err(Error::new(
        Code::KeyExposed,
        format!("{path} has mode {mode:04o}; run `chmod 600 {path}`", path = key.display()),
    ))
}

/// Valid now, and for a while yet.
pub fn validity(facts: &Facts, now: UnixMicros) -> Outcome {
    let (begins, ends) = (date(facts.not_before), date(facts.not_after));
    if now < facts.not_before {
        let what = format!("the client certificate is valid from {begins} on; this host has {}", date(now));
        return Outcome::Failed(Error::new(Code::CertificateNotYetValid, what));
    }
    if now > facts.not_after {
        let what = format!("the client certificate ended at {ends}; this host has {}", date(now));
        return Outcome::Failed(Error::new(Code::CertificateExpired, what));
    }
    let days = (facts.not_after.0 - now.0) / DAY_MICROS;
    if days < WARN_DAYS {
        let what = format!("the client certificate ends at {ends}, in {days} days");
        return Outcome::Warning(Error::new(Code::CertificateEndsSoon, what));
    }
    Outcome::Ok(format!("The client certificate is valid until {ends}, {days} days."))
}

/// A client may use it (extended key usage `clientAuth`), and it is no CA's.
pub fn client_use(facts: &Facts) -> Result<String> {
    if facts.is_ca {
        return Err(Error::new(Code::CertificateNotForClients, "the certificate is a CA's, not a client's"));
    }
    if !facts.client_auth {
        let use_of = if facts.server_auth { "is for servers" } else { "is for other uses" };
        return Err(Error::new(
            Code::CertificateNotForClients,
            format!("the certificate {use_of}: its extended key usage has no clientAuth"),
        ));
    }
    Ok("The certificate may be used by a client.".to_owned())
}

/// Issued by the CA of that common name. Only the name is compared: whether the CA itself is the right one is for the
/// servers to decide, which do so in the handshake.
pub fn issuer(facts: &Facts, expected: &str) -> Result<String> {
    if facts.issuer_cn.as_deref() == Some(expected) {
        return Ok(format!("The certificate was issued by \"{expected}\"."));
    }
    Err(Error::new(
        Code::CertificateWrongIssuer,
        format!(
            "the certificate was issued by \"{}\", expected is \"{expected}\"",
            facts.issuer_cn.as_deref().unwrap_or(&facts.issuer)
        ),
    ))
}

/// What servers' certificates will be checked against.
pub(super) fn roots(ca: Option<&Path>, roots: Result<&Roots, &Error>) -> Outcome {
    match (roots, ca) {
        (Ok(_), Some(ca)) => {
            Outcome::Ok(format!("Servers are checked against the CA certificates in {}.", ca.display()))
        }
        (Ok(_), None) => Outcome::Ok("Servers are checked against the system's CA certificates.".to_owned()),
        // The report keeps its own copy; the code and the whole chain of causes are in it.
        (Err(error), _) => Outcome::Failed(Error::new(error.code(), error.what())),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A time for people, to the minute.
fn date(time: UnixMicros) -> String {
    DateTime::from_timestamp(time.seconds(), 0)
        .map_or_else(|| "an impossible time".to_owned(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string())
}
