-- Accounts, sessions, messages and the ledger of jobs. The SQLite twin has the same tables and columns.

create table users (
    id             uuid primary key,
    email          text,
    username       text,
    name           text,
    password_hash  text not null,
    role           text not null default 'user' check (role in ('user', 'admin')),
    is_active      boolean not null default true,
    is_verified    boolean not null default false,
    -- Access tokens carry it as `ver`; raising it ends every one of them.
    token_version  bigint not null default 0,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    constraint users_have_a_name check (email is not null or username is not null)
);
create unique index users_email on users (email);
create unique index users_username on users (username);

-- One row a login: the family its refresh tokens belong to.
create table logins (
    id          uuid primary key,
    user_id     uuid not null references users (id) on delete cascade,
    created_at  timestamptz not null,
    revoked_at  timestamptz
);
create index logins_user on logins (user_id);

create table refresh_tokens (
    id          uuid primary key,
    login_id    uuid not null references logins (id) on delete cascade,
    token_hash  bytea not null,
    expires_at  timestamptz not null,
    used_at     timestamptz,
    created_at  timestamptz not null
);
create unique index refresh_tokens_hash on refresh_tokens (token_hash);
create index refresh_tokens_login on refresh_tokens (login_id);

create table sessions (
    id                 uuid primary key,
    user_id            uuid not null references users (id) on delete cascade,
    title              text not null default '',
    -- 'none', 'words' (the first words), 'model' (the title job) or 'user' (renamed): a later one wins.
    title_source       text not null default 'none' check (title_source in ('none', 'words', 'model', 'user')),
    project_id         uuid,
    parent_session_id  uuid references sessions (id) on delete set null,
    status             text not null default 'active' check (status in ('active', 'archived', 'deleted')),
    is_pinned          boolean not null default false,
    message_count      bigint not null default 0,
    -- A user message takes this number, its answer the next one.
    next_seq           bigint not null default 1,
    created_at         timestamptz not null,
    updated_at         timestamptz not null
);
create index sessions_user on sessions (user_id, updated_at desc, id desc);

create table jobs (
    id                uuid primary key,
    kind              text not null,
    queue             text not null,
    user_id           uuid references users (id) on delete cascade,
    session_id        uuid references sessions (id) on delete cascade,
    -- Jobs of one session that carry an order run one at a time, in it.
    session_order     bigint,
    payload           jsonb not null,
    status            text not null check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    attempt           bigint not null default 0,
    max_attempts      bigint not null,
    priority          bigint not null default 0,
    run_at            timestamptz not null,
    lease_until       timestamptz,
    worker            text,
    quarantine        boolean not null default false,
    cancel_requested  boolean not null default false,
    progress          jsonb,
    result            jsonb,
    error             jsonb,
    dedupe_key        text,
    trace             text,
    -- The answer so far and the number of the last event in it.
    partial           text,
    partial_n         bigint,
    created_at        timestamptz not null,
    started_at        timestamptz,
    finished_at       timestamptz
);
create unique index jobs_dedupe on jobs (dedupe_key) where status in ('queued', 'running');
create unique index jobs_one_running_per_session on jobs (session_id)
    where status = 'running' and session_order is not null;
create index jobs_session_open on jobs (session_id, session_order)
    where status in ('queued', 'running') and session_order is not null;
create index jobs_ready on jobs (queue, run_at) where status = 'queued';
create index jobs_leases on jobs (lease_until) where status = 'running';
create index jobs_worker on jobs (worker) where status = 'running';
create index jobs_user on jobs (user_id, id desc);

create table messages (
    id          uuid primary key,
    session_id  uuid not null references sessions (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade,
    job_id      uuid references jobs (id) on delete set null,
    seq         bigint not null,
    role        text not null check (role in ('user', 'assistant')),
    content     text not null,
    status      text not null check (status in ('complete', 'cancelled', 'failed')),
    provider    text,
    model       text,
    usage       jsonb,
    feedback    jsonb,
    created_at  timestamptz not null,
    constraint messages_seq unique (session_id, seq),
    -- One question and one answer a job: the ledger's promise as a constraint.
    constraint messages_one_per_job unique (job_id, role)
);

create table idempotency_keys (
    owner         text not null,
    key           text not null,
    request_hash  bytea not null,
    -- What the first request made: replayed from there.
    target        text not null,
    created_at    timestamptz not null,
    primary key (owner, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

-- Workers that live: written by their heartbeat.
create table workers (
    name         text primary key,
    queues       text not null,
    concurrency  bigint not null,
    started_at   timestamptz not null,
    seen_at      timestamptz not null
);
