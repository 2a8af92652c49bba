-- What for, as a client of `/v1/files` said.
alter table files add column purpose text;
-- Vector stores of OpenAI's API: sets of files that are searched together.
create table vector_stores (
    id          uuid primary key,
    user_id     uuid not null references users (id) on delete cascade,
    name        text not null,
    metadata    jsonb not null,
    created_at  timestamptz not null,
    -- When it, or what is in it, last changed.
    updated_at  timestamptz not null
);
create index vector_stores_user on vector_stores (user_id, id);
create table vector_store_files (
    vector_store_id  uuid not null references vector_stores (id) on delete cascade,
    file_id          uuid not null references files (id) on delete cascade,
    user_id          uuid not null references users (id) on delete cascade,
    -- What searches are narrowed by: texts, numbers, true or false.
    attributes       jsonb not null,
    added_at         timestamptz not null,
    primary key (vector_store_id, file_id)
);
create index vector_store_files_file on vector_store_files (file_id);
create index vector_store_files_user on vector_store_files (user_id);
-- Files that were put in at once. What became of them tell the files that are still in the store.
create table vector_store_batches (
    id               uuid primary key,
    vector_store_id  uuid not null references vector_stores (id) on delete cascade,
    user_id          uuid not null references users (id) on delete cascade,
    file_ids         jsonb not null,
    cancelled        boolean not null default false,
    created_at       timestamptz not null
);
create index vector_store_batches_store on vector_store_batches (vector_store_id, id);
create index vector_store_batches_user on vector_store_batches (user_id);
