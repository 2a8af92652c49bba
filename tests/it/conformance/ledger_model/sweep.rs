//! What sweepers do, right and wrong.

use rapport_common::{
    Error,
    domain::job::JobStatus,
    error::Code,
    store::{
        self,
        ledger::{self, Expired},
    },
    usecase::end_job,
};

use super::{
    run::{Run, Worker, same},
    steps::Doing,
};

impl Run<'_> {
    pub async fn look(&mut self, worker: usize, knows: bool) -> Result<(), String> {
        let gone = if knows { self.dead.clone() } else { Vec::new() };
        let mut conn = self.db.ctx.db.read().await.unwrap();
        let found = ledger::expired(&mut conn, self.now(worker), &gone).await.unwrap();
        let attempts = self.numbered(found.iter().map(|found| (found.job.id, found.job.attempt)));
        same("to be taken back", attempts, self.model.expired(&gone))?;
        let dead = self.dead.clone();
        let worker = &mut self.workers[worker];
        (worker.looked, worker.gone, worker.dead) = (found, gone, dead);
        Ok(())
    }

    /// As the sweeper: the first death counts; after it the job runs in a process of its own, and a worker's says nothing.
    pub async fn take_back(&mut self, worker: usize) -> Result<(), String> {
        let looked = std::mem::take(&mut self.workers[worker].looked);
        for Expired { job, worker: holder } in looked {
            let Worker { name, skew, gone, dead, .. } = &self.workers[worker];
            if holder == *name {
                continue;
            }
            let (n, now) = (self.number(job.id), self.now(worker));
            let died = dead.contains(&holder);
            let counts = died && job.crashes == 0;
            let error = Error::new(Code::JobCrashed, "its worker died").problem(None);
            let mut conn = self.db.ctx.db.relaxed().await.unwrap();
            let done = ledger::reclaim(
                &mut conn,
                ledger::AttemptOf { id: job.id, attempt: job.attempt },
                now,
                gone,
                counts,
                &error,
            );
            let done = done.await.unwrap();
            drop(conn);
            same("reclaimed", done, self.model.reclaim(n, job.attempt, *skew, gone, counts))?;
            if done && died && job.cancel_requested {
                self.cancel(n).await?;
            }
        }
        Ok(())
    }

    /// As a worker whose job's own process died: it buries the job, as one whose holder is gone.
    pub async fn own_process_dies(&mut self, worker: usize, nth: usize) -> Result<(), String> {
        let Worker { name, running, .. } = &mut self.workers[worker];
        let suspects: Vec<usize> = (0..running.len()).filter(|&n| running[n].crashes > 0).collect();
        let Some(&chosen) = suspects.get(nth % suspects.len().max(1)) else { return Ok(()) };
        let (job, gone) = (running.remove(chosen), [name.clone()]);
        let n = self.number(job.id);
        self.promises.died_with(n);
        let error = Error::new(Code::JobCrashed, "its process died");
        let buried = end_job::bury_job(&self.db.ctx, &job, &gone, &error).await.unwrap().is_some();
        same("buried", buried, self.model.bury(n, job.attempt, &gone))?;
        if buried { self.promises.buried(n) } else { Ok(()) }
    }

    /// Something done to a job that is not in the state for it (or, with `old`, to an attempt before the present one): it
    /// must change nothing.
    pub async fn mistake(
        &mut self,
        worker: usize,
        job: usize,
        old: bool,
        doing: Doing,
    ) -> Result<(), String> {
        let row = self.model.jobs[job].row.clone();
        let attempt = row.attempt.saturating_sub(u32::from(old));
        let is_right = match doing {
            Doing::CancelWaiting => row.status == JobStatus::Queued,
            Doing::Bury | Doing::Reclaim => self.model.expired(&self.dead).get(&job) == Some(&attempt),
        };
        if is_right {
            return Ok(());
        }
        let (ctx, user, id, now) = (&self.db.ctx, self.db.user, self.ids[job], self.now(worker));
        let error = Error::new(Code::JobCrashed, "its worker died");
        let done = match doing {
            Doing::Bury => {
                let mut found =
                    store::jobs::get(&mut ctx.db.read().await.unwrap(), user, id).await.unwrap().unwrap();
                found.attempt = attempt;
                end_job::bury_job(ctx, &found, &self.dead, &error).await.unwrap().is_some()
            }
            Doing::Reclaim => {
                let mut conn = ctx.db.relaxed().await.unwrap();
                let problem = error.problem(None);
                ledger::reclaim(&mut conn, ledger::AttemptOf { id, attempt }, now, &self.dead, true, &problem)
                    .await
                    .unwrap()
            }
            Doing::CancelWaiting => {
                let mut tx = ctx.db.begin().await.unwrap();
                let done = store::jobs::cancel_queued(&mut tx, user, id, now).await.unwrap();
                tx.commit().await.unwrap();
                done
            }
        };
        same(&format!("{doing:?}"), done, false)
    }
}
