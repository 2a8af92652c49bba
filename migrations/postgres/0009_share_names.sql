-- A share keeps the name its owner gave, also a name that nobody has: the list must not tell who has an account.
alter table memory_shares rename to memory_shares_before;
alter table memory_shares_before rename constraint memory_shares_pkey to memory_shares_before_pkey;
drop index memory_shares_user;
create table memory_shares (
    memory_id  uuid not null references memories (id) on delete cascade,
    place      bigint not null,
    name       text not null,
    -- Who had that name when it was given, and may read; nobody, or somebody who is gone, is null.
    user_id    uuid references users (id) on delete set null,
    primary key (memory_id, place)
);
insert into memory_shares (memory_id, place, name, user_id)
    select s.memory_id, row_number() over (partition by s.memory_id order by s.user_id),
        coalesce(u.username, u.email, u.name, 'unnamed'), s.user_id
    from memory_shares_before s join users u on u.id = s.user_id;
drop table memory_shares_before;
create index memory_shares_user on memory_shares (user_id, memory_id) where user_id is not null;
