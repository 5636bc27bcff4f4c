//! A throw-away PKI in a directory: for `demo`, for tests, and for whoever runs an incubator of their own.
//!
//! ```text
//! ca.pem  ca-key.pem                  the CA; made when missing, else used again
//! server-cert.pem  server-key.pem     a server's pair, for the incubator or a concentrator
//! NAME-cert.pem  NAME-key.pem         a client's pair, ready to be copied into an installation directory
//! ```
//!
//! The CA has the name that the manual demands of a client certificate's issuer (section 1.3.2), so that an
//! installation with such a pair passes every check of setup. It is no secret worth keeping, but is kept like one:
//! all files have mode 0600.

use crate::clock::UnixMicros;
use crate::error::{Code, Error, Result};
use crate::install::write_atomically;
use crate::settings::Settings;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Validity of the CA. A PKI that outlives the year it was made for has stopped being a throw-away one.
const CA_DAYS: u32 = 3650;

/// Clocks of the machines of a test differ; what is made now is valid since an hour ago.
const BACKDATED: Duration = Duration::from_secs(3600);

/// Longest name of a client: the bound of a common name (`ub-common-name`, RFC 5280 appendix A.1).
const MAX_NAME_CHARS: usize = 64;

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: UnixMicros,
    /// Last moment.
    pub not_after: UnixMicros,
}

impl Validity {
    /// So many days from `now`, begun an hour ago.
    pub fn days(now: UnixMicros, days: u32) -> Self {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let day = Duration::from_secs(24 * 3600);
        Self {
            not_before: UnixMicros(now.0.saturating_sub(micros(BACKDATED))),
            not_after: UnixMicros(now.0.saturating_add(micros(day * days))),
        }
    }

    /// Over since an hour: for tests of what happens then.
    pub fn expired(now: UnixMicros) -> Self {
        let hour = i64::try_from(BACKDATED.as_micros()).expect("an hour fits");
        Self { not_before: UnixMicros(now.0 - 48 * hour), not_after: UnixMicros(now.0 - hour) }
    }
}

/// The files of one certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// `NAME-cert.pem`: the certificate.
    pub certificate: PathBuf,
    /// `NAME-key.pem`: its key, PKCS#8.
    pub key: PathBuf,
}

