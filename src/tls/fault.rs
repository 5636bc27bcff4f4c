//! What a failed connection means. Libraries tell it as alerts and error chains; an operator needs to know whose turn
//! it is: the network's, the server's, or that of whoever issued our certificate.

use super::verify::Untrusted;
use crate::error::{Code, Error};
use chrono::{DateTime, SecondsFormat};
use rustls::{AlertDescription, CertificateError};
use rustls_pki_types::UnixTime;
use std::fmt;
use std::io;

/// A step of making a connection; each has the same bound in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Resolving the name.
    Resolve,
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Handshake,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "the TCP connection",
            Self::Handshake => "the TLS handshake",
        })
    }
}

/// Why there is no connection, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The name has no address, or no name server answered.
    Name(String),
    /// No TCP connection: refused, unreachable.
    Connect(String),
    /// A step took longer than its bound.
    Timeout(Step),
    /// The other side closed or reset the connection.
    Closed(String),
    /// The server's certificate does not lead to a trusted CA; behind an intercepting proxy this is what it looks like.
    ServerUntrusted(String),
    /// The server's certificate is for other names.
    ServerWrongName(String),
    /// The server's certificate is expired, or not valid yet, by this machine's clock.
    ServerExpired(String),
    /// The server's certificate is unusable for another reason.
    ServerInvalid(String),
    /// The server refused us for who we are: it does not accept our certificate.
    Refused(String),
    /// Another failure of TLS; no TLS is spoken there, or no common version or cipher suite.
    Tls(String),
}

impl Fault {
    /// Reads what rustls says.
    pub fn from_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(cause) => Self::from_certificate(cause),
            rustls::Error::NoCertificatesPresented => Self::ServerInvalid(error.to_string()),
            rustls::Error::AlertReceived(alert) => match refusal(*alert) {
                Some(reason) => Self::Refused(reason.to_owned()),
                None => Self::Tls(format!("the server broke the handshake off ({alert:?})")),
            },
            _ => Self::Tls(error.to_string()),
        }
    }

    /// Reads an error of a TLS stream, in the handshake or after it.
    pub fn from_io(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::from_tls(tls);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed("the other side closed the connection".to_owned()),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Closed("the other side reset the connection".to_owned())
            }
            _ => Self::Closed(error.to_string()),
        }
    }

    fn from_certificate(cause: &CertificateError) -> Self {
        let text = cause.to_string();
        match cause {
            CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::Revoked
            | CertificateError::UnknownRevocationStatus => Self::ServerUntrusted(text),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::ServerWrongName(text)
            }
            // Without the present time that rustls adds: the same fault has the same text every time.
            CertificateError::ExpiredContext { not_after, .. } => {
                Self::ServerExpired(format!("it ended at {}", rfc3339(*not_after)))
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                Self::ServerExpired(format!("it begins at {}", rfc3339(*not_before)))
            }
            CertificateError::Expired | CertificateError::NotValidYet => Self::ServerExpired(text),
            CertificateError::Other(other) if other.0.is::<Untrusted>() => {
                Self::ServerUntrusted(other.0.to_string())
            }
            _ => Self::ServerInvalid(text),
        }
    }

    /// Whether our own certificate is the reason: trying again helps only after it was replaced or let in.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// The code, for faults of certificates and TLS; none where the network is at fault, which each caller names
    /// after what the connection was for.
    pub fn tls_code(&self) -> Option<Code> {
        Some(match self {
            Self::ServerUntrusted(_) => Code::ServerUntrusted,
            Self::ServerWrongName(_) => Code::ServerWrongName,
            Self::ServerExpired(_) => Code::ServerExpired,
            Self::ServerInvalid(_) => Code::ServerInvalid,
            Self::Refused(_) => Code::ClientRefused,
            Self::Tls(_) => Code::TlsFailed,
            Self::Name(_) | Self::Connect(_) | Self::Timeout(_) | Self::Closed(_) => return None,
        })
    }

    /// The error for an operator: the fault's own code, or `network` where the network is at fault.
    pub fn into_error(self, endpoint: impl fmt::Display, network: Code) -> Error {
        Error::new(self.tls_code().unwrap_or(network), format!("{endpoint}: {self}"))
    }

    /// How far this attempt came: of several addresses, the one that came furthest tells the most.
    pub(super) fn progress(&self) -> u8 {
        match self {
            Self::Name(_) | Self::Timeout(Step::Resolve) => 0,
            Self::Connect(_) | Self::Timeout(Step::Connect) => 1,
            Self::Timeout(Step::Handshake) | Self::Closed(_) => 2,
            Self::Tls(_) => 3,
            Self::ServerUntrusted(_)
            | Self::ServerWrongName(_)
            | Self::ServerExpired(_)
            | Self::ServerInvalid(_) => 4,
            Self::Refused(_) => 5,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why) => write!(f, "the name cannot be resolved: {why}"),
            Self::Connect(why) => write!(f, "no TCP connection: {why}"),
            Self::Timeout(step) => write!(f, "{step} took too long"),
            Self::Closed(why) => write!(f, "connection lost: {why}"),
            Self::ServerUntrusted(why) => write!(f, "the server's certificate is not trusted: {why}"),
            Self::ServerWrongName(why) => write!(f, "the server's certificate is for another name: {why}"),
            Self::ServerExpired(why) => {
                write!(f, "the server's certificate is not valid at this time: {why}")
            }
            Self::ServerInvalid(why) => write!(f, "the server's certificate cannot be used: {why}"),
            Self::Refused(why) => write!(f, "the server does not accept our certificate: {why}"),
            Self::Tls(why) => write!(f, "TLS failed: {why}"),
        }
    }
}

