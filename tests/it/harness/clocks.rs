//! Processes whose machine's clock is wrong.

use std::path::{Path, PathBuf};

use super::{
    app::{App, READY},
    servers::{free_port, unique},
};

impl App {
    /// A worker whose machine's clock is wrong by so much (`+30s`).
    pub fn add_worker_with_clock(&mut self, off: &str, arguments: &[&str]) {
        let arguments: Vec<String> =
            ["worker"].iter().chain(arguments).map(|&text| text.to_owned()).collect();
        let process = self.process_with(&unique("worker"), &arguments, 0, &fake_clock(off));
        process.line_with("rapport worker takes jobs", READY);
        self.workers.push(process);
    }

    pub fn add_api_with_clock(&mut self, off: &str) {
        let port = free_port();
        let process = self.process_with(&unique("api"), &["api".to_owned()], port, &fake_clock(off));
        process.line_with(&format!("http://127.0.0.1:{port}"), READY);
        self.apis.push(process);
        self.ports.push(port);
    }

    /// Starts an embedded process again, with a clock that is so far off, and can be set while it runs.
    pub fn restart_api_with_settable_clock(&mut self, index: usize, off: &str) -> Clock {
        self.apis[index].kill();
        let clock = Clock(self.folder.join("clock"));
        clock.set(off);
        let mut env = fake_clock("+0s");
        env.retain(|(key, _)| key != "FAKETIME");
        for (key, value) in
            [("FAKETIME_TIMESTAMP_FILE", clock.0.to_str().unwrap()), ("FAKETIME_NO_CACHE", "1")]
        {
            env.push((key.to_owned(), value.to_owned()));
        }
        let port = self.ports[index];
        let process = self.process_with(&unique("api"), &[], port, &env);
        process.line_with(&format!("http://127.0.0.1:{port}"), READY);
        self.apis[index] = process;
        clock
    }
}

/// What makes a process believe that its machine's clock is wrong.
fn fake_clock(off: &str) -> Vec<(String, String)> {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    assert!(
        Path::new(library).exists(),
        "libfaketime is not installed: ./test installs it on Debian, as root"
    );
    // Timers go by a clock that nobody can set; libfaketime would set it too.
    [("LD_PRELOAD", library), ("FAKETIME", off), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
}

/// The clock of a running process.
pub struct Clock(PathBuf);

impl Clock {
    /// How far it is off from now on (`-600s`).
    pub fn set(&self, off: &str) {
        std::fs::write(&self.0, off).unwrap();
    }
}
