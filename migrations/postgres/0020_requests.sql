-- What a client of /v1 said itself: all that the model is asked, or what comes beside a session's turn.
create table requests (
    job_id      uuid primary key references jobs (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade,
    api         text not null,
    -- Messages, functions and options; null once the job has ended well: nobody asks again.
    prompt      jsonb,
    -- What is shown of a stored response: its input, and what the client chose.
    body        jsonb,
    -- The response this one goes on from. It may have been deleted since.
    previous    uuid,
    created_at  timestamptz not null,
    -- The job goes then, and this with it; null: it is kept until somebody deletes it.
    expires_at  timestamptz
);
create index requests_user on requests (user_id, job_id desc);
create index requests_expiry on requests (expires_at) where expires_at is not null;
