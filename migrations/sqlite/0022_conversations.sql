-- Conversations of OpenAI's API: lists of items, which clients fill, and responses.
create table v1_conversations (
    id          blob primary key,
    user_id     blob not null references users (id) on delete cascade,
    metadata    text not null,
    created_at  text not null
) strict;
create index v1_conversations_user on v1_conversations (user_id, id);
create table v1_items (
    conversation_id  blob not null references v1_conversations (id) on delete cascade,
    seq              integer not null,
    user_id          blob not null references users (id) on delete cascade,
    id               text not null,
    item             text not null,
    created_at       text not null,
    primary key (conversation_id, seq)
) strict;
create unique index v1_items_id on v1_items (conversation_id, id);
create index v1_items_user on v1_items (user_id);
-- The conversation that a response is to be added to; null once it is. One at a time.
alter table requests add column conversation_id blob references v1_conversations (id) on delete set null;
create unique index requests_conversation on requests (conversation_id) where conversation_id is not null;
