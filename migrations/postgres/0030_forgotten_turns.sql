-- Turns from which a memory was taken that its user deleted: they stand in no prompt of another conversation.
create table forgotten_turns (
    message_id  uuid primary key references messages (id) on delete cascade,
    user_id     uuid not null references users (id) on delete cascade
);
create index forgotten_turns_user on forgotten_turns (user_id);
