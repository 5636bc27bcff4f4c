use super::*;
use crate::clock::{Clock, SystemClock};
use crate::pki::{Pair, Pki, Validity};
use crate::settings::Endpoint;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const BOUND: Duration = Duration::from_secs(10);

struct Ca {
    _dir: TempDir,
    pki: Pki,
}

impl Ca {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::open_or_create(dir.path(), SystemClock.now()).unwrap();
        Self { _dir: dir, pki }
    }

    fn roots(&self) -> Roots {
        Roots::from_file(&self.pki.ca()).unwrap()
    }

    fn server(&self, name: &str, validity: Validity) -> Identity {
        load(&self.pki.server("server", &[name.to_owned()], validity).unwrap())
    }

    fn client(&self, validity: Validity) -> Identity {
        load(&self.pki.client("client", validity).unwrap())
    }
}

fn load(pair: &Pair) -> Identity {
    Identity::load(&pair.certificate, &pair.key).unwrap()
}

fn valid() -> Validity {
    Validity::days(SystemClock.now(), 1)
}

fn expired() -> Validity {
    Validity::expired(SystemClock.now())
}

/// Serves one connection after the other and returns the endpoint.
async fn serve(config: Arc<ServerConfig>) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(tcp).await {
                    // Open until the client leaves.
                    let _ = stream.read(&mut [0; 1]).await;
                }
            });
        }
    });
    Endpoint { host: "127.0.0.1".to_owned(), port }
}

async fn connect(server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Result<Connection, Fault> {
    dial(&serve(server).await, client, BOUND).await
}

#[tokio::test]
async fn both_sides_known_to_each_other_connect_with_tls_1_3() {
    let ca = Ca::new();
    let server = server_config(&ca.server("127.0.0.1", valid()), &ca.roots()).unwrap();
    let client = client_config(&ca.client(valid()), &ca.roots()).unwrap();
    let connection = connect(server, client).await.unwrap();
    assert!(connection.protocol().starts_with("TLSv1_3"), "{}", connection.protocol());
    let facts = Facts::of(connection.server_certificate().unwrap()).unwrap();
    assert_eq!(facts.names, ["127.0.0.1"]);
}

#[tokio::test]
async fn what_is_wrong_with_the_server_is_named() {
    let (ca, other) = (Ca::new(), Ca::new());
    let client = || client_config(&ca.client(valid()), &ca.roots()).unwrap();
    let table = [
        (other.server("127.0.0.1", valid()), Code::ServerUntrusted),
        (ca.server("127.0.0.2", valid()), Code::ServerWrongName),
        (ca.server("127.0.0.1", expired()), Code::ServerExpired),
        // A client's certificate does not make a server.
        (ca.client(valid()), Code::ServerInvalid),
    ];
    for (identity, code) in table {
        let fault = connect(server_config(&identity, &ca.roots()).unwrap(), client()).await.unwrap_err();
        assert_eq!(fault.tls_code(), Some(code), "{fault}");
        assert!(!fault.is_refusal());
    }
}

#[tokio::test]
async fn a_refusal_of_our_certificate_is_seen_although_tls_1_3_delivers_it_late() {
    let (ca, other) = (Ca::new(), Ca::new());
    for identity in [other.client(valid()), ca.client(expired()), ca.server("client", valid())] {
        let server = server_config(&ca.server("127.0.0.1", valid()), &ca.roots()).unwrap();
        let fault = connect(server, client_config(&identity, &ca.roots()).unwrap()).await.unwrap_err();
        assert!(fault.is_refusal(), "{fault}");
        assert_eq!(fault.into_error("x", Code::UnknownCode).code(), Code::ClientRefused);
    }
}

#[tokio::test]
async fn the_network_is_at_fault_where_nobody_listens_or_no_tls_is_spoken() {
    let ca = Ca::new();
    let config = || client_config(&ca.client(valid()), &ca.roots()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };

    let not_tls = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, b"220 mail.example ESMTP\r\n").await.unwrap();
        assert_ne!(tcp.read(&mut [0; 1024]).await.unwrap(), 0);
    });
    let fault = dial(&endpoint, config(), BOUND).await.unwrap_err();
    assert_eq!(fault.tls_code(), Some(Code::TlsFailed), "{fault}");
    not_tls.await.unwrap();

    let fault = dial(&endpoint, config(), BOUND).await.unwrap_err();
    assert!(matches!(fault, Fault::Connect(_)), "{fault}");
    assert_eq!(fault.tls_code(), None);
}

#[test]
fn an_operator_is_told_what_is_wrong_with_his_files() {
    let ca = Ca::new();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (one, two) = (ca.pki.client("one", valid()).unwrap(), ca.pki.client("two", valid()).unwrap());
    let key = fs::read_to_string(&one.key).unwrap();
    fs::write(path("encrypted"), key.replace("PRIVATE", "ENCRYPTED PRIVATE")).unwrap();
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                       -----END RSA PRIVATE KEY-----\n";
    fs::write(path("encrypted-1421"), traditional).unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("garbage"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    fs::write(path("large"), vec![b'\n'; usize::try_from(MAX_PEM_BYTES).unwrap() + 1]).unwrap();

    let table = [
        (one.certificate.clone(), two.key, Code::KeyMismatch),
        (one.certificate.clone(), path("encrypted"), Code::KeyEncrypted),
        (one.certificate.clone(), path("encrypted-1421"), Code::KeyEncrypted),
        (one.certificate.clone(), path("empty"), Code::KeyInvalid),
        (one.certificate.clone(), one.certificate.clone(), Code::KeyInvalid),
        (one.certificate.clone(), path("missing"), Code::KeyUnreadable),
        (path("missing"), one.key.clone(), Code::CertificateUnreadable),
        (path("large"), one.key.clone(), Code::CertificateUnreadable),
        (path("empty"), one.key.clone(), Code::CertificateInvalid),
        (path("garbage"), one.key.clone(), Code::CertificateInvalid),
        (one.key.clone(), one.key.clone(), Code::CertificateInvalid),
    ];
    for (certificate, key, code) in table {
        let error = Identity::load(&certificate, &key).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    assert!(Identity::load(&one.certificate, &one.key).is_ok());
}

#[test]
fn a_fingerprint_reads_as_openssl_prints_it() {
    let printed = Fingerprint::of(&CertificateDer::from(b"abc".to_vec())).to_string();
    assert!(printed.starts_with("BA:78:16:BF:8F:01:CF:EA"), "{printed}");
    assert_eq!(printed.len(), 32 * 3 - 1);
}
