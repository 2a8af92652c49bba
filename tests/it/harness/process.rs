//! Child processes that die with the tests, and can be killed, paused and asked to stop.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock, mpsc},
    time::{Duration, Instant},
};

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a child from a thread that lives as long as the tests: Linux sends the parent-death signal when the *thread*
/// that started a child ends.
fn spawn(command: Command) -> Child {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let orders = SPAWNER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (answer, spawned) = mpsc::channel();
    orders.lock().unwrap().send((command, answer)).unwrap();
    spawned.recv().unwrap().expect("the program starts (is util-linux' setpriv there?)")
}

pub struct Process {
    pub name: String,
    child: Mutex<Child>,
    pub log: PathBuf,
}

impl Process {
    /// Starts a program that is killed when the tests end; its output goes to `log`.
    pub fn start(name: &str, program: &Path, log: &Path, build: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        Self::start_by(command, name, program, log, build)
    }

    pub fn start_by(
        mut command: Command,
        name: &str,
        program: &Path,
        log: &Path,
        build: impl FnOnce(&mut Command),
    ) -> Self {
        command.arg(program);
        build(&mut command);
        let out = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        Self { name: name.to_owned(), child: Mutex::new(spawn(command)), log: log.to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    pub fn signal(&self, signal: &str) {
        let done =
            Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status().unwrap();
        assert!(done.success(), "{} is gone already", self.name);
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }

    pub fn has_exited(&self) -> bool {
        matches!(self.child.lock().unwrap().try_wait(), Ok(Some(_)))
    }

    pub fn wait(&self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Ok(Some(status)) = self.child.lock().unwrap().try_wait() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} did not exit within {within:?}\n{}",
                self.name,
                self.output()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for the last output line that contains `needle`.
    pub fn line_with(&self, needle: &str, within: Duration) -> String {
        let deadline = Instant::now() + within;
        loop {
            let lines = BufReader::new(File::open(&self.log).unwrap()).lines();
            if let Some(line) = lines.map_while(Result::ok).filter(|line| line.contains(needle)).last() {
                return line;
            }
            assert!(!self.has_exited(), "{} exited:\n{}", self.name, self.output());
            assert!(
                Instant::now() < deadline,
                "{}: no {needle:?} within {within:?}:\n{}",
                self.name,
                self.output()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
