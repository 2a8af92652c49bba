-- Who tidies for all: one row. A worker takes it when nobody has it, and says in time that it still does.
create table sweeper (
    is_only  boolean primary key default true check (is_only),
    name     text not null,
    until    timestamptz not null
) with (fillfactor = 20);
insert into sweeper (name, until) values ('', now());
