//! The incubator's confirmations: what a client's own events looked like when they came in, over HTTP/1.1.
//!
//! ```text
//! GET /v1/confirmations?after=CURSOR&wait=SECONDS   {"cursor": "…", "events": [ … ]}
//! GET /v1/health                                    {"status": "ok"}
//! ```
//!
//! Without `after`, the answer begins with the oldest event that is kept; `after=now` gives the present cursor and no
//! events, at once. Where there is no event yet, the answer waits for one up to `wait` seconds (at most
//! [`MAX_WAIT`]; 0 where it is not given). Everything else is answered 4xx with `{"error": "…"}`.

use super::Shared;
use super::store::{After, Answer};
use crate::tls::Fingerprint;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

/// Longest wait for an event; firewalls forget silent connections soon after it.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// Bound on a request's head, in time, bytes and headers: a request is one line and a handful of headers.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 32;

/// Serves one connection until the client leaves.
pub(super) async fn serve<S>(shared: Arc<Shared>, client: Fingerprint, stream: S) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, &client, &request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // Counts from the last answer on: between two requests a client may think for a while.
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(shared: &Shared, client: &Fingerprint, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/v1/confirmations" | "/v1/health") {
        return error(StatusCode::NOT_FOUND, "there is nothing at this path");
    }
    if request.method() != Method::GET {
        return error(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered");
    }
    if path == "/v1/health" {
        return json(StatusCode::OK, r#"{"status":"ok"}"#.to_owned());
    }
    let (after, wait) = match query(request.uri().query().unwrap_or_default()) {
        Ok(query) => query,
        Err(what) => return error(StatusCode::BAD_REQUEST, what),
    };
    match confirmations(shared, client, &after, wait).await {
        Some(answer) => json(StatusCode::OK, body(&answer)),
        None => error(StatusCode::BAD_REQUEST, "`after` is no cursor of an incubator"),
    }
}

/// The client's events; waits for one where there is none. Nothing where the cursor is none.
async fn confirmations(
    shared: &Shared,
    client: &Fingerprint,
    after: &After,
    wait: Duration,
) -> Option<Answer> {
    let deadline = Instant::now() + wait;
    // Subscribed before looking, so that nothing comes in between.
    let mut arrivals = shared.arrivals(client);
    loop {
        let answer = shared.after(client, after).ok()?;
        if !answer.events.is_empty() || *after == After::Now {
            return Some(answer);
        }
        match timeout_at(deadline, arrivals.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Some(answer),
        }
    }
}

/// Reads `after` and `wait`. Cursors need no escapes, so none are undone.
fn query(query: &str) -> Result<(After, Duration), &'static str> {
    let (mut after, mut wait) = (After::Beginning, Duration::ZERO);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("after", "now")) => after = After::Now,
            Some(("after", cursor)) => after = After::Cursor(cursor.to_owned()),
            Some(("wait", seconds)) => {
                let seconds: u32 = seconds.parse().map_err(|_| "`wait` is no number of seconds")?;
                wait = Duration::from_secs(seconds.into()).min(MAX_WAIT);
            }
            _ => return Err("only `after` and `wait` can be asked for"),
        }
    }
    Ok((after, wait))
}

fn body(answer: &Answer) -> String {
    // The events are JSON already, and a cursor has nothing to escape.
    let events: usize = answer.events.iter().map(|event| event.len() + 1).sum();
    let mut body = String::with_capacity(events + answer.cursor.len() + 32);
    body.push_str(r#"{"cursor":""#);
    body.push_str(&answer.cursor);
    body.push_str(r#"","events":["#);
    for (index, event) in answer.events.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(event);
    }
    body.push_str("]}");
    body
}

fn error(status: StatusCode, what: &str) -> Response<Full<Bytes>> {
    json(status, serde_json::json!({ "error": what }).to_string())
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_with_a_reason() {
        let seconds = Duration::from_secs;
        assert_eq!(query(""), Ok((After::Beginning, seconds(0))));
        assert_eq!(query("after=now"), Ok((After::Now, seconds(0))));
        assert_eq!(query("after=e-7&wait=10"), Ok((After::Cursor("e-7".to_owned()), seconds(10))));
        assert_eq!(query("wait=4294967295").unwrap().1, MAX_WAIT);
        for bad in ["wait=", "wait=-1", "wait=x", "client=other", "after"] {
            assert!(query(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_body_is_json_with_the_events_as_they_came() {
        let answer =
            Answer { cursor: "e-2".to_owned(), events: vec![r#"{"a":1}"#.to_owned(), "{}".to_owned()] };
        assert_eq!(body(&answer), r#"{"cursor":"e-2","events":[{"a":1},{}]}"#);
        assert_eq!(body(&Answer { events: vec![], ..answer }), r#"{"cursor":"e-2","events":[]}"#);
    }
}
