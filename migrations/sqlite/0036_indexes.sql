-- PostgreSQL makes them after its migrations, without keeping writers out (common/store/src/db/indexes.rs).
create index message_variants_user on message_variants (user_id);
create index audit_log_event on audit_log (event, id desc);
create index memories_pending on memories (user_id) where status = 'pending';
