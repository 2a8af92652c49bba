-- Each job is written twice after it was queued, and each message once when its vector is made. By PostgreSQL's defaults what that
-- leaves behind waits until it is a fifth of the table; a fiftieth is soon cleaned up, while all goes on (decision 40).
alter table jobs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
alter table messages set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
