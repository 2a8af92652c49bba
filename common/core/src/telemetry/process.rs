//! What the kernel says of this process, under the names that Prometheus' own clients give it. Read from `/proc` at each
//! scrape; what cannot be read is left as it was.

use std::fs;

use prometheus::{
    IntCounter, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// The unit of times in `/proc/…/stat`. It is part of the kernel's interface, whatever the kernel counts in itself.
const TICKS_A_SECOND: u64 = 100;

pub struct Process {
    cpu: IntCounter,
    open_files: IntGauge,
    most_files: IntGauge,
    virtual_bytes: IntGauge,
    resident_bytes: IntGauge,
    started: IntGauge,
    threads: IntGauge,
}

impl Process {
    #[expect(clippy::expect_used, reason = "names and helps are constants of this function")]
    pub fn new() -> Self {
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).expect("a valid metric");
        let process = Self {
            cpu: IntCounter::new(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
            )
            .expect("a valid metric"),
            open_files: gauge("process_open_fds", "Number of open file descriptors."),
            most_files: gauge("process_max_fds", "Maximum number of open file descriptors."),
            virtual_bytes: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
            resident_bytes: gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
            started: gauge(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
            ),
            threads: gauge("process_threads", "Number of OS threads in the process."),
        };
        if let (Some(stat), Some(booted)) = (times(), booted()) {
            process.started.set((booted + stat.started / TICKS_A_SECOND) as i64);
        }
        process
    }

    fn read(&self) {
        if let Some(stat) = times() {
            let total = stat.cpu / TICKS_A_SECOND;
            // Two scrapes at once: the other one may have been here.
            self.cpu.inc_by(total.saturating_sub(self.cpu.get()));
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_files.set(files.count() as i64);
        }
        if let Some(most) = after("/proc/self/limits", "Max open files") {
            self.most_files.set(most as i64);
        }
        let status = "/proc/self/status";
        for (name, unit, gauge) in [
            ("VmSize:", 1024, &self.virtual_bytes),
            ("VmRSS:", 1024, &self.resident_bytes),
            ("Threads:", 1, &self.threads),
        ] {
            if let Some(value) = after(status, name) {
                gauge.set(value as i64 * unit);
            }
        }
    }
}

/// In ticks: spent on processors, and from the machine's start to the process'.
struct Times {
    cpu: u64,
    started: u64,
}

fn times() -> Option<Times> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets, with anything in it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // As `man 5 proc_pid_stat` counts them, from the third on.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Times { cpu: field(14)? + field(15)?, started: field(22)? })
}

fn booted() -> Option<u64> {
    after("/proc/stat", "btime")
}

/// The number behind a name at the start of a line.
fn after(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self.gauges().into_iter().flat_map(Collector::desc);
        self.cpu.desc().into_iter().chain(gauges).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        let gauges = self.gauges().into_iter().flat_map(Collector::collect);
        self.cpu.collect().into_iter().chain(gauges).collect()
    }
}

impl Process {
    fn gauges(&self) -> [&IntGauge; 6] {
        [
            &self.open_files,
            &self.most_files,
            &self.virtual_bytes,
            &self.resident_bytes,
            &self.started,
            &self.threads,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let process = Process::new();
        let families = process.collect();
        assert_eq!(families.len(), process.desc().len());
        assert!(process.open_files.get() > 2 && process.most_files.get() >= process.open_files.get());
        assert!(process.virtual_bytes.get() > process.resident_bytes.get());
        assert!(process.resident_bytes.get() > 100_000 && process.threads.get() > 0);
        let ago = crate::clock::now().timestamp() - process.started.get();
        assert!((-2..86_400).contains(&ago), "started {ago} seconds ago");
    }
}
