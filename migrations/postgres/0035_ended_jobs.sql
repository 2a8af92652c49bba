-- Few users have a webhook: for all others the end of a job asks whether there is one, and does not begin to write to a table.
create or replace function job_ended() returns trigger language plpgsql as $$
begin
    if new.status not in ('succeeded', 'failed') or old.status = new.status or new.kind = 'webhook'
        or not exists (select 1 from webhooks w where w.user_id = new.user_id) then
        return null;
    end if;
    insert into webhook_deliveries (id, webhook_id, user_id, event, subject, next_at, created_at)
    select gen_random_uuid(), w.id, w.user_id, case when new.status = 'succeeded' then 'job.succeeded' else 'job.failed' end,
        new.id, new.finished_at, new.finished_at
    from webhooks w where w.user_id = new.user_id
        and case when new.status = 'succeeded' then w.wants_jobs_done else w.wants_jobs_failed end;
    return null;
end $$;
