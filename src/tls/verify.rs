//! Checks servers' certificates exactly as rustls does, and says more where they are not trusted: who issued what was
//! shown. The manual forbids HTTPS proxies on the way; a firewall that opens connections gives itself away by nothing
//! but this name.

use super::Facts;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::fmt;
use std::sync::Arc;

/// A certificate that leads to no trusted CA.
#[derive(Debug)]
pub(super) struct Untrusted {
    subject: String,
    issuer: String,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, issuer } = self;
        write!(f, "it was shown for `{subject}` and issued by `{issuer}`, which is no trusted CA")
    }
}

impl std::error::Error for Untrusted {}

/// Decides nothing itself: every verdict is that of rustls' own verifier.
#[derive(Debug)]
pub(super) struct Explaining(pub Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Explaining {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(
            |error| {
                // The other verdicts name what was found themselves.
                if error != Error::InvalidCertificate(CertificateError::UnknownIssuer) {
                    return error;
                }
                let Ok(Facts { subject, issuer, .. }) = Facts::of(end_entity) else { return error };
                CertificateError::Other(OtherError(Arc::new(Untrusted { subject, issuer }))).into()
            },
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}
