//! The requests themselves: [`Engine`] for a [`Connection`].

use super::container::HostLimits;
use super::{
    Connection, ContainerInfo, ContainerSpec, Engine, ImageInfo, Info, OnProgress, Progress, answers, docker,
    http, podman,
};
use crate::error::{Code, Error, Result};
use crate::settings::EngineKind;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as ApiError;
use bollard::models::CreateImageInfo;
use bollard::query_parameters as query;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use hyper::{Method, StatusCode};
use serde_json::Value;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Podman answers some questions from files that change under its eyes, and fails where it meets them half-way (seen with
/// 4.3.1: "read /proc/N/cgroup: no such process" for a process that ends, "is not a valid container log line" for a
/// line that is being written). A moment later it knows, so questions are asked so often.
const ASK_ATTEMPTS: u32 = 5;
/// Between two attempts.
const ASK_PAUSE: Duration = Duration::from_millis(200);

/// A short request. Engines answer in milliseconds; under load and on a cold disk it has been seconds.
const SHORT: Duration = Duration::from_secs(30);
/// Creating and starting: the image's layer is mounted, or copied where the storage driver is `vfs`.
const START: Duration = Duration::from_secs(120);
/// Loading an image of some 20 MB, also onto slow storage.
const LOAD: Duration = Duration::from_secs(600);
/// Pulling, as a whole: the manual speaks of "some minutes".
const PULL: Duration = Duration::from_secs(3600);
/// Pulling, without a word from the engine.
const PULL_SILENCE: Duration = Duration::from_secs(300);
/// What stopping may take beyond the container's own time.
const STOP_MARGIN: Duration = Duration::from_secs(30);
/// Between two reports of progress.
const REPORT: Duration = Duration::from_millis(200);
/// An archive is sent in pieces of so many bytes, so that progress can be seen.
const PIECE_BYTES: usize = 256 * 1024;
/// The most lines of output that are asked for.
const MAX_LOG_LINES: usize = 10_000;

/// Runs a request within its bound.
async fn bounded<T>(
    doing: &str,
    bound: Duration,
    request: impl Future<Output = Result<T>> + Send,
) -> Result<T> {
    tokio::time::timeout(bound, request).await.unwrap_or_else(|_| {
        Err(Error::new(Code::EngineTimeout, format!("{doing}: no answer within {} s", bound.as_secs())))
    })
}

/// An error answer, or none at all, in the operator's terms. `code` is for what the engine refused.
fn refused(code: Code, doing: &str, error: ApiError) -> Error {
    match error {
        ApiError::DockerResponseServerError { message, .. } => {
            Error::new(code, format!("{doing}: {}", message.trim()))
        }
        ApiError::DockerStreamError { error } => Error::new(code, format!("{doing}: {}", error.trim())),
        ApiError::RequestTimeoutError => {
            Error::new(Code::EngineTimeout, format!("{doing}: the engine did not answer in time"))
        }
        ApiError::HyperResponseError { .. }
        | ApiError::HttpClientError { .. }
        | ApiError::IOError { .. }
        | ApiError::SocketNotFoundError(_) => {
            Error::new(Code::EngineUnreachable, doing.to_owned()).caused_by(error)
        }
        other => Error::new(code, doing.to_owned()).caused_by(other),
    }
}

fn status_of(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether a stream of messages ended well: bollard 0.21.1 takes the second half of a last CRLF, where it comes in a read
/// of its own, for the beginning of another message.
fn is_end(error: &ApiError) -> bool {
    error.to_string().contains("bytes remaining on stream")
}

/// What a failed start was about: a port in use has its own code, because it has its own remedy.
fn start_failed(doing: &str, error: ApiError) -> Error {
    let taken = matches!(&error, ApiError::DockerResponseServerError { message, .. }
        if message.contains("address already in use") || message.contains("port is already allocated"));
    refused(if taken { Code::PortTaken } else { Code::ContainerNotStarted }, doing, error)
}

/// A path segment: names and ids of images and containers have few characters that need it.
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' | b'/' | b'@' => {
                out.push(char::from(byte));
            }
            _ => {
                use std::fmt::Write;
                write!(out, "%{byte:02X}").expect("a String takes everything");
            }
        }
    }
    out
}

impl Connection {
    /// A client for one request; its connection ends with it.
    fn client(&self, bound: Duration) -> Result<Docker> {
        let path = self.socket().to_string_lossy();
        // The request's own bound comes first; this one only keeps bollard's default of two minutes out of the way.
        let seconds = bound.as_secs() + 1;
        Docker::connect_with_unix(&path, seconds, bollard::API_DEFAULT_VERSION)
            .map_err(|error| refused(Code::EngineUnreachable, &format!("{path} cannot be used"), error))
    }

