-- PostgreSQL makes it after its migrations, without keeping writers out (common/store/src/db/indexes.rs).
create index jobs_open on jobs (session_id, session_order) where finished_at is null and session_order is not null;
drop index jobs_session_open;
