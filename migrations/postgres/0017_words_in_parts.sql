-- The words of messages: a row a message while it is new, then folded into parts of 256 messages. What was a row a word is moved
-- after this step (common/store/src/words/convert.rs); the table of before stays, empty.
create table message_words (
    user_id  uuid not null,
    doc_id   uuid not null,
    -- Words of the message.
    length   integer not null,
    -- Its terms and how often each: common/store/src/words/encoding.rs.
    bag      bytea not null,
    primary key (user_id, doc_id)
);
-- Rows come and go: a part takes 256 of a user at once.
alter table message_words set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
alter table message_words alter bag set storage main;
create table message_word_parts (
    user_id  uuid not null references users (id) on delete cascade,
    part     bigint not null,
    -- 16 bytes a slot.
    ids      bytea not null,
    lengths  bytea not null,
    primary key (user_id, part)
);
-- Cut by slot where they lie, so they are never compressed.
alter table message_word_parts alter ids set storage external, alter lengths set storage main;
create table message_postings (
    user_id   uuid not null references users (id) on delete cascade,
    -- The first byte of a term's hash.
    bucket    smallint not null,
    part      bigint not null,
    postings  bytea not null,
    primary key (user_id, bucket, part)
);
alter table message_postings alter postings set storage main;
-- Messages that are gone from `messages` and still in a part.
create table message_words_gone (
    user_id  uuid not null,
    doc_id   uuid not null,
    primary key (user_id, doc_id)
);
create or replace function message_gone() returns trigger language plpgsql as $$
begin
    if old.remember then
        delete from message_words where user_id = old.user_id and doc_id = old.id;
        -- Also when a fold has just taken it: then it is in a part by now.
        if not found and exists (select 1 from message_word_parts where user_id = old.user_id) then
            insert into message_words_gone (user_id, doc_id) values (old.user_id, old.id) on conflict do nothing;
        end if;
    end if;
    return null;
end $$;
