//! Asks an incubator for confirmations: what `test`, `sample`, `demo` and setup use.
//!
//! One connection is kept between questions and made anew where it has ended meanwhile; no proxy is ever used. What
//! goes wrong is told as E801 (not reachable), E802 (no answer in time), E803 (another answer), or by the codes of TLS.

use super::confirmations::MAX_WAIT;
use crate::clock::UnixMicros;
use crate::error::{Code, Error, Result};
use crate::settings::Endpoint;
use crate::tls::{self, Fault};
use bytes::Bytes;
use chrono::DateTime;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{DATE, HOST};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Bound on resolving, connecting and handshaking, each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bound on an answer, beyond the time that it was asked to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer: an incubator answers with a megabyte or with one event, however large.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// An incubator's confirmations, as one client sees them.
pub struct Confirmations {
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    connection: Option<SendRequest<Empty<Bytes>>>,
}

#[derive(Deserialize)]
struct Answer {
    cursor: String,
    events: Vec<Value>,
}

impl Confirmations {
    /// Connects with the first question.
    pub fn new(endpoint: Endpoint, tls: Arc<ClientConfig>) -> Self {
        Self { endpoint, tls, connection: None }
    }

    /// The present cursor: what comes in from now on is behind it.
    pub async fn cursor_now(&mut self) -> Result<String> {
        Ok(self.confirmations("/v1/confirmations?after=now", Duration::ZERO).await?.cursor)
    }

    /// All own events that are still kept and the cursor behind them; does not wait.
    pub async fn kept(&mut self) -> Result<(String, Vec<Value>)> {
        let answer = self.confirmations("/v1/confirmations", Duration::ZERO).await?;
        Ok((answer.cursor, answer.events))
    }

    /// The own events behind `cursor` and the cursor behind them. Where there are none yet, waits for one up to `wait`
    /// (in whole seconds, at most [`MAX_WAIT`]).
    pub async fn next(&mut self, cursor: &str, wait: Duration) -> Result<(String, Vec<Value>)> {
        let wait = wait.min(MAX_WAIT);
        let path = format!("/v1/confirmations?after={cursor}&wait={}", wait.as_secs());
        let answer = self.confirmations(&path, wait).await?;
        Ok((answer.cursor, answer.events))
    }

    /// Asks whether the incubator is well, and for the time of day that it answers with: setup compares clocks.
    pub async fn server_date(&mut self) -> Result<UnixMicros> {
        let (headers, _) = self.get("/v1/health", Duration::ZERO).await?;
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        date.map(|date| UnixMicros(date.timestamp_micros())).ok_or_else(|| self.odd("its answer has no date"))
    }

    async fn confirmations(&mut self, path: &str, wait: Duration) -> Result<Answer> {
        let (_, body) = self.get(path, wait).await?;
        serde_json::from_slice(&body).map_err(|error| self.odd("its answer cannot be read").caused_by(error))
    }

    async fn get(&mut self, path: &str, wait: Duration) -> Result<(HeaderMap, Bytes)> {
        let mut kept = self.connection.take();
        if kept.as_ref().is_some_and(SendRequest::is_closed) {
            kept = None;
        }
        if let Some(connection) = kept {
            // The incubator may have closed it at this very moment: only then a second try is due.
            match self.ask(connection, path, wait).await {
                Err(error) if error.code() == Code::IncubatorUnreachable => {}
                answered => return answered,
            }
        }
        let connection = self.connect().await?;
        self.ask(connection, path, wait).await
    }

    async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>> {
        let told = |fault: Fault| {
            let code = if matches!(fault, Fault::Timeout(_)) {
                Code::IncubatorTimeout
            } else {
                Code::IncubatorUnreachable
            };
            fault.into_error(&self.endpoint, code)
        };
        let connection =
            tls::dial(&self.endpoint, Arc::clone(&self.tls), CONNECT_TIMEOUT).await.map_err(told)?;
        let (sender, driver) =
            http1::handshake(TokioIo::new(connection.stream)).await.map_err(|error| self.lost(error))?;
        tokio::spawn(async move {
            // What it ends with, the question that waits is told too.
            let _ = driver.await;
        });
        Ok(sender)
    }

    async fn ask(
        &mut self,
        mut connection: SendRequest<Empty<Bytes>>,
        path: &str,
        wait: Duration,
    ) -> Result<(HeaderMap, Bytes)> {
        let request = Request::get(path)
            .header(HOST, self.endpoint.to_string())
            .body(Empty::new())
            .map_err(|error| self.odd("the question cannot be asked").caused_by(error))?;
        let exchange = async {
            let response = connection.send_request(request).await.map_err(|error| self.lost(error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES)
                .collect()
                .await
                .map_err(|error| self.odd("its answer broke off").caused_by(error))?
                .to_bytes();
            Ok((head, body))
        };
        let (head, body) = timeout(wait + ANSWER_TIMEOUT, exchange).await.map_err(|_| {
            Error::new(Code::IncubatorTimeout, format!("{} did not answer in time", self.endpoint))
        })??;
        if head.status != StatusCode::OK {
            return Err(self.odd(&format!("it answered {}", head.status)));
        }
        self.connection = Some(connection);
        Ok((head.headers, body))
    }

    fn odd(&self, what: &str) -> Error {
        Error::new(Code::IncubatorAnswer, format!("{}: {what}", self.endpoint))
    }

    /// A connection that did not last; the alert of a late refusal is in there where there was one.
    fn lost(&self, error: hyper::Error) -> Error {
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                return Fault::from_io(io).into_error(&self.endpoint, Code::IncubatorUnreachable);
            }
            source = cause.source();
        }
        let code = if error.is_parse() { Code::IncubatorAnswer } else { Code::IncubatorUnreachable };
        Error::new(code, format!("{}: the connection was lost", self.endpoint)).caused_by(error)
    }
}
