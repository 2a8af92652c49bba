alter table sessions add column active_hour integer;
alter table sessions add column extract_due text;
update sessions set active_hour = unixepoch(updated_at) / 3600, extract_due = extract_after;
create index sessions_active on sessions (user_id, active_hour desc);
drop index sessions_user;
