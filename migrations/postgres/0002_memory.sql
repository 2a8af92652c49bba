-- Memory: what users said about themselves, taken out of their words and verified by them; and what finds it again.

-- Extraction. A message marks its session as due in the statement that stores it; a job takes the window and moves the
-- cursor in the transaction that stores what it found.
alter table sessions add column extracted_seq bigint not null default 0;
alter table sessions add column pending_tokens bigint not null default 0;
alter table sessions add column pending_since timestamptz;
alter table sessions add column extract_after timestamptz;
create index sessions_extract on sessions (extract_after) where extract_after is not null;

-- Who said it, in an imported conversation.
alter table messages add column name text;
-- Whether memory may know of it.
alter table messages add column remember boolean not null default true;
alter table messages add column embedded boolean not null default false;
create index messages_unembedded on messages (user_id) where not embedded and remember;
create index messages_names on messages (user_id, name) where name is not null;

-- One row a user: taken first by whatever changes memories, so that changes of one user's memory come one after another.
create table memory_state (
    user_id          uuid primary key references users (id) on delete cascade,
    -- Grows with every change; what changed carries the number.
    version          bigint not null default 0,
    -- Vectors that are gone.
    deletions        bigint not null default 0,
    -- Changes since the last consolidation.
    dirty            bigint not null default 0,
    consolidated_at  timestamptz
);

create table memories (
    id                 uuid primary key,
    user_id            uuid not null references users (id) on delete cascade,
    content            text not null,
    -- The content in the form that tells duplicates: lower case, no punctuation, single spaces.
    norm               text not null,
    memory_type        text not null check (memory_type in ('preference', 'fact', 'topic', 'relationship', 'goal', 'experience')),
    subject            text,
    slot               text,
    object             text,
    importance         double precision not null check (importance between 0 and 1),
    confidence         double precision not null check (confidence between 0 and 1),
    status             text not null check (status in ('pending', 'confirmed', 'rejected', 'superseded', 'merged', 'expired')),
    explicit           boolean not null,
    sensitive          boolean not null default false,
    -- How many messages said it.
    support            bigint not null default 1,
    valid_from         timestamptz,
    valid_to           timestamptz,
    contexts           jsonb not null,
    is_private         boolean not null default false,
    session_id         uuid references sessions (id) on delete set null,
    message_id         uuid references messages (id) on delete set null,
    quote              text,
    extractor_version  text,
    extracted_at       timestamptz,
    merged_into        uuid references memories (id) on delete set null,
    expires_at         timestamptz,
    access_count       bigint not null default 0,
    last_accessed      timestamptz,
    verified_at        timestamptz,
    feedback           text,
    embedded           boolean not null default false,
    created_at         timestamptz not null,
    updated_at         timestamptz not null
);
create index memories_user on memories (user_id, created_at desc, id desc);
-- A fact lives once; a rejected one stays and blocks its return.
create unique index memories_norm on memories (user_id, norm) where status in ('pending', 'confirmed', 'rejected');
create index memories_slot on memories (user_id, subject, slot) where slot is not null;
create index memories_merged on memories (merged_into) where merged_into is not null;
create index memories_expiry on memories (expires_at) where expires_at is not null and status in ('pending', 'confirmed');
create index memories_unembedded on memories (user_id) where not embedded;
create index memories_message on memories (message_id) where message_id is not null;
create index memories_session on memories (session_id) where session_id is not null;

create table memory_shares (
    memory_id  uuid not null references memories (id) on delete cascade,
    user_id    uuid not null references users (id) on delete cascade,
    primary key (memory_id, user_id)
);
create index memory_shares_user on memory_shares (user_id);

