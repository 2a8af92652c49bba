-- The rest of the service: codes by mail, API keys, the audit log, projects and prompts, branches and variants, webhooks,
-- paused queues.

-- Codes sent by mail. The subject is a keyed digest of an address: a row is made for unknown addresses too, so that known
-- and unknown ones cannot be told apart. The code itself follows from the nonce and our key, and is stored nowhere.
create table one_time_codes (
    subject     bytea not null,
    purpose     text not null check (purpose in ('verify', 'reset')),
    nonce       text not null,
    tries       bigint not null default 0,
    expires_at  timestamptz not null,
    primary key (subject, purpose)
);
create index one_time_codes_age on one_time_codes (expires_at);

create table api_keys (
    id              uuid primary key,
    user_id         uuid not null references users (id) on delete cascade,
    name            text not null,
    -- The first characters, to tell keys apart.
    prefix          text not null,
    key_hash        bytea not null,
    -- Null: everything a key may do.
    scopes          jsonb,
    expires_at      timestamptz,
    monthly_tokens  bigint,
    last_used_at    timestamptz,
    created_at      timestamptz not null
);
create unique index api_keys_hash on api_keys (key_hash);
create index api_keys_user on api_keys (user_id);

create table audit_log (
    id          uuid primary key,
    -- Whom it is about.
    user_id     uuid references users (id) on delete cascade,
    -- Who did it: a user's id, or `command line`.
    actor       text not null,
    event       text not null,
    address     text,
    detail      jsonb,
    created_at  timestamptz not null
);
create index audit_log_user on audit_log (user_id, id desc);

create table projects (
    id                uuid primary key,
    user_id           uuid not null references users (id) on delete cascade,
    name              text not null,
    description       text not null default '',
    default_provider  text,
    default_model     text,
    temperature       double precision,
    created_at        timestamptz not null,
    updated_at        timestamptz not null
);
create index projects_user on projects (user_id, id desc);

create table prompts (
    id          uuid primary key,
    project_id  uuid not null references projects (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade,
    name        text not null,
    -- The newest, and the one in use.
    version     bigint not null,
    variables   jsonb not null,
    is_active   boolean not null,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
);
create index prompts_project on prompts (project_id, id);
create index prompts_user on prompts (user_id);
create unique index prompts_one_active on prompts (project_id) where is_active;
create table prompt_versions (
    prompt_id   uuid not null references prompts (id) on delete cascade,
    version     bigint not null,
    content     text not null,
    created_at  timestamptz not null,
    primary key (prompt_id, version)
);

-- Keys that a project brings along, sealed.
create table provider_keys (
    project_id  uuid not null references projects (id) on delete cascade,
    provider    text not null,
    user_id     uuid not null references users (id) on delete cascade,
    sealed      bytea not null,
    created_at  timestamptz not null,
    primary key (project_id, provider)
);
create index provider_keys_user on provider_keys (user_id);

-- A branch has its parent's messages up to this place, and its own behind it.
alter table sessions add column branch_seq bigint;
create index sessions_parent on sessions (parent_session_id) where parent_session_id is not null;

-- Answers that gave way to another one to the same question.
create table message_variants (
    id          uuid primary key,
    session_id  uuid not null references sessions (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade,
    seq         bigint not null,
    content     text not null,
    status      text not null,
    provider    text,
    model       text,
    usage       jsonb,
    feedback    jsonb,
    created_at  timestamptz not null
);
create index message_variants_place on message_variants (session_id, seq);

create table webhooks (
    id          uuid primary key,
    user_id     uuid not null references users (id) on delete cascade,
    url         text not null,
    events      jsonb not null,
    wants_jobs_done    boolean not null,
    wants_jobs_failed  boolean not null,
    wants_memories     boolean not null,
    sealed      bytea not null,
    created_at  timestamptz not null
);
create index webhooks_user on webhooks (user_id);
create table webhook_deliveries (
    id            uuid primary key,
    webhook_id    uuid not null references webhooks (id) on delete cascade,
    user_id       uuid not null references users (id) on delete cascade,
    event         text not null,
    -- The job or memory it is about.
    subject       uuid not null,
    status        text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
    attempts      bigint not null default 0,
    answer        bigint,
    error         text,
    next_at       timestamptz not null,
    created_at    timestamptz not null,
    delivered_at  timestamptz
);
create index webhook_deliveries_hook on webhook_deliveries (webhook_id, created_at desc);
create index webhook_deliveries_user on webhook_deliveries (user_id);
create index webhook_deliveries_due on webhook_deliveries (next_at) where status = 'pending';

-- What a webhook wants to hear is written with what it is about, whichever statement that is.
-- The condition stands in the function: one at the trigger is parsed anew by every statement that updates a job.
create function job_ended() returns trigger language plpgsql as $$
begin
    if new.status not in ('succeeded', 'failed') or old.status = new.status or new.kind = 'webhook' then
        return null;
    end if;
    insert into webhook_deliveries (id, webhook_id, user_id, event, subject, next_at, created_at)
    select gen_random_uuid(), w.id, w.user_id, case when new.status = 'succeeded' then 'job.succeeded' else 'job.failed' end,
        new.id, new.finished_at, new.finished_at
    from webhooks w where w.user_id = new.user_id
        and case when new.status = 'succeeded' then w.wants_jobs_done else w.wants_jobs_failed end;
    return null;
end $$;
create trigger jobs_ended after update of status on jobs for each row execute function job_ended();
create function memory_made() returns trigger language plpgsql as $$
begin
    insert into webhook_deliveries (id, webhook_id, user_id, event, subject, next_at, created_at)
    select gen_random_uuid(), w.id, w.user_id, 'memory.created', new.id, new.created_at, new.created_at
    from webhooks w where w.user_id = new.user_id and w.wants_memories;
    return null;
end $$;
create trigger memories_made after insert on memories for each row execute function memory_made();

create table queue_states (
    queue       text primary key,
    is_paused   boolean not null,
    changed_at  timestamptz not null
);

-- A memory is looked for by its words whatever its status; the unique index knows only those that count.
create index memories_words on memories (user_id, norm);

-- One answer of a model each, written with its result; rolled up into usage_days now and then. A row a day would be one that
-- all of a user's answers wait for, each holding it through its commit.
create table usage_log (
    id                 uuid primary key,
    -- Without a reference, which would be checked on the way of every answer: an erasure deletes these itself.
    user_id            uuid not null,
    day                text not null,
    project            text not null,
    api_key            text not null,
    provider           text not null,
    model              text not null,
    kind               text not null,
    prompt_tokens      bigint not null,
    completion_tokens  bigint not null,
    cost               bigint not null
);
create index usage_log_user on usage_log (user_id);
create view usage_totals as
    select user_id, day, project, api_key, provider, model, kind, requests, prompt_tokens, completion_tokens, cost from usage_days
    union all
    select user_id, day, project, api_key, provider, model, kind, 1 as requests, prompt_tokens, completion_tokens, cost from usage_log;
