//! Every metric, declared once. Labels are bounded: routes are templates, never paths; no user, job or worker names.

use std::sync::LazyLock;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

use crate::domain::job::Queue;

/// From one hop of the queue to the longest answer.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

pub struct Metrics {
    registry: Registry,
    /// Answered HTTP requests.
    pub requests: IntCounterVec,
    pub request_seconds: HistogramVec,
    /// Connections by state (`open`).
    pub connections: IntGaugeVec,
    pub connections_refused: IntCounterVec,
    /// Streams open now, by transport (`sse`, `websocket`).
    pub open_streams: IntGaugeVec,
    pub jobs_enqueued: IntCounterVec,
    /// Rows taken away because their time was over, by table.
    pub rows_pruned: IntCounterVec,
    /// Ended attempts by kind and outcome (`succeeded`, `failed`, `cancelled`, `retried`, `waits`, `handed_back`, `lost`).
    pub job_attempts: IntCounterVec,
    pub job_seconds: HistogramVec,
    /// From the job's due time to its handler's start.
    pub job_wait_seconds: HistogramVec,
    pub jobs_running: IntGaugeVec,
    pub queue_depth: IntGaugeVec,
    pub queue_oldest_seconds: IntGaugeVec,
    pub reclaimed: IntCounterVec,
    pub first_token_seconds: HistogramVec,
    pub tokens: IntCounterVec,
    pub provider_errors: IntCounterVec,
    /// Calls of tools by name and outcome (`ok`, `failed`).
    pub tool_calls: IntCounterVec,
    pub events: IntCounterVec,
    pub wire_errors: IntCounterVec,
    /// What was written in groups, and in how many statements.
    pub grouped: IntCounterVec,
    pub groups: IntCounterVec,
    pub pool_connections: IntGaugeVec,
    pub rate_limited: IntCounterVec,
    /// How far this machine's clock is ahead of the database's, milliseconds.
    pub clock_ahead: IntGaugeVec,
    /// 1 in the worker that sweeps for all.
    pub sweeper_leads: IntGaugeVec,
    /// Looking for a prompt's memories, by outcome (`used`, `empty`, `late`, `failed`).
    pub recalls: IntCounterVec,
    pub recall_seconds: HistogramVec,
    pub past_turns: IntCounterVec,
    pub past_turns_seconds: HistogramVec,
    /// Vectors of others that went from memory to make room, users times corpora.
    pub vectors_forgotten: IntCounterVec,
    /// Windows read, by outcome.
    pub windows: IntCounterVec,
    /// Facts by what became of them.
    pub facts: IntCounterVec,
    /// Files by what became of them (`taken`, `known`, `refused`, `indexed`, `unreadable`, `deleted`).
    pub files: IntCounterVec,
    /// Bytes of files, by direction (`in`, `out`).
    pub file_bytes: IntCounterVec,
}

pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

