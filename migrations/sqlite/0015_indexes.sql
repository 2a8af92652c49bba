-- Deleting a session looks for its jobs; erasing an account for its messages; operators ask what ended, and what is dead.
create index jobs_session on jobs (session_id);
create index messages_user on messages (user_id);
create index jobs_ended on jobs (finished_at) where finished_at is not null;
create index jobs_dead on jobs (id) where status = 'failed';
