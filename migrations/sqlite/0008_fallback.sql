-- A project may let others answer when its default provider cannot.
alter table projects add column fallback integer not null default 0;
