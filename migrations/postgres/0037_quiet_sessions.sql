-- A message changes no indexed column of its session, so that it writes one row and no index (HOT), which needs room in the page.
-- The default is for what older versions put in meanwhile; `db/indexes.rs` fills in those there are.
alter table sessions add column active_hour bigint default floor(extract(epoch from now()) / 3600)::bigint;
-- When memory is to read it. `extract_after` is indexed and may be earlier: the sweep moves it on.
alter table sessions add column extract_due timestamptz;
alter table sessions set (fillfactor = 80);
