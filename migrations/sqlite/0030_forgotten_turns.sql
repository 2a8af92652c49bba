-- Turns whose words their user does not want known: a memory that was taken from them was deleted, or would have been. They stand in no
-- prompt of another conversation. A message that is imported again has its old id, so this outlives it.
create table forgotten_turns (
    message_id  blob primary key,
    user_id     blob not null references users (id) on delete cascade
) strict, without rowid;
create index forgotten_turns_user on forgotten_turns (user_id);
-- Of memories that were deleted before, nobody knows any more what they were taken from.
insert into forgotten_turns (message_id, user_id) select m.id, m.user_id from messages m
where m.role = 'user' and m.user_id in (select user_id from memory_forgotten);
