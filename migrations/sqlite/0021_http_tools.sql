-- Tools that projects describe: functions at an HTTP address, which the models of their chats may call.
create table http_tools (
    id                 blob primary key,
    project_id         blob not null references projects (id) on delete cascade,
    user_id            blob not null references users (id) on delete cascade,
    -- What was made by one request has one batch.
    batch              blob not null,
    name               text not null,
    description        text not null,
    parameters         text not null,
    url                text not null,
    method             text not null,
    -- Where arguments go, by their names; what is not named goes where its method says.
    places             text not null,
    timeout_seconds    integer not null,
    changes_something  integer not null,
    header_names       text not null,
    -- The secret that signs its calls, and its headers.
    sealed             blob not null,
    created_at         text not null,
    updated_at         text not null
) strict;
create unique index http_tools_name on http_tools (project_id, name);
create index http_tools_user on http_tools (user_id);
-- Names of tools that the project's chats do without, whoever made them.
alter table projects add column disabled_tools text not null default '[]';
