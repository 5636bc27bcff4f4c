//! One JSON request over a unix socket, one connection for each: for the answers that bollard's types refuse.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::Path;
use tokio::net::UnixStream;

/// The longest answer taken, in bytes. An inspected container is some 10 KiB.
const MAX_ANSWER_BYTES: usize = 4 << 20;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends one request. An answer that is not JSON comes back as a JSON string, so that its text can be shown.
pub async fn json(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(StatusCode, Value), Failure> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", "engine")
        .header("Connection", "close")
        .header("Content-Type", "application/json")
        .body(Full::<Bytes>::from(body))?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await?.to_bytes();
        let value = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).trim().to_owned()));
        Ok::<_, Failure>((status, value))
    };
    tokio::pin!(exchange);
    tokio::pin!(connection);
    // The connection has to be driven while the answer is read; its end is not the answer's.
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}

/// The text of an engine's error answer: its `message`, else all of it.
pub fn message(answer: &Value) -> String {
    match answer.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => answer.as_str().map_or_else(|| answer.to_string(), ToOwned::to_owned),
    }
}
