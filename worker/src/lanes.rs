//! The lanes of a process: apalis workers under one monitor, each with a feeder that brings it tickets.
//!
//! Stopping is the monitor's: it is told when the feeders have ended and all they brought runs; then it lets the lanes
//! finish, for as long as the grace lasts. A lane whose feeder panics is started again.

use std::time::Duration;

use apalis_core::{
    error::{BoxDynError, WorkerError},
    monitor::Monitor,
    task::Task,
    worker::{
        builder::WorkerBuilder, context::WorkerContext, event::Event, ext::parallelize::ParallelizeExt,
    },
};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::backend::{LaneBackend, Ticket};

/// Tickets on their way from a feeder to its lane.
const ON_THE_WAY: usize = 64;
/// How long a stop waits for feeders: one may be asking a store that is away.
const FEEDERS_END: Duration = Duration::from_millis(500);
/// Starts of a lane after which it is broken, not unlucky.
const STARTS: usize = 100;

#[derive(Default)]
pub struct Lanes {
    monitor: Monitor,
    feeders: TaskTracker,
}

impl Lanes {
    /// Adds a lane: what `feed` sends is given to `service`, each ticket in a task of its own. `feed` ends when the process
    /// is to take no more jobs.
    pub fn add<S, F>(
        mut self,
        name: String,
        feed: impl Fn(mpsc::Sender<Ticket>) -> F + Send + Sync + 'static,
        service: S,
    ) -> Self
    where
        S: Service<Task<Ticket>, Response = (), Error = BoxDynError> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let feeders = self.feeders.clone();
        self.monitor = self.monitor.register(move |_| {
            let (sender, tickets) = mpsc::channel(ON_THE_WAY);
            let feeding = feed(sender.clone());
            let feeder = feeders.spawn(async move {
                feeding.await;
                // All room is free: the lane has taken everything. Or the lane is gone, and the sweeper announces the rest.
                let _taken = sender.reserve_many(ON_THE_WAY).await;
            });
            WorkerBuilder::new(name.clone())
                .backend(LaneBackend { tickets, feeder })
                .parallelize(tokio::spawn)
                .build(service.clone())
        });
        self
    }

    /// Runs the lanes until `stopping` ends, and then until what they run is done or `grace` ends, whichever is first.
    pub async fn run(
        self,
        stopping: impl Future<Output = ()> + Send,
        grace: impl Future<Output = ()> + Send + 'static,
    ) {
        let Self { monitor, feeders } = self;
        let stop = async move {
            stopping.await;
            feeders.close();
            // What a late one brings is announced again by the sweeper.
            let _late = tokio::time::timeout(FEEDERS_END, feeders.wait()).await;
            Ok(())
        };
        let monitor = monitor.on_event(tell).should_restart(may_restart).with_terminator(grace);
        if let Err(error) = monitor.run_with_signal(stop).await {
            tracing::error!(%error, "the lanes ended badly");
        }
    }
}

fn tell(lane: &WorkerContext, event: &Event) {
    match event {
        // A handler's panic is none: the attempt is ended with it (`service`).
        Event::Error(error) => {
            tracing::error!(lane = lane.name(), %error, "a job's task ended badly: its lease will end");
        }
        Event::Start | Event::Stop | Event::Exit => {
            tracing::debug!(lane = lane.name(), %event, running = lane.task_count());
        }
        _ => {}
    }
}