impl std::error::Error for Fault {}

fn rfc3339(time: UnixTime) -> String {
    i64::try_from(time.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map_or_else(
        || "a time beyond all calendars".to_owned(),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

/// The alerts (RFC 8446 section 6.2) by which a server says that it does not accept who we are.
fn refusal(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::BadCertificate => "it cannot be checked (bad_certificate)",
        AlertDescription::UnsupportedCertificate => "its kind is not supported (unsupported_certificate)",
        AlertDescription::CertificateRevoked => "it was revoked (certificate_revoked)",
        AlertDescription::CertificateExpired => "it has expired (certificate_expired)",
        AlertDescription::CertificateUnknown => "it is not acceptable (certificate_unknown)",
        AlertDescription::UnknownCA => "its issuer is not known there (unknown_ca)",
        AlertDescription::AccessDenied => "it has no access there (access_denied)",
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the server saw none (certificate_required)"
        }
        // What is verified of a client's is its certificate's signature and its proof of having the key.
        AlertDescription::DecryptError => "its signature does not verify there (decrypt_error)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fault_reads_the_same_whenever_it_is_found() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let expired =
            |time| CertificateError::ExpiredContext { time: at(time), not_after: at(1_700_000_000) };
        let fault = |time| Fault::from_tls(&rustls::Error::InvalidCertificate(expired(time)));
        assert_eq!(fault(1_700_000_001), fault(1_800_000_000));
        assert!(fault(1_800_000_000).to_string().ends_with("it ended at 2023-11-14T22:13:20Z"));
        let early = CertificateError::NotValidYetContext { time: at(0), not_before: at(u64::MAX) };
        assert!(
            Fault::from_tls(&early.into()).to_string().ends_with("it begins at a time beyond all calendars")
        );
    }

    #[test]
    fn a_refusal_is_told_by_its_alert_and_nothing_else() {
        use AlertDescription::{
            AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
            CertificateUnknown, DecryptError, HandshakeFailure, InternalError, ProtocolVersion, UnknownCA,
            UnrecognisedName, UnsupportedCertificate,
        };
        for alert in [
            AccessDenied,
            BadCertificate,
            CertificateExpired,
            CertificateRequired,
            CertificateRevoked,
            CertificateUnknown,
            DecryptError,
            UnknownCA,
            UnsupportedCertificate,
        ] {
            let fault = Fault::from_tls(&rustls::Error::AlertReceived(alert));
            assert!(fault.is_refusal() && fault.tls_code() == Some(Code::ClientRefused), "{alert:?}");
        }
        for alert in [HandshakeFailure, InternalError, ProtocolVersion, UnrecognisedName] {
            let fault = Fault::from_tls(&rustls::Error::AlertReceived(alert));
            assert_eq!(fault.tls_code(), Some(Code::TlsFailed), "{alert:?}");
        }
    }
}
