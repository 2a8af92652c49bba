-- As in PostgreSQL, where several workers share one database. Here one process sweeps for all.
create table sweeper (
    is_only  integer primary key default 1 check (is_only),
    name     text not null,
    until    text not null
) strict;