fn may_restart(lane: &WorkerContext, error: &WorkerError) -> bool {
    let restarts = lane.restarts() < STARTS;
    tracing::error!(lane = lane.name(), %error, restarts, "a lane ended badly");
    restarts
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        time::Instant,
    };

    use rapport_common::domain::ids::JobId;
    use tokio::{
        sync::{Notify, Semaphore},
        task::JoinHandle,
    };
    use tokio_util::sync::CancellationToken;
    use tower::service_fn;

    use super::*;
    use crate::slot::Slot;

    async fn ticket(places: &Arc<Semaphore>) -> Ticket {
        let place = Arc::clone(places).acquire_owned().await.unwrap();
        Ticket { job: JobId::new(), slot: Slot::new(place, CancellationToken::new()) }
    }

    /// A feeder that brings so many tickets and then waits to be stopped.
    async fn feed(tickets: mpsc::Sender<Ticket>, count: usize, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(count));
        for _ in 0..count {
            tickets.send(ticket(&places).await).await.ok().unwrap();
        }
        stop.cancelled().await;
    }

    /// Waits as long as even a busy machine may need.
    async fn within<F: Future>(future: F) -> F::Output {
        tokio::time::timeout(Duration::from_secs(60), future).await.expect("it ends")
    }

    async fn ended(running: JoinHandle<()>) {
        within(running).await.unwrap();
    }

    #[tokio::test]
    async fn idle_lanes_stop_without_the_grace() {
        let stop = CancellationToken::new();
        let feeding = stop.clone();
        let service = service_fn(|_: Task<Ticket>| async { Ok(()) });
        let lanes = Lanes::default().add("lane".into(), move |to| feed(to, 0, feeding.clone()), service);
        let running = tokio::spawn(lanes.run(stop.clone().cancelled_owned(), pending()));
        stop.cancel();
        ended(running).await;
    }

    #[tokio::test]
    async fn a_stop_runs_what_was_brought_and_waits_for_what_runs() {
        let stop = CancellationToken::new();
        let (done, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let service = {
            let (done, go) = (Arc::clone(&done), Arc::clone(&go));
            service_fn(move |_: Task<Ticket>| {
                let (done, go) = (Arc::clone(&done), Arc::clone(&go));
                async move {
                    go.acquire().await?.forget();
                    done.fetch_add(1, SeqCst);
                    Ok(())
                }
            })
        };
        // The feeders end at once, and bring more than the lanes can take in one turn of their task.
        stop.cancel();
        let mut lanes = Lanes::default();
        for _ in 0..3 {
            let feeding = stop.clone();
            lanes =
                lanes.add("lane".into(), move |to| feed(to, ON_THE_WAY, feeding.clone()), service.clone());
        }
        let running = tokio::spawn(lanes.run(stop.cancelled_owned(), pending()));
        tokio::task::yield_now().await;
        assert!(!running.is_finished(), "jobs run");
        go.add_permits(3 * ON_THE_WAY);
        ended(running).await;
        assert_eq!(done.load(SeqCst), 3 * ON_THE_WAY);
    }

    #[tokio::test]
    async fn the_grace_ends_the_wait_for_a_job_that_does_not_end() {
        let stop = CancellationToken::new();
        let begun = Arc::new(Notify::new());
        let telling = Arc::clone(&begun);
        let service = service_fn(move |_: Task<Ticket>| {
            telling.notify_one();
            pending()
        });
        let (feeding, grace) = (stop.clone(), CancellationToken::new());
        let lanes = Lanes::default().add("lane".into(), move |to| feed(to, 1, feeding.clone()), service);
        let running =
            tokio::spawn(lanes.run(stop.clone().cancelled_owned(), grace.clone().cancelled_owned()));
        begun.notified().await;
        stop.cancel();
        tokio::task::yield_now().await;
        assert!(!running.is_finished(), "the grace lasts");
        grace.cancel();
        ended(running).await;
    }

    #[tokio::test]
    async fn a_panic_ends_its_job_alone() {
        let stop = CancellationToken::new();
        let (count, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let finished = Arc::clone(&done);
        let service = service_fn(move |_: Task<Ticket>| {
            let (first, finished) = (count.fetch_add(1, SeqCst) == 0, Arc::clone(&finished));
            async move {
                assert!(!first, "the first job panics");
                finished.add_permits(1);
                Ok(())
            }
        });
        let feeding = stop.clone();
        let lanes = Lanes::default().add("lane".into(), move |to| feed(to, 3, feeding.clone()), service);
        let running = tokio::spawn(lanes.run(stop.clone().cancelled_owned(), pending()));
        within(done.acquire_many(2)).await.unwrap().forget();
        stop.cancel();
        ended(running).await;
    }

    #[tokio::test]
    async fn a_lane_whose_feeder_panics_is_started_again() {
        let stop = CancellationToken::new();
        let (starts, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let finished = Arc::clone(&done);
        let service = service_fn(move |_: Task<Ticket>| {
            finished.add_permits(1);
            async { Ok(()) }
        });
        let feeding = stop.clone();
        let feed = move |to| {
            let (first, stop) = (starts.fetch_add(1, SeqCst) == 0, feeding.clone());
            async move {
                assert!(!first, "the first feeder panics");
                feed(to, 1, stop).await;
            }
        };
        let running = Lanes::default().add("lane".into(), feed, service);
        let running = tokio::spawn(running.run(stop.clone().cancelled_owned(), pending()));
        within(done.acquire()).await.unwrap().forget();
        stop.cancel();
        ended(running).await;
    }

    /// It would start again without an end otherwise.
    #[tokio::test]
    async fn a_lane_whose_feeder_always_panics_is_given_up() {
        let starts = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&starts);
        let feed = move |_| {
            counting.fetch_add(1, SeqCst);
            async { panic!("every feeder panics") }
        };
        let service = service_fn(|_: Task<Ticket>| async { Ok(()) });
        Lanes::default().add("lane".into(), feed, service).run(pending(), pending()).await;
        assert_eq!(starts.load(SeqCst), STARTS + 1);
    }

    /// A feeder that goes on when it is told to stop is not waited for.
    #[tokio::test]
    async fn a_feeder_that_does_not_end_holds_no_stop_up() {
        let service = service_fn(|_: Task<Ticket>| async { Ok(()) });
        let lanes = Lanes::default().add("lane".into(), |_| pending(), service);
        within(lanes.run(async {}, pending())).await;
    }

    const JOBS: usize = 300_000;

    /// Jobs a second, when `tickets` are taken and each is run in a task of its own.
    async fn rate<F: Future>(take: impl FnOnce(mpsc::Receiver<Ticket>, Arc<Semaphore>) -> F) -> f64 {
        let (sender, tickets) = mpsc::channel(ON_THE_WAY);
        let (places, done) = (Arc::new(Semaphore::new(64)), Arc::new(Semaphore::new(0)));
        let start = Instant::now();
        let feeder = tokio::spawn(async move {
            for _ in 0..JOBS {
                sender.send(ticket(&places).await).await.ok().unwrap();
            }
        });
        let taking = take(tickets, Arc::clone(&done));
        tokio::select! {
            _ = taking => {}
            all = done.acquire_many(JOBS as u32) => all.unwrap().forget(),
        }
        feeder.await.unwrap();
        JOBS as f64 / start.elapsed().as_secs_f64()
    }

    async fn job(_ticket: Ticket, done: Arc<Semaphore>) {
        tokio::task::yield_now().await;
        done.add_permits(1);
    }

    async fn without(mut tickets: mpsc::Receiver<Ticket>, done: Arc<Semaphore>) {
        while let Some(ticket) = tickets.recv().await {
            tokio::spawn(job(ticket, Arc::clone(&done)));
        }
        pending().await
    }

    async fn with_a_lane(tickets: mpsc::Receiver<Ticket>, done: Arc<Semaphore>) {
        let tickets = Arc::new(tokio::sync::Mutex::new(tickets));
        let service = service_fn(move |task: Task<Ticket>| {
            let running = job(task.args, Arc::clone(&done));
            async {
                running.await;
                Ok(())
            }
        });
        let feed = move |to: mpsc::Sender<Ticket>| {
            let tickets = Arc::clone(&tickets);
            async move {
                while let Some(ticket) = tickets.lock().await.recv().await {
                    to.send(ticket).await.ok().unwrap();
                }
                pending().await
            }
        };
        Lanes::default().add("lane".into(), feed, service).run(pending(), pending()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "a measurement for docs/decisions/0003-apalis-service.md"]
    async fn what_a_lane_costs() {
        for _ in 0..3 {
            let (plain, lane) = (rate(without).await, rate(with_a_lane).await);
            let (stop, service) = (CancellationToken::new(), service_fn(|_: Task<Ticket>| async { Ok(()) }));
            let feeding = stop.clone();
            let lanes = Lanes::default().add("lane".into(), move |to| feed(to, 0, feeding.clone()), service);
            let running = tokio::spawn(lanes.run(stop.clone().cancelled_owned(), pending()));
            tokio::time::sleep(Duration::from_millis(20)).await;
            let start = Instant::now();
            stop.cancel();
            running.await.unwrap();
            println!(
                "{plain:.0} jobs/s without, {lane:.0}/s with a lane; an idle stop took {:?}",
                start.elapsed()
            );
        }
    }
}
