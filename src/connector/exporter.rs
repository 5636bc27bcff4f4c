//! Serves the metrics over HTTP, on the loopback address only: what they say (names of receivers, how much is logged) is
//! for this host, and nothing here asks who is asking.
//!
//! The connector never depends on it. Where the port is taken it says so (E506), goes on without, and tries again.

use crate::error::{Code, Error};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Where the metrics are.
pub const PATH: &str = "/metrics";
/// Version 0.0.4 of Prometheus' text format.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A taken port is tried again after so long.
const RETRY: Duration = Duration::from_secs(60);
/// After a failed accept: most often too many open files, which a busy loop would not mend.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Conversations at the same time; a Prometheus or two, and a person.
const MAX_CONNECTIONS: usize = 8;
/// Bounds on a request: what a scraper sends is a line and a handful of headers. Fewer bytes hyper does not allow.
const MAX_HEAD_BYTES: usize = 8 * 1024;
const MAX_HEADERS: usize = 32;
/// How long a request's head, and a whole conversation, which is one request, may take: Prometheus itself gives up after
/// ten seconds.
pub(super) const PATIENCE: Patience =
    Patience { head: Duration::from_secs(5), conversation: Duration::from_secs(10) };

/// Bounds on a caller's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    head: Duration,
    conversation: Duration,
}

/// Whether and where the metrics are served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exporter {
    /// Where they are; nothing where they are switched off or cannot be served.
    pub address: Option<SocketAddr>,
    /// Why they cannot be served.
    pub error: Option<String>,
}

/// Makes the text when it is asked for.
pub(super) type Text = Arc<dyn Fn() -> String + Send + Sync>;

/// The exporter's state, shared with who reports it.
#[derive(Default)]
pub(super) struct State(Mutex<Exporter>);

impl State {
    pub fn seen(&self) -> Exporter {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, exporter: Exporter) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = exporter;
    }
}

