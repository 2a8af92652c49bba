//! A TCP link that can lie: it passes bytes on, or goes silent without closing anything, as a network does that forgets a
//! connection, or cuts one in the middle of what is said.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    /// Connections numbered below this are silent.
    silent_below: Arc<AtomicU64>,
    made: Arc<AtomicU64>,
    all_silent: Arc<AtomicBool>,
    delay_ms: Arc<AtomicU64>,
    cuts_left: Arc<AtomicU64>,
    /// A connection is cut once its server has said so many bytes.
    cut_after: Arc<AtomicU64>,
}

impl Proxy {
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            silent_below: Arc::default(),
            made: Arc::default(),
            all_silent: Arc::default(),
            delay_ms: Arc::default(),
            cuts_left: Arc::default(),
            cut_after: Arc::default(),
        };
        let link = proxy.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let number = link.made.fetch_add(1, Ordering::SeqCst);
                let link = link.clone();
                tokio::spawn(async move {
                    let server = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], to))).await;
                    let Ok(server) = server else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let cut = Notify::new();
                    let both = async {
                        tokio::join!(
                            link.pass(number, from_client, to_server, None),
                            link.pass(number, from_server, to_client, Some(&cut))
                        )
                    };
                    tokio::select! {
                        _ = both => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        proxy
    }

    fn is_silent(&self, number: u64) -> bool {
        self.all_silent.load(Ordering::SeqCst) || number < self.silent_below.load(Ordering::SeqCst)
    }

    /// Reads and acknowledges everything; passes it on while the connection is not silent. A silent one does not even pass
    /// on that its other end has closed.
    async fn pass(
        &self,
        number: u64,
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
        cut: Option<&Notify>,
    ) {
        let mut buffer = vec![0; 64 * 1_024];
        let mut said = 0;
        while let Ok(length) = from.read(&mut buffer).await {
            if self.is_silent(number) {
                if length == 0 {
                    while self.is_silent(number) {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    return;
                }
                continue;
            }
            // Read and late, one after the other: a long way, not a narrow one, as long as little is said.
            tokio::time::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst))).await;
            if let Some(cut) = cut.filter(|_| length > 0) {
                let left = self.cut_after.load(Ordering::SeqCst).saturating_sub(said) as usize;
                if length > left && self.takes_a_cut() {
                    let _ = to.write_all(&buffer[..left]).await;
                    cut.notify_one();
                    return;
                }
                said += length as u64;
            }
            if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    }

    /// What is passed on from now on is that late, each way.
    pub fn delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    fn takes_a_cut(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        self.cuts_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// The next so many connections whose server says more than this are cut there.
    pub fn cut(&self, times: u64, after: u64) {
        self.cut_after.store(after, Ordering::SeqCst);
        self.cuts_left.store(times, Ordering::SeqCst);
    }

    pub fn cuts_left(&self) -> u64 {
        self.cuts_left.load(Ordering::SeqCst)
    }

    /// All connections there are fall silent for good; new ones work.
    pub fn silence_present(&self) {
        self.silent_below.store(self.made.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// Everything falls silent, also what is connected meanwhile, until it is lifted. What fell silent stays so.
    pub fn silence_all(&self, silent: bool) {
        if !silent {
            self.silence_present();
        }
        self.all_silent.store(silent, Ordering::SeqCst);
    }
}
