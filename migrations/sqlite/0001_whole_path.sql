-- Accounts, sessions, messages and the ledger of jobs. The PostgreSQL twin has the same tables and columns.

create table users (
    id             blob primary key,
    email          text,
    username       text,
    name           text,
    password_hash  text not null,
    role           text not null default 'user' check (role in ('user', 'admin')),
    is_active      integer not null default 1,
    is_verified    integer not null default 0,
    -- Access tokens carry it as `ver`; raising it ends every one of them.
    token_version  integer not null default 0,
    created_at     text not null,
    updated_at     text not null,
    constraint users_have_a_name check (email is not null or username is not null)
) strict;
create unique index users_email on users (email);
create unique index users_username on users (username);

-- One row a login: the family its refresh tokens belong to.
create table logins (
    id          blob primary key,
    user_id     blob not null references users (id) on delete cascade,
    created_at  text not null,
    revoked_at  text
) strict;
create index logins_user on logins (user_id);

create table refresh_tokens (
    id          blob primary key,
    login_id    blob not null references logins (id) on delete cascade,
    token_hash  blob not null,
    expires_at  text not null,
    used_at     text,
    created_at  text not null
) strict;
create unique index refresh_tokens_hash on refresh_tokens (token_hash);
create index refresh_tokens_login on refresh_tokens (login_id);

create table sessions (
    id                 blob primary key,
    user_id            blob not null references users (id) on delete cascade,
    title              text not null default '',
    -- 'none', 'words' (the first words), 'model' (the title job) or 'user' (renamed): a later one wins.
    title_source       text not null default 'none' check (title_source in ('none', 'words', 'model', 'user')),
    project_id         blob,
    parent_session_id  blob references sessions (id) on delete set null,
    status             text not null default 'active' check (status in ('active', 'archived', 'deleted')),
    is_pinned          integer not null default 0,
    message_count      integer not null default 0,
    -- A user message takes this number, its answer the next one.
    next_seq           integer not null default 1,
    created_at         text not null,
    updated_at         text not null
) strict;
create index sessions_user on sessions (user_id, updated_at desc, id desc);

create table jobs (
    id                blob primary key,
    kind              text not null,
    queue             text not null,
    user_id           blob references users (id) on delete cascade,
    session_id        blob references sessions (id) on delete cascade,
    -- Jobs of one session that carry an order run one at a time, in it.
    session_order     integer,
    payload           text not null,
    status            text not null check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    attempt           integer not null default 0,
    max_attempts      integer not null,
    priority          integer not null default 0,
    run_at            text not null,
    lease_until       text,
    worker            text,
    quarantine        integer not null default 0,
    cancel_requested  integer not null default 0,
    progress          text,
    result            text,
    error             text,
    dedupe_key        text,
    trace             text,
    -- The answer so far and the number of the last event in it.
    partial           text,
    partial_n         integer,
    created_at        text not null,
    started_at        text,
    finished_at       text
) strict;
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
    id          blob primary key,
    session_id  blob not null references sessions (id) on delete cascade,
    user_id     blob not null references users (id) on delete cascade,
    job_id      blob references jobs (id) on delete set null,
    seq         integer not null,
    role        text not null check (role in ('user', 'assistant')),
    content     text not null,
    status      text not null check (status in ('complete', 'cancelled', 'failed')),
    provider    text,
    model       text,
    usage       text,
    feedback    text,
    created_at  text not null,
    constraint messages_seq unique (session_id, seq),
    -- One question and one answer a job: the ledger's promise as a constraint.
    constraint messages_one_per_job unique (job_id, role)
) strict;

create table idempotency_keys (
    owner         text not null,
    key           text not null,
    request_hash  blob not null,
    -- What the first request made: replayed from there.
    target        text not null,
    created_at    text not null,
    primary key (owner, key)
) strict;
create index idempotency_keys_age on idempotency_keys (created_at);

-- Workers that live: written by their heartbeat.
create table workers (
    name         text primary key,
    queues       text not null,
    concurrency  integer not null,
    started_at   text not null,
    seen_at      text not null
) strict;
