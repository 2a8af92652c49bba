-- The rest of the service: codes by mail, API keys, the audit log, projects and prompts, branches and variants, webhooks,
-- paused queues.

-- Codes sent by mail. The subject is a keyed digest of an address: a row is made for unknown addresses too, so that known
-- and unknown ones cannot be told apart. The code itself follows from the nonce and our key, and is stored nowhere.
create table one_time_codes (
    subject     blob not null,
    purpose     text not null check (purpose in ('verify', 'reset')),
    nonce       text not null,
    tries       integer not null default 0,
    expires_at  text not null,
    primary key (subject, purpose)
) strict;
create index one_time_codes_age on one_time_codes (expires_at);

create table api_keys (
    id              blob primary key,
    user_id         blob not null references users (id) on delete cascade,
    name            text not null,
    -- The first characters, to tell keys apart.
    prefix          text not null,
    key_hash        blob not null,
    -- Null: everything a key may do.
    scopes          text,
    expires_at      text,
    monthly_tokens  integer,
    last_used_at    text,
    created_at      text not null
) strict;
create unique index api_keys_hash on api_keys (key_hash);
create index api_keys_user on api_keys (user_id);

create table audit_log (
    id          blob primary key,
    -- Whom it is about.
    user_id     blob references users (id) on delete cascade,
    -- Who did it: a user's id, or `command line`.
    actor       text not null,
    event       text not null,
    address     text,
    detail      text,
    created_at  text not null
) strict;
create index audit_log_user on audit_log (user_id, id desc);

create table projects (
    id                blob primary key,
    user_id           blob not null references users (id) on delete cascade,
    name              text not null,
    description       text not null default '',
    default_provider  text,
    default_model     text,
    temperature       real,
    created_at        text not null,
    updated_at        text not null
) strict;
create index projects_user on projects (user_id, id desc);

create table prompts (
    id          blob primary key,
    project_id  blob not null references projects (id) on delete cascade,
    user_id     blob not null references users (id) on delete cascade,
    name        text not null,
    -- The newest, and the one in use.
    version     integer not null,
    variables   text not null,
    is_active   integer not null,
    created_at  text not null,
    updated_at  text not null
) strict;
create index prompts_project on prompts (project_id, id);
create index prompts_user on prompts (user_id);
create unique index prompts_one_active on prompts (project_id) where is_active;
create table prompt_versions (
    prompt_id   blob not null references prompts (id) on delete cascade,
    version     integer not null,
    content     text not null,
    created_at  text not null,
    primary key (prompt_id, version)
) strict;

-- Keys that a project brings along, sealed.
create table provider_keys (
    project_id  blob not null references projects (id) on delete cascade,
    provider    text not null,
    user_id     blob not null references users (id) on delete cascade,
    sealed      blob not null,
    created_at  text not null,
    primary key (project_id, provider)
) strict;
create index provider_keys_user on provider_keys (user_id);

-- A branch has its parent's messages up to this place, and its own behind it.
alter table sessions add column branch_seq integer;
create index sessions_parent on sessions (parent_session_id) where parent_session_id is not null;

-- Answers that gave way to another one to the same question.
create table message_variants (
    id          blob primary key,
    session_id  blob not null references sessions (id) on delete cascade,
    user_id     blob not null references users (id) on delete cascade,
    seq         integer not null,
    content     text not null,
    status      text not null,
    provider    text,
    model       text,
    usage       text,
    feedback    text,
    created_at  text not null
) strict;
create index message_variants_place on message_variants (session_id, seq);

create table webhooks (
    id          blob primary key,
    user_id     blob not null references users (id) on delete cascade,
    url         text not null,
    events      text not null,
    wants_jobs_done    integer not null,
    wants_jobs_failed  integer not null,
    wants_memories     integer not null,
    sealed      blob not null,
    created_at  text not null
) strict;
create index webhooks_user on webhooks (user_id);
create table webhook_deliveries (
    id            blob primary key,
    webhook_id    blob not null references webhooks (id) on delete cascade,
    user_id       blob not null references users (id) on delete cascade,
    event         text not null,
    -- The job or memory it is about.
    subject       blob not null,
    status        text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
    attempts      integer not null default 0,
    answer        integer,
    error         text,
    next_at       text not null,
    created_at    text not null,
    delivered_at  text
) strict;
create index webhook_deliveries_hook on webhook_deliveries (webhook_id, created_at desc);
create index webhook_deliveries_user on webhook_deliveries (user_id);
create index webhook_deliveries_due on webhook_deliveries (next_at) where status = 'pending';

-- What a webhook wants to hear is written with what it is about, whichever statement that is.
create trigger jobs_ended after update of status on jobs for each row
    when new.status in ('succeeded', 'failed') and old.status <> new.status and new.kind <> 'webhook'
begin
    insert into webhook_deliveries (id, webhook_id, user_id, event, subject, next_at, created_at)
    select randomblob(16), w.id, w.user_id, case when new.status = 'succeeded' then 'job.succeeded' else 'job.failed' end,
        new.id, new.finished_at, new.finished_at
    from webhooks w where w.user_id = new.user_id
        and case when new.status = 'succeeded' then w.wants_jobs_done else w.wants_jobs_failed end;
end;
create trigger memories_made after insert on memories for each row
begin
    insert into webhook_deliveries (id, webhook_id, user_id, event, subject, next_at, created_at)
    select randomblob(16), w.id, w.user_id, 'memory.created', new.id, new.created_at, new.created_at
    from webhooks w where w.user_id = new.user_id and w.wants_memories;
end;

create table queue_states (
    queue       text primary key,
    is_paused   integer not null,
    changed_at  text not null
) strict;

-- A memory is looked for by its words whatever its status; the unique index knows only those that count.
create index memories_words on memories (user_id, norm);

-- One answer of a model each, written with its result; rolled up into usage_days now and then. A row a day would be one that
-- all of a user's answers wait for, each holding it through its commit.
create table usage_log (
    id                 blob primary key,
    -- Without a reference, which would be checked on the way of every answer: an erasure deletes these itself.
    user_id            blob not null,
    day                text not null,
    project            text not null,
    api_key            text not null,
    provider           text not null,
    model              text not null,
    kind               text not null,
    prompt_tokens      integer not null,
    completion_tokens  integer not null,
    cost               integer not null
) strict;
create index usage_log_user on usage_log (user_id);
create view usage_totals as
    select user_id, day, project, api_key, provider, model, kind, requests, prompt_tokens, completion_tokens, cost from usage_days
    union all
    select user_id, day, project, api_key, provider, model, kind, 1 as requests, prompt_tokens, completion_tokens, cost from usage_log;
