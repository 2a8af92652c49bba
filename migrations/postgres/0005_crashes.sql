-- How often a job's process died while it ran, apart from how often it was tried (docs/decisions/0004-quarantine.md).
alter table jobs add column crashes bigint not null default 0;
-- The worker that died last with it.
alter table jobs add column crashed_on text;
-- Others ran beside it in the quarantine lane: a crash may be theirs.
alter table jobs add column shared_lane boolean not null default false;
