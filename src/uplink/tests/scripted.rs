//! A network of receivers that do what a test says, over pipes, with a paused clock: the whole uplink but for TLS.

use super::*;
use crate::pki::testing::Ca;
use crate::uplink::dial::Dialled;
use crate::uplink::lumberjack::{Decoder, Frame, Limits, ack};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// What a receiver does with the events of a window.
pub(super) enum Answer {
    Acknowledge,
    Close,
    /// Signs of life, and nothing else, for as long as the connection lasts.
    KeepAlive,
}

/// Decides for one window: which receiver, which events.
pub(super) type Script = Box<dyn FnMut(usize, &[u64]) -> Answer + Send>;

/// Receivers `0:1`, `1:1`, … behind one script.
pub(super) struct Scripted {
    script: Arc<Mutex<Script>>,
    /// Which receivers can be reached.
    pub up: Arc<Mutex<Vec<bool>>>,
    /// What was acknowledged: receiver and event.
    pub taken: Arc<Mutex<Vec<(usize, u64)>>>,
    /// When each receiver was dialled.
    pub dialled: Arc<Mutex<Vec<(usize, Instant)>>>,
}

impl Scripted {
    pub fn new(receivers: usize, script: impl FnMut(usize, &[u64]) -> Answer + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Arc::new(Mutex::new(Box::new(script))),
            up: Arc::new(Mutex::new(vec![true; receivers])),
            taken: Arc::default(),
            dialled: Arc::default(),
        })
    }

    pub fn events(&self) -> Vec<u64> {
        self.taken.lock().unwrap().iter().map(|&(_, seq)| seq).collect()
    }

    /// The uplink at work on it; its end is that of the sender.
    pub fn start(
        self: &Arc<Self>,
        queue: &Arc<MemoryQueue>,
        targets: &[&str],
        settings: settings::Uplink,
    ) -> (Arc<Status>, watch::Sender<Stop>) {
        let config = Ca::new().client_config("client");
        let status = Arc::new(Status::default());
        let (stop, stopped) = watch::channel(Stop::Running);
        let uplink = Uplink {
            queue: Arc::<MemoryQueue>::clone(queue),
            durable: queue.durable(),
            writer: PlainWriter("c"),
            targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
            tls: Arc::new(move || Ok(Arc::clone(&config))),
            dial: Arc::<Self>::clone(self),
            settings,
            status: Arc::clone(&status),
        };
        tokio::spawn(uplink.run(stopped));
        (status, stop)
    }
}

impl Dial for Scripted {
    fn dial<'a>(
        &'a self,
        endpoint: &'a settings::Endpoint,
        _config: Arc<ClientConfig>,
        _bound: Duration,
    ) -> BoxFuture<'a, Result<Dialled, Fault>> {
        Box::pin(async move {
            let receiver: usize = endpoint.host.trim_start_matches('r').parse().unwrap();
            self.dialled.lock().unwrap().push((receiver, Instant::now()));
            if !self.up.lock().unwrap()[receiver] {
                return Err(Fault::Connect("refused".to_owned()));
            }
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let (script, taken, up) =
                (Arc::clone(&self.script), Arc::clone(&self.taken), Arc::clone(&self.up));
            tokio::spawn(receive(theirs, receiver, script, taken, up));
            Ok(Dialled { stream: Box::new(ours), address: endpoint.to_string(), protocol: String::new() })
        })
    }
}

async fn receive(
    mut stream: DuplexStream,
    receiver: usize,
    script: Arc<Mutex<Script>>,
    taken: Arc<Mutex<Vec<(usize, u64)>>>,
    up: Arc<Mutex<Vec<bool>>>,
) {
    let mut decoder = Decoder::new(Limits::RECEIVER);
    let (mut window, mut expected) = (Vec::new(), 0);
    let mut bytes = vec![0; 64 * 1024];
    loop {
        while let Some(frame) = decoder.next().unwrap() {
            match frame {
                Frame::Window(count) => expected = count as usize,
                Frame::Event { json, .. } => {
                    let event: serde_json::Value = serde_json::from_slice(json).unwrap();
                    window.push(event["connector"]["seq"].as_u64().unwrap());
                }
                Frame::Ack(_) => panic!("a sender does not acknowledge"),
            }
        }
        if !window.is_empty() && window.len() == expected {
            if !up.lock().unwrap()[receiver] {
                return;
            }
            let answer = (script.lock().unwrap())(receiver, &window);
            match answer {
                Answer::Acknowledge => {
                    taken.lock().unwrap().extend(window.iter().map(|&seq| (receiver, seq)));
                    stream.write_all(&ack(expected as u32)).await.unwrap();
                    window.clear();
                }
                Answer::Close => return,
                Answer::KeepAlive => {
                    while stream.write_all(&ack(0)).await.is_ok() {
                        sleep(Duration::from_secs(5)).await;
                    }
                    return;
                }
            }
            continue;
        }
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(length) => decoder.feed(&bytes[..length]),
        }
    }
}
