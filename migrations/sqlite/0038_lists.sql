-- PostgreSQL makes them after its migrations, without keeping writers out (common/store/src/db/indexes.rs).
create index memories_status on memories (user_id, status, memory_type);
drop index memories_pending;
create index jobs_unwell on jobs (user_id, id desc) where status in ('failed', 'cancelled');
create index jobs_rare on jobs (user_id, kind, id desc) where kind not in ('chat', 'title', 'memory_extraction', 'embedding');
create index files_unread on files (id) where status in ('queued', 'reading');