/// The PKI of one directory.
#[derive(Debug)]
pub struct Pki {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// The PKI of a directory, which is made where there is none; a CA that is there is used again, else one is made.
    pub fn open_or_create(dir: &Path, now: UnixMicros) -> Result<Self> {
        let (certificate, key) = (dir.join("ca.pem"), dir.join("ca-key.pem"));
        if certificate.exists() || key.exists() {
            return Self::open(dir, &certificate, &key);
        }
        fs::create_dir_all(dir).map_err(|error| {
            Error::new(Code::PkiFailed, format!("{} cannot be made", dir.display())).caused_by(error)
        })?;
        let signing_key = KeyPair::generate().map_err(|error| failed("a key").caused_by(error))?;
        let mut params = named(&Settings::default().tls.issuer, Validity::days(now, CA_DAYS));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = params.self_signed(&signing_key).map_err(|error| failed("the CA").caused_by(error))?;
        write_atomically(&key, signing_key.serialize_pem().as_bytes())?;
        write_atomically(&certificate, made.pem().as_bytes())?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, signing_key) })
    }

    fn open(dir: &Path, certificate: &Path, key: &Path) -> Result<Self> {
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|error| {
                Error::new(Code::PkiFailed, format!("{} cannot be read", path.display())).caused_by(error)
            })
        };
        let unusable = |error: rcgen::Error| {
            Error::new(Code::PkiFailed, format!("the CA in {} cannot be used", dir.display()))
                .caused_by(error)
        };
        let signing_key = KeyPair::from_pem(&read(key)?).map_err(unusable)?;
        let issuer = Issuer::from_ca_cert_pem(&read(certificate)?, signing_key).map_err(unusable)?;
        Ok(Self { dir: dir.to_owned(), issuer })
    }

    /// The CA's certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Makes a server's pair for these DNS names and addresses.
    pub fn server(&self, name: &str, names: &[String], validity: Validity) -> Result<Pair> {
        let mut params = CertificateParams::new(names)
            .map_err(|error| failed("a server certificate for these names").caused_by(error))?;
        let dated = named(name, validity);
        params.distinguished_name = dated.distinguished_name;
        params.not_before = dated.not_before;
        params.not_after = dated.not_after;
        self.issue(name, params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Makes a client's pair; its common name is `name`.
    pub fn client(&self, name: &str, validity: Validity) -> Result<Pair> {
        self.issue(name, named(name, validity), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        name: &str,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Pair> {
        check_name(name)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let what = format!("the certificate of {name}");
        let key = KeyPair::generate().map_err(|error| failed(&what).caused_by(error))?;
        let made = params.signed_by(&key, &self.issuer).map_err(|error| failed(&what).caused_by(error))?;
        let pair = Pair {
            certificate: self.dir.join(format!("{name}-cert.pem")),
            key: self.dir.join(format!("{name}-key.pem")),
        };
        write_atomically(&pair.key, key.serialize_pem().as_bytes())?;
        write_atomically(&pair.certificate, made.pem().as_bytes())?;
        Ok(pair)
    }
}

/// The names of a server that stands in for all of the SOC's hosts: this machine, and every default endpoint.
pub fn default_server_names() -> Vec<String> {
    let uplink = Settings::default().uplink;
    let concentrators = uplink.concentrators.iter().map(|concentrator| &concentrator.endpoint);
    let endpoints = concentrators.chain([&uplink.incubator_stream, &uplink.incubator]);
    ["localhost", "127.0.0.1", "::1"]
        .into_iter()
        .map(str::to_owned)
        .chain(endpoints.map(|endpoint| endpoint.host.clone()))
        .collect()
}

fn named(common_name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since = |time: UnixMicros| Duration::from_secs(u64::try_from(time.seconds()).unwrap_or(0));
    params.not_before = epoch + since(validity.not_before);
    params.not_after = epoch + since(validity.not_after);
    params
}

/// A name becomes part of a file's name.
fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins_well && name.len() <= MAX_NAME_CHARS && name.chars().all(allowed) && name != "ca" {
        return Ok(());
    }
    Err(Error::new(
        Code::PkiFailed,
        format!(
            "{name:?} is no name for a certificate: up to {MAX_NAME_CHARS} of A-Z a-z 0-9 . _ -, first a letter or \
             digit, and not `ca`"
        ),
    ))
}

fn failed(what: &str) -> Error {
    Error::new(Code::PkiFailed, format!("{what} could not be made"))
}

/// A PKI for other modules' tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::tls::{Identity, Roots, client_config, server_config};
    use rustls::{ClientConfig, ServerConfig};
    use std::sync::Arc;

    pub(crate) struct Ca {
        _dir: tempfile::TempDir,
        pub pki: Pki,
    }

    impl Ca {
        pub fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let pki = Pki::open_or_create(dir.path(), SystemClock.now()).unwrap();
            Self { _dir: dir, pki }
        }

        pub fn roots(&self) -> Roots {
            Roots::from_file(&self.pki.ca()).unwrap()
        }

        pub fn server(&self, name: &str, validity: Validity) -> Identity {
            load(&self.pki.server("server", &[name.to_owned()], validity).unwrap())
        }

        pub fn client(&self, name: &str, validity: Validity) -> Identity {
            load(&self.pki.client(name, validity).unwrap())
        }

        /// For a server on 127.0.0.1 that lets this CA's clients in.
        pub fn server_config(&self) -> Arc<ServerConfig> {
            server_config(&self.server("127.0.0.1", valid()), &self.roots()).unwrap()
        }

        /// For a client of this name that trusts this CA's servers.
        pub fn client_config(&self, name: &str) -> Arc<ClientConfig> {
            client_config(&self.client(name, valid()), &self.roots()).unwrap()
        }
    }

    pub(crate) fn valid() -> Validity {
        Validity::days(SystemClock.now(), 1)
    }

    pub(crate) fn expired() -> Validity {
        Validity::expired(SystemClock.now())
    }

    fn load(pair: &Pair) -> Identity {
        Identity::load(&pair.certificate, &pair.key).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::tls::{Identity, inspect::Facts};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn makes_what_an_installation_needs_and_uses_its_ca_again() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("new/pki");
        let now = SystemClock.now();
        let first = Pki::open_or_create(&dir, now).unwrap();
        let ca = fs::read(first.ca()).unwrap();
        let second = Pki::open_or_create(&dir, now).unwrap();
        assert_eq!(fs::read(second.ca()).unwrap(), ca, "the CA is kept");

        let pair = second.client("uni-example", Validity::days(now, 30)).unwrap();
        let facts = Identity::load(&pair.certificate, &pair.key).unwrap().facts().unwrap();
        assert_eq!(facts.subject_cn.as_deref(), Some("uni-example"));
        assert_eq!(facts.issuer_cn.as_deref(), Some("DFN.Security SOC Access CA"));
        assert!(facts.client_auth && !facts.server_auth && !facts.is_ca);
        assert!(facts.valid_at(now) && !facts.valid_at(UnixMicros(now.0 + 31 * 24 * 3600 * 1_000_000)));
        for file in [&pair.certificate, &pair.key, &dir.join("ca-key.pem")] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
    }

    #[test]
    fn a_server_is_valid_for_every_default_endpoint() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let pki = Pki::open_or_create(dir.path(), now).unwrap();
        let pair = pki.server("server", &default_server_names(), Validity::days(now, 1)).unwrap();
        let facts: Facts = Identity::load(&pair.certificate, &pair.key).unwrap().facts().unwrap();
        assert!(facts.server_auth && !facts.client_auth);
        for name in ["localhost", "127.0.0.1", "::1", "incubator.soc.dfn.de", "concentrator-erl-3.soc.dfn.de"]
        {
            assert!(facts.names.iter().any(|n| n == name), "{name} in {:?}", facts.names);
        }
        assert_eq!(facts.names.len(), 11);
    }

    #[test]
    fn names_that_would_leave_the_directory_or_hide_the_ca_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let pki = Pki::open_or_create(dir.path(), now).unwrap();
        for name in ["", "ca", "../x", "a/b", ".x", "-x", "a b", &"x".repeat(65)] {
            let error = pki.client(name, Validity::days(now, 1)).unwrap_err();
            assert_eq!(error.code(), Code::PkiFailed, "{name:?}");
        }
    }
}
