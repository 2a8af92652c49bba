-- A job that a process died with runs in a process of its own: who else was there need not be known
-- (docs/decisions/0004-quarantine.md).
alter table jobs drop column crashed_on;
alter table jobs drop column shared_lane;
