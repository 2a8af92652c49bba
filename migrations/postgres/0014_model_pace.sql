-- How slowly each model began to answer at the slowest, lately: a process that has just started knows what silence means.
create table model_pace (
    provider    text not null,
    model       text not null,
    slowest_ms  bigint not null,
    noted_at    timestamptz not null,
    primary key (provider, model)
);
