//! What sweepers do, right and wrong.

use rapport_common::{
    Error,
    domain::job::JobStatus,
    error::Code,
    store::{
        self,
        ledger::{self, Crash, Expired},
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

    /// As the sweeper, with a simpler rule of whom to blame: a job is dead after its second crash in quarantine.
    pub async fn take_back(&mut self, worker: usize) -> Result<(), String> {
        let looked = std::mem::take(&mut self.workers[worker].looked);
        for Expired { job, worker: holder, .. } in looked {
            let Worker { name, skew, gone, dead, .. } = &self.workers[worker];
            if holder == *name {
                continue;
            }
            let (n, now) = (self.number(job.id), self.now(worker));
            let crashed = dead.contains(&holder);
            let error = Error::new(Code::JobCrashed, "its worker died");
            if crashed && job.crashes + 1 >= 2 && job.quarantine && !job.cancel_requested {
                let buried = end_job::bury_job(&self.db.ctx, &job, gone, &error).await.unwrap().is_some();
                same("buried", buried, self.model.bury(n, job.attempt, gone))?;
                if buried {
                    self.promises.buried(n)?;
                }
                continue;
            }
            let mut conn = self.db.ctx.db.relaxed().await.unwrap();
            let problem = error.problem(None);
            let done = ledger::reclaim(
                &mut conn,
                job.id,
                job.attempt,
                now,
                gone,
                crashed.then_some(Crash::Alone),
                &problem,
            );
            let done = done.await.unwrap();
            drop(conn);
            same("reclaimed", done, self.model.reclaim(n, job.attempt, *skew, gone, crashed))?;
            if done && crashed && job.cancel_requested {
                self.cancel(n).await?;
            }
        }
        Ok(())
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
                ledger::reclaim(&mut conn, id, attempt, now, &self.dead, Some(Crash::Alone), &problem)
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