-- Every message that says it, with the words.
create table memory_evidence (
    memory_id   uuid not null references memories (id) on delete cascade,
    message_id  uuid not null references messages (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade,
    quote       text not null,
    created_at  timestamptz not null,
    primary key (memory_id, message_id)
);
create index memory_evidence_message on memory_evidence (message_id);
create index memory_evidence_user on memory_evidence (user_id);

-- Every change with what was before: history, undo and audit are one mechanism.
create table memory_changes (
    id          uuid primary key,
    change_set  uuid not null,
    memory_id   uuid not null references memories (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade,
    actor       text not null check (actor in ('user', 'extractor', 'consolidation', 'system')),
    action      text not null,
    before      jsonb,
    after       jsonb,
    created_at  timestamptz not null,
    undone_at   timestamptz
);
create index memory_changes_memory on memory_changes (memory_id, id);
create index memory_changes_set on memory_changes (change_set);
create index memory_changes_user on memory_changes (user_id);

create table memory_links (
    source        uuid not null references memories (id) on delete cascade,
    target        uuid not null references memories (id) on delete cascade,
    relationship  text not null check (relationship in ('relates_to', 'contradicts', 'supports', 'caused_by', 'similar_to')),
    user_id       uuid not null references users (id) on delete cascade,
    actor         text not null,
    created_at    timestamptz not null,
    primary key (source, target, relationship),
    constraint memory_links_not_itself check (source <> target)
);
create index memory_links_target on memory_links (target);
create index memory_links_user on memory_links (user_id);

create table memory_conflicts (
    id           uuid primary key,
    user_id      uuid not null references users (id) on delete cascade,
    -- The earlier and the later memory.
    a            uuid not null references memories (id) on delete cascade,
    b            uuid not null references memories (id) on delete cascade,
    kind         text not null check (kind in ('contradicts', 'duplicates', 'refines')),
    reason       text not null,
    proposed     text not null,
    status       text not null check (status in ('open', 'resolved', 'dismissed')),
    resolved_by  text,
    created_at   timestamptz not null,
    resolved_at  timestamptz,
    constraint memory_conflicts_pair unique (a, b)
);
create index memory_conflicts_user on memory_conflicts (user_id, status);
create index memory_conflicts_b on memory_conflicts (b);

create table memory_suggestions (
    id                 uuid primary key,
    user_id            uuid not null references users (id) on delete cascade,
    memory_ids         jsonb not null,
    reason             text not null,
    suggested_content  text not null,
    score              double precision not null,
    created_at         timestamptz not null
);
create index memory_suggestions_user on memory_suggestions (user_id);

-- Facts whose memory the user deleted: only a hash, so that replay does not bring them back.
create table memory_forgotten (
    user_id  uuid not null references users (id) on delete cascade,
    hash     bytea not null,
    primary key (user_id, hash)
);

-- One row a window that was read: its key makes its effects happen once.
create table extraction_runs (
    id                 uuid primary key,
    user_id            uuid not null references users (id) on delete cascade,
    session_id         uuid not null references sessions (id) on delete cascade,
    job_id             uuid references jobs (id) on delete set null,
    from_seq           bigint not null,
    to_seq             bigint not null,
    extractor_version  text not null,
    outcome            text not null check (outcome in ('facts', 'no_facts', 'invalid_output', 'provider_error')),
    facts              bigint not null default 0,
    created            bigint not null default 0,
    blocked            bigint not null default 0,
    unsupported        bigint not null default 0,
    provider           text,
    model              text,
    usage              jsonb,
    -- In US dollars, where the model's price is known.
    cost               double precision,
    -- What the model said when nobody could read it.
    raw                text,
    created_at         timestamptz not null,
    constraint extraction_runs_window unique (session_id, from_seq, to_seq, extractor_version)
);
create index extraction_runs_user on extraction_runs (user_id);
create index extraction_runs_job on extraction_runs (job_id) where job_id is not null;

-- The words of memories and messages: an inverted index per user, for a true BM25. Rows are only ever made in the
-- transaction of their document, and triggers take them away with it: foreign keys would look both up once a word.
create table memory_terms (
    user_id  uuid not null,
    term     text not null,
    doc_id   uuid not null,
    tf       integer not null,
    -- Words in the document.
    length   integer not null,
    -- All that scoring reads is in the index.
    primary key (user_id, term, doc_id) include (tf, length)
);
create index memory_terms_doc on memory_terms (doc_id);
create table message_terms (
    user_id  uuid not null,
    term     text not null,
    doc_id   uuid not null,
    tf       integer not null,
    length   integer not null,
    primary key (user_id, term, doc_id) include (tf, length)
);
create index message_terms_doc on message_terms (doc_id);
create function memory_gone() returns trigger language plpgsql as $$
begin
    delete from memory_terms where doc_id = old.id;
    return null;
end $$;
create trigger memories_gone after delete on memories for each row execute function memory_gone();
create function message_gone() returns trigger language plpgsql as $$
begin
    delete from message_terms where doc_id = old.id;
    return null;
end $$;
create trigger messages_gone after delete on messages for each row execute function message_gone();

-- Vectors: the truth. A vector index outside is fed from here.
create table memory_vectors (
    doc_id   uuid primary key references memories (id) on delete cascade,
    user_id  uuid not null references users (id) on delete cascade,
    model    text not null,
    -- 32-bit floats, little-endian, of length 1.
    vector   bytea not null,
    version  bigint not null,
    indexed  boolean not null default false
);
create index memory_vectors_user on memory_vectors (user_id, version);
create index memory_vectors_unindexed on memory_vectors (user_id) where not indexed;
create table message_vectors (
    doc_id   uuid primary key references messages (id) on delete cascade,
    user_id  uuid not null references users (id) on delete cascade,
    model    text not null,
    vector   bytea not null,
    version  bigint not null,
    indexed  boolean not null default false
);
create index message_vectors_user on message_vectors (user_id, version);
create index message_vectors_unindexed on message_vectors (user_id) where not indexed;

-- Vectors that are gone from here and must go from the index: written by triggers, so that no cascade is forgotten.
create table vector_deletions (
    doc_id   uuid not null,
    model    text not null,
    corpus   text not null,
    user_id  uuid not null,
    primary key (doc_id, model)
);
create function memory_vector_gone() returns trigger language plpgsql as $$
begin
    insert into vector_deletions (doc_id, model, corpus, user_id) values (old.doc_id, old.model, 'memories', old.user_id)
        on conflict do nothing;
    update memory_state set deletions = deletions + 1 where user_id = old.user_id;
    return null;
end $$;
create trigger memory_vectors_gone after delete on memory_vectors for each row execute function memory_vector_gone();
create trigger memory_vectors_changed after update of model on memory_vectors for each row
    when (old.model <> new.model) execute function memory_vector_gone();
create function message_vector_gone() returns trigger language plpgsql as $$
begin
    insert into vector_deletions (doc_id, model, corpus, user_id) values (old.doc_id, old.model, 'messages', old.user_id)
        on conflict do nothing;
    update memory_state set deletions = deletions + 1 where user_id = old.user_id;
    return null;
end $$;
create trigger message_vectors_gone after delete on message_vectors for each row execute function message_vector_gone();
create trigger message_vectors_changed after update of model on message_vectors for each row
    when (old.model <> new.model) execute function message_vector_gone();

-- What happened to a user's memory, for streams that resume.
create table user_events (
    user_id     uuid not null references users (id) on delete cascade,
    n           bigint not null,
    name        text not null,
    data        jsonb not null,
    created_at  timestamptz not null,
    primary key (user_id, n)
);
create index user_events_age on user_events (created_at);

create table user_settings (
    user_id     uuid primary key references users (id) on delete cascade,
    settings    jsonb not null,
    updated_at  timestamptz not null
);

-- What is too large for one row: uploads to import, exports to fetch.
create table blobs (
    id          uuid not null,
    part        bigint not null,
    user_id     uuid not null references users (id) on delete cascade,
    data        bytea not null,
    created_at  timestamptz not null,
    primary key (id, part)
);
create index blobs_user on blobs (user_id);
create index blobs_age on blobs (created_at);