    async fn get(&self, doing: &str, path: &str) -> Result<(StatusCode, Value)> {
        get(self.socket(), doing, path).await
    }
}

/// One GET whose answer is JSON.
async fn get(socket: &Path, doing: &str, path: &str) -> Result<(StatusCode, Value)> {
    bounded(doing, SHORT, async {
        http::json(socket, Method::GET, path, None)
            .await
            .map_err(|error| Error::new(Code::EngineUnreachable, doing.to_owned()).caused_by(error))
    })
    .await
}

/// What the engine behind a socket says of itself.
pub(super) async fn info(socket: &Path) -> Result<Info> {
    let doing = "asking the container engine for its version";
    let ask = async |path: &str| {
        let (status, answer) = get(socket, doing, path).await?;
        if status.is_success() {
            Ok(answer)
        } else {
            Err(Error::new(Code::EngineRefused, format!("{doing}: {}", http::message(&answer))))
        }
    };
    let version = ask("/version").await?;
    match answers::podman_api(&version) {
        Some(api) => {
            let info = ask(&format!("/v{api}/libpod/info")).await?;
            Ok(answers::podman_info(&version, &info))
        }
        None => Ok(answers::docker_info(&version, &ask("/info").await?)),
    }
}

/// The archive in pieces, counting what was handed over.
fn pieces(archive: Bytes, done: Arc<AtomicU64>) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(archive, move |mut rest| {
        let done = Arc::clone(&done);
        async move {
            if rest.is_empty() {
                return None;
            }
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            done.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Some((piece, rest))
        }
    })
}

