-- Which processes there are, and how far each one's clock is ahead of the database's (docs/jobs.md, "Time").
create table processes (
    name        text primary key,
    role        text not null,
    started_at  timestamptz not null,
    seen_at     timestamptz not null,
    skew_millis bigint not null
);
