//! What a certificate says, as far as setup and `status` tell it to people. Whether a chain is to be trusted is never
//! decided here but in the handshake.

use crate::clock::UnixMicros;
use crate::error::{Code, Error, Result};
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// The SHA-256 of a certificate's DER form, by which the incubator tells clients apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.as_ref());
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Pairs of hexadecimal digits with colons between, as `openssl x509 -fingerprint -sha256` prints them.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a certificate says. Texts are fit to be printed: control characters in them are escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The subject's common name (the first, where there are several).
    pub subject_cn: Option<String>,
    /// The issuer's common name.
    pub issuer_cn: Option<String>,
    /// The subject's whole name.
    pub subject: String,
    /// The issuer's whole name.
    pub issuer: String,
    /// Serial number, in hexadecimal.
    pub serial: String,
    /// Not valid before.
    pub not_before: UnixMicros,
    /// Not valid after.
    pub not_after: UnixMicros,
    /// May be used by a client: the extended key usage `clientAuth` is there, or there is no such extension at all
    /// (RFC 5280 section 4.2.1.12: then every use is allowed).
    pub client_auth: bool,
    /// The same for `serverAuth`.
    pub server_auth: bool,
    /// It is a CA's certificate.
    pub is_ca: bool,
    /// DNS names and addresses of the subject alternative name.
    pub names: Vec<String>,
    /// SHA-256 of the whole certificate.
    pub fingerprint: Fingerprint,
}

impl Facts {
    /// Reads a certificate. E212 where it is none.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self> {
        let unreadable = || Error::new(Code::CertificateInvalid, "the certificate cannot be decoded");
        let (_, parsed) =
            X509Certificate::from_der(certificate.as_ref()).map_err(|error| unreadable().caused_by(error))?;
        let usage = parsed.extended_key_usage().map_err(|error| unreadable().caused_by(error))?;
        let may = |purpose: fn(&x509_parser::extensions::ExtendedKeyUsage<'_>) -> bool| {
            usage.as_ref().is_none_or(|usage| usage.value.any || purpose(usage.value))
        };
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| unreadable().caused_by(error))?
            .map(|extension| extension.value.general_names.iter().filter_map(name).collect())
            .unwrap_or_default();
        let micros =
            |time: x509_parser::time::ASN1Time| UnixMicros(time.timestamp().saturating_mul(1_000_000));
        Ok(Self {
            subject_cn: common_name(parsed.subject()),
            issuer_cn: common_name(parsed.issuer()),
            subject: printable(&parsed.subject().to_string()),
            issuer: printable(&parsed.issuer().to_string()),
            serial: parsed.raw_serial_as_string(),
            not_before: micros(parsed.validity().not_before),
            not_after: micros(parsed.validity().not_after),
            client_auth: may(|usage| usage.client_auth),
            server_auth: may(|usage| usage.server_auth),
            is_ca: parsed.is_ca(),
            names,
            fingerprint: Fingerprint::of(certificate),
        })
    }

    /// Whether the certificate is valid at a time.
    pub fn valid_at(&self, now: UnixMicros) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().next().and_then(|cn| cn.as_str().ok()).map(printable)
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(printable(name)),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|octets| IpAddr::from(octets).to_string()),
            16 => <[u8; 16]>::try_from(*octets).ok().map(|octets| IpAddr::from(octets).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// A certificate's text comes from whoever made it: escape what would steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}
