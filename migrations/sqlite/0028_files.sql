-- Files that users send, the passages that are taken out of them, and what finds those again.

create table files (
    id          blob primary key,
    user_id     blob not null references users (id) on delete cascade,
    name        text not null,
    -- What it is by its content: `pdf`, `markdown`, ...
    kind        text not null,
    bytes       integer not null,
    -- Of all its bytes: the same content is kept once a user.
    sha256      text not null,
    -- Where its bytes are: a folder of the store, and the names of its parts in order.
    place       text not null,
    parts       text not null,
    -- `stored`: there is no text to take out of it.
    status      text not null check (status in ('stored', 'queued', 'reading', 'indexed', 'failed')),
    -- Why it could not be read.
    error       text,
    job_id      blob references jobs (id) on delete set null,
    -- Which of its passages are those that count: all others are of readings that did not end.
    generation  text,
    pages       integer,
    chunks      integer not null default 0,
    -- Words of all passages together.
    words       integer not null default 0,
    created_at  text not null,
    updated_at  text not null
) strict;
create unique index files_content on files (user_id, sha256);
create index files_user on files (user_id, id desc);
create index files_job on files (job_id) where job_id is not null;

-- Bytes that arrive. The row is there before the first byte is stored, so that none is ever nobody's.
create table uploads (
    id          blob primary key,
    user_id     blob not null references users (id) on delete cascade,
    name        text not null,
    kind        text,
    -- How many there are to be; null while nobody knows.
    length      integer,
    received    integer not null default 0,
    place       text not null,
    parts       text not null,
    -- Of the hash of what has come.
    state       blob,
    -- Who sends right now: a later request takes over from an earlier one.
    claim       text not null,
    -- The file that it became. Not a foreign key: the row only tells a sender who missed the answer, and its bytes are the file's.
    file_id     blob,
    created_at  text not null,
    updated_at  text not null
) strict;
create index uploads_user on uploads (user_id);
create index uploads_age on uploads (updated_at);

-- Bytes, and passages, whose row is gone: written by triggers, so that no cascade is forgotten. They go a piece at a time.
create table file_deletions (
    place       text primary key,
    -- Of a file; an upload has no passages.
    file_id     blob,
    user_id     blob not null
) strict;
create trigger files_gone after delete on files for each row
begin
    insert into file_deletions (place, file_id, user_id) values (old.place, old.id, old.user_id) on conflict do nothing;
end;
create trigger uploads_gone after delete on uploads for each row
    when old.file_id is null
begin
    insert into file_deletions (place, user_id) values (old.place, old.user_id) on conflict do nothing;
end;

create table chunks (
    id          blob primary key,
    user_id     blob not null references users (id) on delete cascade,
    -- Not a foreign key: there may be very many of one file.
    file_id     blob not null,
    generation  text not null,
    n           integer not null,
    page        integer,
    heading     text not null,
    -- Where it begins in the file's text, in characters.
    start       integer not null,
    content     text not null,
    embedded    integer not null default false
) strict;
create index chunks_file on chunks (file_id, generation, n);
create index chunks_user on chunks (user_id);
create index chunks_unembedded on chunks (user_id) where not embedded;

-- Words of passages: as those of memories (0002), with the reading that they belong to.
create table chunk_terms (
    user_id     blob not null,
    term        text not null,
    generation  text not null,
    doc_id      blob not null,
    tf          integer not null,
    length      integer not null,
    primary key (user_id, term, generation, doc_id)
) strict, without rowid;
create index chunk_terms_doc on chunk_terms (doc_id);

create table chunk_vectors (
    doc_id   blob primary key references chunks (id) on delete cascade,
    user_id  blob not null references users (id) on delete cascade,
    model    text not null,
    vector   blob not null,
    version  integer not null,
    indexed  integer not null default false
) strict;
create index chunk_vectors_user on chunk_vectors (user_id, version);
create index chunk_vectors_unindexed on chunk_vectors (user_id) where not indexed;

create trigger chunks_gone after delete on chunks for each row
begin
    delete from chunk_terms where doc_id = old.id;
end;
create trigger chunk_vectors_gone after delete on chunk_vectors for each row
begin
    insert into vector_deletions (doc_id, model, corpus, user_id) values (old.doc_id, old.model, 'chunks', old.user_id)
        on conflict do nothing;
    update memory_state set deletions = deletions + 1 where user_id = old.user_id;
end;
create trigger chunk_vectors_changed after update of model on chunk_vectors for each row
    when old.model <> new.model
begin
    insert into vector_deletions (doc_id, model, corpus, user_id) values (old.doc_id, old.model, 'chunks', old.user_id)
        on conflict do nothing;
    update memory_state set deletions = deletions + 1 where user_id = old.user_id;
end;

-- Files that a conversation may look into, and those that all of a project's may.
create table session_files (
    session_id  blob not null references sessions (id) on delete cascade,
    file_id     blob not null references files (id) on delete cascade,
    user_id     blob not null references users (id) on delete cascade,
    primary key (session_id, file_id)
) strict;
create index session_files_file on session_files (file_id);
create index session_files_user on session_files (user_id);
create table project_files (
    project_id  blob not null references projects (id) on delete cascade,
    file_id     blob not null references files (id) on delete cascade,
    user_id     blob not null references users (id) on delete cascade,
    primary key (project_id, file_id)
) strict;
create index project_files_file on project_files (file_id);
create index project_files_user on project_files (user_id);
