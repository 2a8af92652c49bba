//! What may happen to the ledger, and how often in a random case.

use proptest::{prelude::*, sample};

/// As many as a case accepts.
pub const JOBS: usize = 5;

/// Workers, jobs and what a worker runs are given by number, and counted round. A job's number below [`JOBS`] picks one for
/// which the step may do something, if there is any; another picks any.
#[derive(Debug, Clone)]
pub enum Step {
    Accept {
        session: usize,
    },
    /// Not `heard`: it was committed, and the answer was lost.
    Claim {
        worker: usize,
        job: usize,
        heard: bool,
    },
    Renew {
        worker: usize,
    },
    /// Renews, forgets what it has lost, and hands back what it holds and does not run.
    Beat {
        worker: usize,
    },
    /// Not `heard`: it does not know that it ended, and will do it again.
    Finish {
        worker: usize,
        nth: usize,
        heard: bool,
    },
    Fail {
        worker: usize,
        nth: usize,
    },
    RetryLater {
        worker: usize,
        nth: usize,
        waits: bool,
    },
    HandBack {
        worker: usize,
        nth: usize,
    },
    /// Ends what it runs and somebody asked to stop.
    HearCancels {
        worker: usize,
    },
    /// It forgets all; another takes its place, under another name.
    Die {
        worker: usize,
    },
    /// A job that a process died with runs in one of its own, and that dies, while the worker lives.
    OwnProcessDies {
        worker: usize,
        nth: usize,
    },
    /// The first half of a sweep. `knows`: whose process is gone; otherwise only leases tell.
    Look {
        worker: usize,
        knows: bool,
    },
    /// The second half; what it saw may be old.
    TakeBack {
        worker: usize,
    },
    /// Somebody does what a job, or this attempt of it, is not in the state for.
    Mistake {
        worker: usize,
        job: usize,
        old: bool,
        doing: Doing,
    },
    Cancel {
        job: usize,
    },
    RetryByHand {
        job: usize,
    },
    /// More than a lease.
    TimePasses,
}

#[derive(Debug, Clone, Copy)]
pub enum Doing {
    Bury,
    Reclaim,
    CancelWaiting,
}

/// A step, or some that belong together: at random they would seldom meet.
pub fn scene() -> impl Strategy<Value = Vec<Step>> {
    let (worker, nth, job) = (|| 0..2usize, || 0..3usize, || 0..2 * JOBS);
    let heard = || prop::bool::weighted(0.8);
    let look = (worker(), any::<bool>()).prop_map(|(worker, knows)| Step::Look { worker, knows });
    let doing = sample::select(vec![Doing::Bury, Doing::Reclaim, Doing::CancelWaiting]);
    let step = prop_oneof![
        1 => (0..3usize).prop_map(|session| Step::Accept { session }),
        9 => (worker(), job(), heard()).prop_map(|(worker, job, heard)| Step::Claim { worker, job, heard }),
        1 => worker().prop_map(|worker| Step::Renew { worker }),
        2 => worker().prop_map(|worker| Step::Beat { worker }),
        3 => (worker(), nth(), heard()).prop_map(|(worker, nth, heard)| Step::Finish { worker, nth, heard }),
        2 => (worker(), nth()).prop_map(|(worker, nth)| Step::Fail { worker, nth }),
        2 => (worker(), nth(), any::<bool>())
            .prop_map(|(worker, nth, waits)| Step::RetryLater { worker, nth, waits }),
        1 => (worker(), nth()).prop_map(|(worker, nth)| Step::HandBack { worker, nth }),
        1 => worker().prop_map(|worker| Step::HearCancels { worker }),
        1 => worker().prop_map(|worker| Step::Die { worker }),
        2 => (worker(), nth()).prop_map(|(worker, nth)| Step::OwnProcessDies { worker, nth }),
        2 => look,
        2 => worker().prop_map(|worker| Step::TakeBack { worker }),
        3 => (worker(), job(), any::<bool>(), doing)
            .prop_map(|(worker, job, old, doing)| Step::Mistake { worker, job, old, doing }),
        1 => job().prop_map(|job| Step::Cancel { job }),
        2 => job().prop_map(|job| Step::RetryByHand { job }),
        2 => Just(Step::TimePasses),
    ];
    let sweep = |worker| [Step::Look { worker, knows: true }, Step::TakeBack { worker }];
    let killed = (worker(), worker()).prop_map(move |(worker, sweeper)| {
        [Step::Die { worker }].into_iter().chain(sweep(sweeper)).collect::<Vec<_>>()
    });
    // Its jobs are taken over, and then it has its say.
    let late = |worker, job, nth, word| {
        let mistake = |doing| vec![Step::TimePasses, Step::Mistake { worker, job, old: true, doing }];
        match word {
            0 => vec![Step::Finish { worker, nth, heard: true }],
            1 => vec![Step::Fail { worker, nth }],
            2 => vec![Step::RetryLater { worker, nth, waits: false }],
            3 => vec![Step::HandBack { worker, nth }],
            4 => vec![Step::TimePasses, Step::Renew { worker }],
            5 => mistake(Doing::Bury),
            _ => mistake(Doing::Reclaim),
        }
    };
    let paused = (worker(), job(), nth(), 0..7).prop_map(move |(sweeper, job, nth, word)| {
        let paused = [Step::TimePasses].into_iter().chain(sweep(sweeper));
        let taken_over = paused.chain([Step::Claim { worker: sweeper, job, heard: true }]);
        taken_over.chain(late(1 - sweeper, job, nth, word)).collect::<Vec<_>>()
    });
    prop_oneof![6 => step.prop_map(|step| vec![step]), 2 => killed, 3 => paused]
}
