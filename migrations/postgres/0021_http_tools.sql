-- Tools that projects describe: functions at an HTTP address, which the models of their chats may call.
create table http_tools (
    id                 uuid primary key,
    project_id         uuid not null references projects (id) on delete cascade,
    user_id            uuid not null references users (id) on delete cascade,
    -- What was made by one request has one batch.
    batch              uuid not null,
    name               text not null,
    description        text not null,
    parameters         jsonb not null,
    url                text not null,
    method             text not null,
    -- Where arguments go, by their names; what is not named goes where its method says.
    places             jsonb not null,
    timeout_seconds    bigint not null,
    changes_something  boolean not null,
    header_names       jsonb not null,
    -- The secret that signs its calls, and its headers.
    sealed             bytea not null,
    created_at         timestamptz not null,
    updated_at         timestamptz not null
);
create unique index http_tools_name on http_tools (project_id, name);
create index http_tools_user on http_tools (user_id);
-- Names of tools that the project's chats do without, whoever made them.
alter table projects add column disabled_tools jsonb not null default '[]';
