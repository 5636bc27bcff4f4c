//! TLS as the connector, the incubator and setup use it: who we are, whom we trust, and what went wrong in words that
//! an operator can act on.
//!
//! - One crypto provider for the whole program (aws-lc-rs), named at every builder: the process-wide default of rustls
//!   panics as soon as a second provider is in the tree.
//! - TLS 1.3 is preferred and 1.2 is the least. Both sides always show a certificate.
//! - Sessions are never resumed: each connection proves both identities anew, so a certificate that was replaced or
//!   refused counts from the next connection on.
//! - No proxy is ever used; nothing here reads the environment, except for where the system keeps its root
//!   certificates (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
//!
//! [`inspect`] reads certificates for setup's checks, [`fault`] says what a failed connection means, [`dial()`] makes one.

pub mod dial;
pub mod fault;
pub mod inspect;
mod verify;

pub use dial::{Connection, dial};
pub use fault::Fault;
pub use inspect::{Facts, Fingerprint};

use crate::error::{Code, Error, Result};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, InconsistentKeys, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest PEM file that is read, in bytes. A bundle of every public root is a quarter of it; what is larger is not a
/// certificate file but a mistake in a setting.
pub const MAX_PEM_BYTES: u64 = 1 << 20;

/// The protocol versions in use: TLS 1.3 preferred, 1.2 the least.
const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// The program's crypto provider.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A certificate chain and the key of its first certificate, which belong together.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a chain (the own certificate first) and its key, PKCS#8, PKCS#1 or SEC1, from PEM files.
    ///
    /// E211 or E212 for the certificate, E213, E214 or E215 for the key, E216 where they do not belong together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self> {
        let chain = certificates(certificate)?;
        let key_der = private_key(key)?;
        let identity = Self { chain, key: key_der };
        identity.check_key(certificate, key)?;
        Ok(identity)
    }

    /// The own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// What the own certificate says.
    pub fn facts(&self) -> Result<Facts> {
        Facts::of(self.certificate())
    }

    fn check_key(&self, certificate: &Path, key: &Path) -> Result<()> {
        let unusable = |error: rustls::Error| {
            Error::new(Code::KeyInvalid, format!("the key in {} cannot be used", key.display()))
                .caused_by(error)
        };
        let signing_key = provider().key_provider.load_private_key(self.key.clone_key()).map_err(unusable)?;
        match CertifiedKey::new(self.chain.clone(), signing_key).keys_match() {
            // Every key type of this provider knows its public half; where one did not, the handshake would tell.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => Err(Error::new(
                Code::KeyMismatch,
                format!("the key in {} does not belong to {}", key.display(), certificate.display()),
            )),
            Err(error) => Err(Error::new(
                Code::CertificateInvalid,
                format!("the certificate in {} cannot be used", certificate.display()),
            )
            .caused_by(error)),
        }
    }
}

/// The certificates that the other side's certificate is checked against.
#[derive(Debug, Clone)]
pub struct Roots(Arc<RootCertStore>);

impl Roots {
    /// The CA file where one is set, else the system's roots.
    pub fn load(ca: Option<&Path>) -> Result<Self> {
        ca.map_or_else(Self::system, Self::from_file)
    }

    /// The CA certificates in a PEM file. E211, E212, or E217 where one of them cannot be a trust anchor.
    pub fn from_file(ca: &Path) -> Result<Self> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(ca)? {
            store.add(certificate).map_err(|error| {
                Error::new(
                    Code::RootsUnusable,
                    format!("a certificate in {} is no CA certificate", ca.display()),
                )
                .caused_by(error)
            })?;
        }
        Ok(Self(Arc::new(store)))
    }

    /// The system's root certificates. E217 where there are none.
    pub fn system() -> Result<Self> {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        // Collections of roots hold old certificates that no current library takes; the others still serve.
        let (usable, _) = store.add_parsable_certificates(found.certs);
        if usable == 0 {
            let error = Error::new(Code::RootsUnusable, "the system has no usable root certificates");
            return Err(match found.errors.into_iter().next() {
                Some(cause) => error.caused_by(cause),
                None => error,
            });
        }
        Ok(Self(Arc::new(store)))
    }
}

/// The file that the system's CA certificates are in, for a container that has none of its own. The first of the
/// places where the distributions keep it.
pub fn system_bundle() -> Option<PathBuf> {
    [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.is_file())
}

/// What a client needs: it shows `identity` and accepts servers that `roots` vouch for.
pub fn client_config(identity: &Identity, roots: &Roots) -> Result<Arc<ClientConfig>> {
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots.0), provider()).build().map_err(
            |error| Error::new(Code::RootsUnusable, "no server certificate can be checked").caused_by(error),
        )?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(unusable)?
        // What is dangerous about a verifier of one's own is to decide otherwise; this one only explains.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verify::Explaining(verifier)))
        .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(unusable)?;
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// What a server needs: it shows `identity` and accepts only clients whose certificate `clients` vouch for.
pub fn server_config(identity: &Identity, clients: &Roots) -> Result<Arc<ServerConfig>> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&clients.0), provider()).build().map_err(
            |error| Error::new(Code::RootsUnusable, "no client certificate can be checked").caused_by(error),
        )?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(unusable)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn unusable(error: rustls::Error) -> Error {
    Error::new(Code::CertificateInvalid, "the certificate and key cannot be used for TLS").caused_by(error)
}

/// All certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let invalid =
        || Error::new(Code::CertificateInvalid, format!("{} holds no readable certificate", path.display()));
    let text = read(path, Code::CertificateUnreadable)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<std::result::Result<_, pem::Error>>()
        .map_err(|error| invalid().caused_by(error))?;
    if chain.is_empty() {
        return Err(invalid());
    }
    Ok(chain)
}

/// The first private key of a PEM file.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read(path, Code::KeyUnreadable)?;
    // RFC 7468 section 11 names the first; `Proc-Type: 4,ENCRYPTED` is RFC 1421's, which OpenSSL wrote for long.
    if contains(&text, b"BEGIN ENCRYPTED PRIVATE KEY") || contains(&text, b"4,ENCRYPTED") {
        let what = format!("the key in {} is protected by a passphrase", path.display());
        return Err(Error::new(Code::KeyEncrypted, what));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        Error::new(Code::KeyInvalid, format!("{} holds no readable private key", path.display()))
            .caused_by(error)
    })
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}

/// Reads a file of at most [`MAX_PEM_BYTES`].
fn read(path: &Path, code: Code) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_PEM_BYTES + 1).read_to_end(&mut text))
        .map_err(|error| Error::new(code, format!("{} cannot be read", path.display())).caused_by(error))?;
    if text.len() as u64 > MAX_PEM_BYTES {
        let what = format!("{} is larger than {MAX_PEM_BYTES} bytes: that is no PEM file", path.display());
        return Err(Error::new(code, what));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
