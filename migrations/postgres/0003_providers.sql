-- Providers and tools: what was tried for a job, what tools were called, what was spent and may be spent.

-- The tries of one attempt that failed: a JSON list.
create table job_tries (
    job_id   uuid not null references jobs (id) on delete cascade,
    attempt  bigint not null,
    tries    jsonb not null,
    primary key (job_id, attempt)
);

create table tool_calls (
    job_id      uuid not null references jobs (id) on delete cascade,
    -- The same number in every attempt that asks for the same: `job:step` is the call's idempotency key.
    step        bigint not null,
    user_id     uuid not null references users (id) on delete cascade,
    attempt     bigint not null,
    name        text not null,
    arguments   text not null,
    read_only   boolean not null,
    -- Null while it runs; of a call that changes something and was cut off, for ever.
    ok          boolean,
    result      text,
    ms          bigint,
    created_at  timestamptz not null,
    primary key (job_id, step)
);
create index tool_calls_user on tool_calls (user_id);

-- Tokens and cost by day (UTC), counted in the transaction that stores a result. '' is none.
create table usage_days (
    user_id            uuid not null references users (id) on delete cascade,
    day                text not null,
    project            text not null default '',
    api_key            text not null default '',
    provider           text not null,
    model              text not null,
    -- The kind of job.
    kind               text not null,
    requests           bigint not null default 0,
    prompt_tokens      bigint not null default 0,
    completion_tokens  bigint not null default 0,
    -- Millionths of a US dollar.
    cost               bigint not null default 0,
    primary key (user_id, day, project, api_key, provider, model, kind)
);
create index usage_days_project on usage_days (project, day);
create index usage_days_key on usage_days (api_key, day);

-- What may be spent a day, by user or project. A row without limits is only a lock.
create table budgets (
    scope         text primary key,
    daily_tokens  bigint,
    daily_cost    bigint,
    touched       bigint not null default 0
);

-- What running jobs may yet spend.
create table budget_holds (
    job_id  uuid not null references jobs (id) on delete cascade,
    scope   text not null,
    day     text not null,
    tokens  bigint not null,
    cost    bigint not null,
    primary key (job_id, scope)
);
create index budget_holds_scope on budget_holds (scope, day);
