//! Child processes that die with the driver, and can be killed, paused and asked to stop.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock, mpsc},
    time::{Duration, Instant},
};

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a child from a thread that lives as long as the driver: Linux sends the parent-death signal when the *thread*
/// that started a child ends.
fn spawn(command: Command) -> Result<Child, String> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let orders = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _gone = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (answer, spawned) = mpsc::channel();
    let sender = orders.lock().map_err(|_| "the spawner is gone")?;
    sender.send((command, answer)).map_err(|_| "the spawner is gone")?;
    drop(sender);
    let spawned = spawned.recv().map_err(|_| "the spawner is gone")?;
    spawned.map_err(|error| format!("cannot start a program (is util-linux' setpriv there?): {error}"))
}

/// `setpriv`, which arranges that the program dies with us.
pub fn tied() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    command
}

pub struct Process {
    child: Child,
    pub pid: u32,
    pub log: PathBuf,
}

impl Process {
    /// `command` is [`tied`] with the program and its arguments; its output is appended to `log`.
    pub fn start(mut command: Command, log: &Path) -> Result<Self, String> {
        let out = File::options().create(true).append(true).open(log);
        let out = out.map_err(|error| format!("{}: {error}", log.display()))?;
        let err = out.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = spawn(command)?;
        let pid = child.id();
        Ok(Self { child, pid, log: log.to_owned() })
    }

    pub fn signal(&self, signal: &str) {
        let _gone = Command::new("kill")
            .args([&format!("-{signal}"), &self.pid.to_string()])
            .stderr(Stdio::null())
            .status();
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }

    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub async fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.exited() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The last lines of what it wrote.
    pub fn tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
