use super::*;
use crate::pki::testing::{Ca, expired, valid};
use crate::settings::Endpoint;
use std::fs;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const BOUND: Duration = Duration::from_secs(10);

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
    let connection = connect(ca.server_config(), ca.client_config("client")).await.unwrap();
    assert!(connection.protocol().starts_with("TLSv1_3"), "{}", connection.protocol());
    let facts = Facts::of(connection.server_certificate().unwrap()).unwrap();
    assert_eq!(facts.names, ["127.0.0.1"]);
}

#[tokio::test]
async fn what_is_wrong_with_the_server_is_named() {
    let (ca, other) = (Ca::new(), Ca::new());
    let client = || ca.client_config("client");
    let table = [
        (other.server("127.0.0.1", valid()), Code::ServerUntrusted),
        (ca.server("127.0.0.2", valid()), Code::ServerWrongName),
        (ca.server("127.0.0.1", expired()), Code::ServerExpired),
        // A client's certificate does not make a server.
        (ca.client("client", valid()), Code::ServerInvalid),
    ];
    for (identity, code) in table {
        let fault = connect(server_config(&identity, &ca.roots()).unwrap(), client()).await.unwrap_err();
        assert_eq!(fault.tls_code(), Some(code), "{fault}");
        assert!(!fault.is_refusal());
    }
}

#[tokio::test]
async fn who_opens_connections_on_the_way_gives_himself_away_by_his_name() {
    let ca = Ca::new();
    // As an intercepting firewall does: a certificate for the right name, by a CA of its own.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Example Inspection CA");
    let certificate = params.self_signed(&key).unwrap();
    let chain = vec![certificate.der().clone()];
    let identity = Identity { chain, key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() };
    let fault = connect(server_config(&identity, &ca.roots()).unwrap(), ca.client_config("client"))
        .await
        .unwrap_err();
    assert_eq!(fault.tls_code(), Some(Code::ServerUntrusted));
    assert!(fault.to_string().contains("issued by `CN=Example Inspection CA`"), "{fault}");
}

#[tokio::test]
async fn a_refusal_of_our_certificate_is_seen_although_tls_1_3_delivers_it_late() {
    let (ca, other) = (Ca::new(), Ca::new());
    for identity in
        [other.client("client", valid()), ca.client("client", expired()), ca.server("client", valid())]
    {
        let fault =
            connect(ca.server_config(), client_config(&identity, &ca.roots()).unwrap()).await.unwrap_err();
        assert!(fault.is_refusal(), "{fault}");
        assert_eq!(fault.into_error("x", Code::UnknownCode).code(), Code::ClientRefused);
    }
}

/// As [`Ca::server_config`], for an old server.
fn tls_1_2_only(ca: &Ca) -> Arc<ServerConfig> {
    let Identity { chain, key } = ca.server("127.0.0.1", valid());
    let clients = WebPkiClientVerifier::builder_with_provider(ca.roots().0, provider()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

#[tokio::test]
async fn tls_1_2_serves_where_there_is_no_better_and_refusals_are_seen_there_too() {
    let (ca, other) = (Ca::new(), Ca::new());
    let connection = connect(tls_1_2_only(&ca), ca.client_config("client")).await.unwrap();
    assert!(connection.protocol().starts_with("TLSv1_2"), "{}", connection.protocol());
    let foreign = client_config(&other.client("client", valid()), &ca.roots()).unwrap();
    let fault = connect(tls_1_2_only(&ca), foreign).await.unwrap_err();
    assert!(fault.is_refusal(), "{fault}");
}

#[tokio::test]
async fn every_connection_proves_who_we_are_anew() {
    let ca = Ca::new();
    let endpoint = serve(ca.server_config()).await;
    // A client that would resume sessions, which ours would not.
    let mut config = ClientConfig::clone(&ca.client_config("client"));
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    for _ in 0..3 {
        let connection = dial(&endpoint, Arc::clone(&config), BOUND).await.unwrap();
        let kind = connection.stream.get_ref().1.handshake_kind();
        assert!(!matches!(kind, Some(rustls::HandshakeKind::Resumed)), "{kind:?}");
    }
}

#[tokio::test]
async fn the_network_is_at_fault_where_nobody_listens_or_no_tls_is_spoken() {
    let ca = Ca::new();
    let config = || ca.client_config("client");
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
