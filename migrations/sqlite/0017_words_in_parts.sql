-- The words of messages: a row a message while it is new, then folded into parts of 256 messages. What was a row a word is moved
-- after this step (common/store/src/words/convert.rs); the table of before stays, empty.
create table message_words (
    user_id  blob not null,
    doc_id   blob not null,
    -- Words of the message.
    length   integer not null,
    -- Its terms and how often each: common/store/src/words/encoding.rs.
    bag      blob not null,
    primary key (user_id, doc_id)
) strict, without rowid;
create table message_word_parts (
    user_id  blob not null references users (id) on delete cascade,
    part     integer not null,
    -- 16 bytes a slot.
    ids      blob not null,
    lengths  blob not null,
    primary key (user_id, part)
) strict;
create table message_postings (
    user_id   blob not null references users (id) on delete cascade,
    -- The first byte of a term's hash.
    bucket    integer not null,
    part      integer not null,
    postings  blob not null,
    primary key (user_id, bucket, part)
) strict, without rowid;
-- Messages that are gone from `messages` and still in a part.
create table message_words_gone (
    user_id  blob not null,
    doc_id   blob not null,
    primary key (user_id, doc_id)
) strict, without rowid;
drop trigger messages_gone;
create trigger messages_gone after delete on messages for each row when old.remember
begin
    insert or ignore into message_words_gone (user_id, doc_id) select old.user_id, old.id
        where not exists (select 1 from message_words where user_id = old.user_id and doc_id = old.id)
        and exists (select 1 from message_word_parts where user_id = old.user_id);
    delete from message_words where user_id = old.user_id and doc_id = old.id;
end;