impl Metrics {
    #[expect(clippy::too_many_lines, reason = "a list: an entry a metric, no step that depends on another")]
    fn new() -> Self {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        register(&registry, super::process::Process::new());
        let counter = |name: &str, help: &str, labels: &[&str]| {
            #[expect(clippy::expect_used, reason = "names and labels are constants of this file")]
            let vec = IntCounterVec::new(Opts::new(name, help), labels).expect("a valid metric");
            register(&registry, vec.clone());
            vec
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            #[expect(clippy::expect_used, reason = "names and labels are constants of this file")]
            let vec = IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid metric");
            register(&registry, vec.clone());
            vec
        };
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            #[expect(clippy::expect_used, reason = "names and labels are constants of this file")]
            let vec = HistogramVec::new(options, labels).expect("a valid metric");
            register(&registry, vec.clone());
            vec
        };
        let metrics = Self {
            requests: counter(
                "rapport_http_requests_total",
                "Answered HTTP requests.",
                &["route", "method", "status"],
            ),
            request_seconds: histogram(
                "rapport_http_request_seconds",
                "Time to the response's head.",
                &["route", "method"],
            ),
            connections: gauge("rapport_connections", "Connections by state.", &["state"]),
            connections_refused: counter(
                "rapport_connections_refused_total",
                "Connections refused because too many were open.",
                &[],
            ),
            open_streams: gauge("rapport_open_streams", "Streams open now.", &["transport"]),
            jobs_enqueued: counter("rapport_jobs_enqueued_total", "Jobs accepted.", &["kind"]),
            rows_pruned: counter(
                "rapport_rows_pruned_total",
                "Rows taken away because their time was over.",
                &["table"],
            ),
            job_attempts: counter(
                "rapport_job_attempts_total",
                "Ended attempts of jobs.",
                &["kind", "outcome"],
            ),
            job_seconds: histogram("rapport_job_seconds", "Time one attempt of a job ran.", &["kind"]),
            job_wait_seconds: histogram(
                "rapport_job_wait_seconds",
                "From the time a job was due to its handler's start.",
                &["kind"],
            ),
            jobs_running: gauge("rapport_jobs_running", "Jobs this process runs now.", &["queue"]),
            queue_depth: gauge("rapport_queue_depth", "Jobs that wait in the ledger.", &["queue"]),
            queue_oldest_seconds: gauge(
                "rapport_queue_oldest_seconds",
                "Age of the oldest due job in the ledger.",
                &["queue"],
            ),
            reclaimed: counter(
                "rapport_jobs_reclaimed_total",
                "Jobs taken back from dead workers.",
                &["kind"],
            ),
            recalls: counter(
                "rapport_memory_recalls_total",
                "Lookups of memories for a prompt, by outcome.",
                &["outcome"],
            ),
            recall_seconds: histogram("rapport_memory_recall_seconds", "Time of such a lookup.", &[]),
            past_turns: counter(
                "rapport_memory_past_turns_total",
                "Lookups of turns of earlier conversations for a prompt, by outcome.",
                &["outcome"],
            ),
            past_turns_seconds: histogram("rapport_memory_past_turns_seconds", "Time of such a lookup.", &[]),
            vectors_forgotten: counter(
                "rapport_vectors_forgotten_total",
                "Users' vectors that went from memory before their time, to make room (MEMORY__CACHE_MB), by what they are of.",
                &["corpus"],
            ),
            windows: counter(
                "rapport_memory_windows_total",
                "Windows of conversation read, by outcome.",
                &["outcome"],
            ),
            files: counter("rapport_files_total", "Files, by what became of them.", &["outcome"]),
            file_bytes: counter("rapport_file_bytes_total", "Bytes of files, by direction.", &["direction"]),
            facts: counter(
                "rapport_memory_facts_total",
                "Extracted facts, by what became of them.",
                &["became"],
            ),
            first_token_seconds: histogram(
                "rapport_first_token_seconds",
                "From the attempt's start to the provider's first word.",
                &["provider"],
            ),
            tokens: counter(
                "rapport_tokens_total",
                "Tokens by provider, model and direction.",
                &["provider", "model", "direction"],
            ),
            provider_errors: counter(
                "rapport_provider_errors_total",
                "Provider errors by class.",
                &["provider", "class"],
            ),
            tool_calls: counter(
                "rapport_tool_calls_total",
                "Calls of tools by name and outcome.",
                &["tool", "outcome"],
            ),
            events: counter("rapport_events_total", "Stream events by fate.", &["fate"]),
            wire_errors: counter(
                "rapport_wire_errors_total",
                "Failed operations on the wire.",
                &["operation"],
            ),
            grouped: counter(
                "rapport_grouped_total",
                "What was written together with others of its kind.",
                &["what"],
            ),
            groups: counter("rapport_groups_total", "The statements that it was written in.", &["what"]),
            pool_connections: gauge("rapport_pool_connections", "Database connections.", &["pool", "state"]),
            clock_ahead: gauge(
                "rapport_clock_ahead_milliseconds",
                "How far this machine's clock is ahead of the database's.",
                &[],
            ),
            sweeper_leads: gauge("rapport_sweeper_leads", "1 in the worker that sweeps for all.", &[]),
            rate_limited: counter("rapport_rate_limited_total", "Refused requests.", &["class"]),
            registry,
        };
        for queue in Queue::ALL {
            // A drained queue reports 0, not nothing.
            metrics.queue_depth.with_label_values(&[queue.as_str()]).set(0);
            metrics.queue_oldest_seconds.with_label_values(&[queue.as_str()]).set(0);
            metrics.jobs_running.with_label_values(&[queue.as_str()]).set(0);
        }
        metrics
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut buffer = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut buffer) {
            tracing::error!(%error, "metrics could not be rendered");
        }
        String::from_utf8(buffer).unwrap_or_default()
    }
}

fn register(registry: &Registry, collector: impl Collector + 'static) {
    #[expect(clippy::expect_used, reason = "every name in this file is used once")]
    registry.register(Box::new(collector)).expect("metric names are distinct");
}