impl Engine for Connection {
    async fn info(&self) -> Result<Info> {
        info(self.socket()).await
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>> {
        let doing = format!("asking for the image {reference}");
        let (status, answer) = self.get(&doing, &format!("/images/{}/json", segment(reference))).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let id = answer["Id"].as_str().filter(|_| status.is_success());
        let Some(id) = id else {
            return Err(Error::new(Code::EngineRefused, format!("{doing}: {}", http::message(&answer))));
        };
        Ok(Some(ImageInfo {
            id: if id.contains(':') { id.to_owned() } else { format!("sha256:{id}") },
            size_bytes: answer["Size"].as_u64().unwrap_or(0),
            references: answer["RepoTags"]
                .as_array()
                .map(|tags| tags.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
                .unwrap_or_default(),
        }))
    }

    async fn load_image(&self, archive: Bytes, progress: OnProgress<'_>) -> Result<String> {
        let doing = "loading the image";
        let total = archive.len() as u64;
        let client = self.client(LOAD)?;
        let done = Arc::new(AtomicU64::new(0));
        let body = bollard::body_stream(pieces(archive, Arc::clone(&done)));
        let options = query::ImportImageOptionsBuilder::new().quiet(false).build();
        let text = bounded(doing, LOAD, async {
            let mut answers = client.import_image(options, body, None);
            let mut ticks = tokio::time::interval(REPORT);
            let mut text = String::new();
            loop {
                tokio::select! {
                    answer = answers.next() => match answer {
                        Some(Ok(answer)) => text.push_str(answer.stream.as_deref().unwrap_or_default()),
                        Some(Err(error)) if is_end(&error) => break,
                        Some(Err(error)) => return Err(refused(Code::ImageLoadFailed, doing, error)),
                        None => break,
                    },
                    _ = ticks.tick() => progress(Progress {
                        step: String::new(),
                        done_bytes: done.load(Ordering::Relaxed),
                        total_bytes: Some(total),
                    }),
                }
                // Docker ends its messages with a line feed, Podman does not.
                if !text.ends_with('\n') {
                    text.push('\n');
                }
            }
            progress(Progress { step: String::new(), done_bytes: total, total_bytes: Some(total) });
            Ok(text)
        })
        .await?;
        let reference = answers::loaded(&text).ok_or_else(|| {
            Error::new(Code::ImageLoadFailed, format!("{doing}: the engine answered {:?}", text.trim()))
        })?;
        let image = self.image(reference).await?.ok_or_else(|| {
            Error::new(Code::ImageLoadFailed, format!("{doing}: the engine lost {reference} at once"))
        })?;
        Ok(image.id)
    }

    async fn pull_image(&self, reference: &str, progress: OnProgress<'_>) -> Result<String> {
        let reference = answers::with_tag(reference);
        let doing = format!("pulling {reference}");
        let client = self.client(PULL)?;
        let options = query::CreateImageOptionsBuilder::new().from_image(&reference).build();
        bounded(&doing, PULL, async {
            let mut answers = client.create_image(Some(options), None, None);
            loop {
                let answer = tokio::time::timeout(PULL_SILENCE, answers.next()).await.map_err(|_| {
                    Error::new(
                        Code::EngineTimeout,
                        format!("{doing}: nothing heard for {} s", PULL_SILENCE.as_secs()),
                    )
                })?;
                match answer {
                    Some(Ok(CreateImageInfo { status, progress_detail, .. })) => {
                        let detail = progress_detail.unwrap_or_default();
                        let bytes = |value: Option<i64>| value.and_then(|n| u64::try_from(n).ok());
                        progress(Progress {
                            step: answers::printable(status.unwrap_or_default().trim()),
                            done_bytes: bytes(detail.current).unwrap_or(0),
                            total_bytes: bytes(detail.total).filter(|total| *total > 0),
                        });
                    }
                    Some(Err(error)) if is_end(&error) => return Ok(()),
                    Some(Err(error)) => return Err(refused(Code::ImagePullFailed, &doing, error)),
                    None => return Ok(()),
                }
            }
        })
        .await?;
        let image = self.image(&reference).await?.ok_or_else(|| {
            Error::new(Code::ImagePullFailed, format!("{doing}: the engine does not have it afterwards"))
        })?;
        Ok(image.id)
    }

    async fn remove_image(&self, reference: &str) -> Result<bool> {
        let Some(image) = self.image(reference).await? else { return Ok(false) };
        // Without force an engine removes an image only under its last name, and with force Podman would remove
        // the containers that use it.
        for name in image.references.iter().chain(std::iter::once(&image.id)) {
            let doing = format!("removing the image {name}");
            let client = self.client(START)?;
            let options = query::RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
            let removed = bounded(&doing, START, async {
                match client.remove_image(name, Some(options), None).await {
                    Ok(_) => Ok(()),
                    Err(error) => match status_of(&error) {
                        Some(404) => Ok(()),
                        Some(409) => Err(refused(Code::ImageInUse, &doing, error)),
                        _ => Err(refused(Code::EngineRefused, &doing, error)),
                    },
                }
            });
            removed.await?;
        }
        Ok(true)
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Vec<String>> {
        let doing = format!("creating the container {}", spec.name);
        let info = self.info().await?;
        let (limits, mut remarks) = spec.limits_for(&info, HostLimits::read());
        let exists = || {
            Error::new(Code::ContainerExists, format!("{doing}: there is a container of that name already"))
        };
        match info.kind {
            EngineKind::Docker => {
                let client = self.client(START)?;
                let options = query::CreateContainerOptionsBuilder::new().name(&spec.name).build();
                let body = docker::create_body(spec, limits, &info);
                let created = bounded(&doing, START, async {
                    client.create_container(Some(options), body).await.map_err(|error| {
                        if status_of(&error) == Some(409) {
                            exists()
                        } else {
                            refused(Code::EngineRefused, &doing, error)
                        }
                    })
                });
                remarks.extend(created.await?.warnings);
            }
            EngineKind::Podman => {
                let body = podman::create_body(spec, limits, &info);
                let path = format!("/v{}/libpod/containers/create", info.api);
                let (status, answer) = bounded(&doing, START, async {
                    http::json(self.socket(), Method::POST, &path, Some(&body))
                        .await
                        .map_err(|error| Error::new(Code::EngineUnreachable, doing.clone()).caused_by(error))
                })
                .await?;
                if !status.is_success() {
                    let message = http::message(&answer);
                    // Podman 4.3.1 answers 500 where Docker answers 409.
                    if status == StatusCode::CONFLICT || message.contains("is already in use") {
                        return Err(exists());
                    }
                    if message.contains("/etc/subuid") {
                        return Err(Error::new(
                            Code::SubordinateIdsMissing,
                            format!(
                                "{doing}: {message}; as root run `usermod --add-subuids FIRST-LAST --add-subgids \
                                 FIRST-LAST USER` with a range of 65536 that nobody else has"
                            ),
                        ));
                    }
                    return Err(Error::new(Code::EngineRefused, format!("{doing}: {message}")));
                }
                let warnings = answer["Warnings"].as_array().into_iter().flatten();
                remarks.extend(warnings.filter_map(Value::as_str).map(ToOwned::to_owned));
            }
        }
        Ok(remarks)
    }

    async fn start(&self, name: &str) -> Result<()> {
        let doing = format!("starting the container {name}");
        let client = self.client(START)?;
        bounded(&doing, START, async {
            client.start_container(name, None::<query::StartContainerOptions>).await.map_err(|error| {
                match status_of(&error) {
                    Some(404) if !message_is_about_starting(&error) => {
                        refused(Code::ContainerMissing, &doing, error)
                    }
                    _ => start_failed(&doing, error),
                }
            })
        })
        .await
    }

    async fn inspect(&self, name: &str) -> Result<Option<ContainerInfo>> {
        patiently(|| self.inspect_once(name)).await
    }

    async fn stop(&self, name: &str, timeout: Duration) -> Result<()> {
        let doing = format!("stopping the container {name}");
        let bound = timeout + STOP_MARGIN;
        let client = self.client(bound)?;
        let seconds = i32::try_from(timeout.as_secs()).unwrap_or(i32::MAX);
        let options = query::StopContainerOptionsBuilder::new().t(seconds).build();
        bounded(&doing, bound, async {
            client.stop_container(name, Some(options)).await.map_err(|error| match status_of(&error) {
                Some(404) => refused(Code::ContainerMissing, &doing, error),
                _ => refused(Code::EngineRefused, &doing, error),
            })
        })
        .await
    }

    async fn remove(&self, name: &str, force: bool) -> Result<bool> {
        let doing = format!("removing the container {name}");
        // With force, Podman stops it first and gives it the container's own time for that.
        let bound = START + STOP_MARGIN;
        let client = self.client(bound)?;
        let options = query::RemoveContainerOptionsBuilder::new().force(force).v(true).build();
        bounded(&doing, bound, async {
            match client.remove_container(name, Some(options)).await {
                Ok(()) => Ok(true),
                Err(error) if status_of(&error) == Some(404) => Ok(false),
                Err(error) => Err(refused(Code::EngineRefused, &doing, error)),
            }
        })
        .await
    }

    async fn logs(&self, name: &str, last_lines: usize) -> Result<Vec<String>> {
        let last_lines = last_lines.min(MAX_LOG_LINES);
        patiently(|| self.output(name, last_lines)).await
    }
}

/// Asks again, a few times, where the engine refused a question that changes nothing.
async fn patiently<T, Answer>(ask: impl Fn() -> Answer + Send) -> Result<T>
where
    T: Send,
    Answer: Future<Output = Result<T>> + Send,
{
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(error) if error.code() == Code::EngineRefused && attempt < ASK_ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(ASK_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

impl Connection {
    async fn inspect_once(&self, name: &str) -> Result<Option<ContainerInfo>> {
        let doing = format!("asking for the container {name}");
        let (status, answer) = self.get(&doing, &format!("/containers/{}/json", segment(name))).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(Error::new(Code::EngineRefused, format!("{doing}: {}", http::message(&answer))));
        }
        Ok(Some(answers::container_info(&answer)))
    }

    async fn output(&self, name: &str, last_lines: usize) -> Result<Vec<String>> {
        let doing = format!("reading the output of the container {name}");
        let client = self.client(SHORT)?;
        let options =
            query::LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&last_lines.to_string()).build();
        bounded(&doing, SHORT, async {
            let mut answers = client.logs(name, Some(options));
            let mut text = Vec::new();
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok(
                        LogOutput::StdErr { message }
                        | LogOutput::StdOut { message }
                        | LogOutput::StdIn { message }
                        | LogOutput::Console { message },
                    ) => text.extend_from_slice(&message),
                    Err(error) if status_of(&error) == Some(404) => {
                        return Err(refused(Code::ContainerMissing, &doing, error));
                    }
                    Err(error) => return Err(refused(Code::EngineRefused, &doing, error)),
                }
            }
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<String> = text.lines().map(answers::printable).collect();
            let surplus = lines.len().saturating_sub(last_lines);
            Ok(lines.into_iter().skip(surplus).collect())
        })
        .await
    }
}

/// Podman and Docker answer 404 also where the command inside does not exist.
fn message_is_about_starting(error: &ApiError) -> bool {
    matches!(error, ApiError::DockerResponseServerError { message, .. } if !message.to_lowercase().contains("no such container"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_path() {
        assert_eq!(segment("localhost:5000/soc:1"), "localhost:5000/soc:1");
        assert_eq!(segment("a b?c#%"), "a%20b%3Fc%23%25");
    }

    #[test]
    fn a_taken_port_has_its_own_code() {
        let error =
            |message: &str| ApiError::DockerResponseServerError { status_code: 500, message: message.into() };
        for (message, code) in [
            ("driver failed: listen udp4 0.0.0.0:514: bind: address already in use", Code::PortTaken),
            ("Bind for 0.0.0.0:514 failed: port is already allocated", Code::PortTaken),
            ("OCI runtime error", Code::ContainerNotStarted),
        ] {
            assert_eq!(start_failed("starting", error(message)).code(), code);
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_silent_is_left() {
        tokio::time::pause();
        let error =
            bounded("asking", SHORT, std::future::pending::<Result<()>>()).await.expect_err("silence");
        assert_eq!(error.code(), Code::EngineTimeout);
    }
}
