//! The end of the client certificate that is in use, for `status`, the metrics and the connector's reports on itself.
//!
//! It is read out of the very configuration that the uplink connects with, so that it is never another file's.

use crate::tls::Facts;
use crate::uplink::TlsSource;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// The client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The subject's common name.
    pub subject: String,
    /// Its last second, Unix time.
    pub not_after_s: i64,
}

/// The certificate as it was when last looked at.
#[derive(Default)]
pub(super) struct Watch(Mutex<Option<Certificate>>);

impl Watch {
    /// Looks anew; may block on the files. A source that panics is the uplink's to report.
    pub fn look(&self, tls: &TlsSource) {
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tls()));
        let found = found.ok().and_then(Result::ok).and_then(|config| of(&config));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// What the last look found.
    pub fn seen(&self) -> Option<Certificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn of(config: &ClientConfig) -> Option<Certificate> {
    let schemes = config.crypto_provider().signature_verification_algorithms.supported_schemes();
    let key = config.client_auth_cert_resolver.resolve(&[], &schemes)?;
    let facts = Facts::of(key.cert.first()?).ok()?;
    let subject = facts.subject_cn.unwrap_or_else(|| "(no common name)".to_owned());
    Some(Certificate { subject, not_after_s: facts.not_after.seconds() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMicros;
    use crate::pki::{Pki, Validity};
    use crate::tls::{self, Identity, Roots};
    use crate::{Code, Error};
    use std::sync::Arc;

    #[test]
    fn it_is_the_one_that_the_uplink_shows() {
        let dir = tempfile::tempdir().unwrap();
        let now = UnixMicros(1_800_000_000_000_000);
        let pki = Pki::open_or_create(dir.path(), now).unwrap();
        let files = pki.client("uni-example", Validity::days(now, 9)).unwrap();
        let identity = Identity::load(&files.certificate, &files.key).unwrap();
        let config = tls::client_config(&identity, &Roots::from_file(&pki.ca()).unwrap()).unwrap();
        let watch = Watch::default();
        watch.look(&(Arc::new(move || Ok(Arc::clone(&config))) as TlsSource));
        let seen = watch.seen().unwrap();
        assert_eq!(seen.subject, "uni-example");
        assert_eq!(seen.not_after_s, identity.facts().unwrap().not_after.seconds());
        watch.look(&(Arc::new(|| Err(Error::new(Code::CertificateMissing, "gone"))) as TlsSource));
        assert_eq!(watch.seen(), None);
    }
}