/// Opens the port, so that the metrics are there when the connector says that it runs.
pub(super) fn bind(port: u16, state: &State) -> Option<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match open(address) {
        Ok(listener) => {
            let address = listener.local_addr().unwrap_or(address);
            tracing::info!(%address, "serving metrics");
            state.set(Exporter { address: Some(address), error: None });
            Some(listener)
        }
        Err(error) => {
            let error =
                Error::new(Code::MetricsUnavailable, format!("the metrics cannot be served on {address}"))
                    .caused_by(error);
            if state.seen().error.is_none() {
                tracing::warn!(
                    code = %error.code(),
                    error = error.what(),
                    remedy = error.code().remedy(),
                    "no metrics over HTTP"
                );
            }
            state.set(Exporter { address: None, error: Some(error.to_string()) });
            None
        }
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves until dropped; `listener` is what [`bind`] gave.
pub(super) async fn serve(
    port: u16,
    listener: Option<TcpListener>,
    state: Arc<State>,
    text: Text,
    patience: Patience,
) {
    let mut opened = listener;
    let listener = loop {
        if let Some(listener) = opened {
            break listener;
        }
        sleep(RETRY).await;
        opened = bind(port, &state);
    };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut conversations = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = conversations.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                // One more than there are places is closed at once.
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let text = Arc::clone(&text);
                conversations.spawn(async move {
                    match timeout(patience.conversation, converse(stream, text, patience.head)).await {
                        Ok(Err(error)) => tracing::debug!(%error, "metrics"),
                        Err(_) => tracing::debug!("metrics: a conversation took too long"),
                        Ok(Ok(())) => {}
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "metrics: accept failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, text: Text, head: Duration) -> Result<(), hyper::Error> {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &*text);
        async move { Ok::<_, Infallible>(answer) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        // One request each: a silent connection must not keep a place.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn answer(method: &Method, path: &str, text: &dyn Fn() -> String) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (method, path) {
        (&Method::GET | &Method::HEAD, PATH) => (StatusCode::OK, TEXT_FORMAT, text()),
        (&Method::GET | &Method::HEAD, _) => {
            let body = format!("soc-connector: the metrics are at {PATH}\n");
            let status = if path == "/" { StatusCode::OK } else { StatusCode::NOT_FOUND };
            (status, "text/plain; charset=utf-8", body)
        }
        _ => {
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "only GET is answered\n".to_owned())
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n";

    /// Serves a text of so many bytes and a last line.
    fn serving(bytes: usize, patience: Patience) -> SocketAddr {
        let state = Arc::new(State::default());
        let listener = bind(0, &state);
        let address = state.seen().address.unwrap();
        assert!(address.ip().is_loopback());
        let text = move || format!("{}text\n", "x".repeat(bytes));
        tokio::spawn(serve(0, listener, state, Arc::new(text), patience));
        address
    }

    /// Everything that the server says to these bytes.
    async fn say(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        String::from_utf8(said).unwrap()
    }

    #[tokio::test]
    async fn it_answers_a_scraper_and_refuses_everything_else() {
        let address = serving(0, PATIENCE);
        for (request, status, rest) in [
            ("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200", "\r\n\r\ntext\n"),
            ("HEAD /metrics HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200", "\r\n\r\n"),
            ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200", "the metrics are at /metrics\n"),
            ("GET /other HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 404", "the metrics are at /metrics\n"),
            (
                "POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
                "HTTP/1.1 405",
                "only GET is answered\n",
            ),
        ] {
            let said = say(address, request.as_bytes()).await;
            assert!(said.starts_with(status) && said.ends_with(rest), "{request}{said}");
        }
        let said = say(address, SCRAPE).await;
        assert!(said.to_lowercase().contains("connection: close"), "one request each: {said}");
        assert!(
            said.to_lowercase().contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_request_without_end_is_refused_at_its_bound() {
        let address = serving(0, PATIENCE);
        let mut endless = b"GET /metrics HTTP/1.1\r\n".to_vec();
        for number in 0..2000 {
            endless.extend_from_slice(format!("x-header-{number}: {}\r\n", "y".repeat(100)).as_bytes());
        }
        let said = say(address, &endless).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 431"), "{said}");
        assert!(say(address, SCRAPE).await.ends_with("text\n"), "it lives");
    }

    /// As many callers as there are places, who say this and then nothing, and read nothing.
    async fn callers(address: SocketAddr, request: &str) -> Vec<TcpStream> {
        let mut callers = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            callers.push(stream);
        }
        callers
    }

    #[tokio::test]
    async fn one_caller_too_many_is_closed_at_once() {
        let address = serving(0, PATIENCE);
        let callers = callers(address, "GET /metrics").await;
        assert_eq!(say(address, SCRAPE).await, "");
        drop(callers);
    }

    #[tokio::test]
    async fn callers_that_say_nothing_or_read_nothing_lose_their_places() {
        let long = Duration::from_secs(3600);
        let brief = Duration::from_millis(50);
        for (request, patience) in [
            ("", Patience { head: long, conversation: brief }),
            ("GET /metrics HTTP/1.1\r\n", Patience { head: brief, conversation: long }),
            // More than the kernel takes of an answer that nobody reads.
            ("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n", Patience { head: long, conversation: brief }),
        ] {
            let address = serving(64 << 20, patience);
            let callers = callers(address, request).await;
            let answered =
                async { while say(address, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.is_empty() {} };
            timeout(Duration::from_secs(60), answered).await.unwrap_or_else(|_| panic!("after {request:?}"));
            drop(callers);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_taken_port_is_said_and_tried_again() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let state = Arc::new(State::default());
        assert!(bind(address.port(), &state).is_none());
        let seen = state.seen();
        assert_eq!(seen.address, None);
        assert!(seen.error.unwrap().starts_with("E506 "));
        drop(taken);
        tokio::spawn(serve(address.port(), None, Arc::clone(&state), Arc::new(String::new), PATIENCE));
        sleep(RETRY + Duration::from_secs(1)).await;
        assert_eq!(state.seen(), Exporter { address: Some(address), error: None });
    }
}
