-- Fills the sessions that stand in growth.todo: their row, a job for two messages, the messages with words, and vectors of some.
-- Rows of other tables are not looked for (no foreign keys, no triggers): all of them are made here.
set session_replication_role = replica;
set synchronous_commit = off;
set work_mem = '256MB';

insert into sessions (id, user_id, title, title_source, status, message_count, next_seq, created_at, updated_at, extracted_seq)
    select t.session_id, t.user_id, 'Talk of ' || left(x.content, 40), 'model',
        case when growth.pick(t.session_id::text, 10) = 0 then 'archived' else 'active' end,
        t.upto, t.upto + 1, t.at, t.at + t.upto * interval '20 seconds', t.upto
    from growth.todo t join growth.turns x on x.n = 1 + growth.pick(t.session_id::text, (select count(*) from growth.turns))
    on conflict (id) do update set message_count = excluded.message_count, next_seq = excluded.next_seq,
        updated_at = excluded.updated_at, extracted_seq = excluded.extracted_seq;

insert into growth.lines
    select t.session_id, t.user_id, s, growth.v7(t.at + s * interval '20 seconds', s || t.session_id::text),
        growth.v7(t.at + (s + s % 2) * interval '20 seconds', (s + s % 2) || 'job' || t.session_id::text),
        t.at + s * interval '20 seconds', 1 + growth.pick(s || t.session_id::text, (select count(*) from growth.turns)), t.with_vectors
    from growth.todo t, generate_series(t.after + 1, t.upto) s;

insert into jobs (id, kind, queue, user_id, session_id, session_order, payload, status, attempt, max_attempts, run_at, created_at,
        started_at, finished_at, result, error)
    select l.job_id, 'chat', 'chat', l.user_id, l.session_id, l.seq - 1,
        jsonb_build_object('seq', l.seq - 1, 'again', false, 'provider', 'default', 'message_id', 'msg_0', 'answer_id', 'msg_0'),
        case when growth.pick(l.id::text, 1000) = 0 then 'failed' else 'succeeded' end, 1, 3, l.at, l.at, l.at, l.at + interval '2 seconds',
        jsonb_build_object('reply', x.content, 'model', 'mock', 'provider', 'openai', 'finish_reason', 'stop', 'memories_used', 2),
        case when growth.pick(l.id::text, 1000) = 0 then '{"code": "provider_error", "detail": "It did not answer."}'::jsonb end
    from growth.lines l join growth.turns x on x.n = l.n where l.seq % 2 = 0;
insert into jobs (id, kind, queue, user_id, session_id, payload, status, attempt, max_attempts, run_at, created_at, started_at, finished_at, result)
    select growth.v7(t.at, 'title' || t.session_id), 'title', 'background', t.user_id, t.session_id, '{"provider": "default"}',
        'succeeded', 1, 3, t.at, t.at, t.at, t.at + interval '1 second', '{"title": "Talk"}'
    from growth.todo t where t.after = 0;

insert into messages (id, session_id, user_id, job_id, seq, role, content, status, provider, model, usage, feedback, created_at, embedded, details)
    select l.id, l.session_id, l.user_id, l.job_id, l.seq, case when l.seq % 2 = 1 then 'user' else 'assistant' end, x.content, 'complete',
        case when l.seq % 2 = 0 then 'openai' end, case when l.seq % 2 = 0 then 'mock' end,
        case when l.seq % 2 = 0 then '{"total_tokens": 107, "prompt_tokens": 86, "completion_tokens": 21}'::jsonb end,
        case when growth.pick(l.id::text, 50) = 0 and l.seq % 2 = 0 then '{"rating": "up"}'::jsonb end, l.at, true,
        case when l.seq % 2 = 0 then '{"ms": 63, "images": [], "sources": [], "memories": [], "tool_calls": [], "finish_reason": "stop"}'::jsonb end
    from growth.lines l join growth.turns x on x.n = l.n;
insert into message_words (user_id, doc_id, length, bag)
    select l.user_id, l.id, x.length, x.bag from growth.lines l join growth.turns x on x.n = l.n;
insert into message_vectors (doc_id, user_id, model, vector, version)
    -- So many at a time as the product makes.
    select l.id, l.user_id, x.model, x.vector, 1 + coalesce((select version from memory_state s where s.user_id = l.user_id), 0)
        + (row_number() over (partition by l.user_id order by l.id) - 1) / 192
    from growth.lines l join growth.turns x on x.n = l.n where l.with_vectors;
insert into message_variants (id, session_id, user_id, seq, content, status, provider, model, created_at)
    select growth.v7(l.at, 'variant' || l.id), l.session_id, l.user_id, l.seq, 'Another answer.', 'complete', 'openai', 'mock', l.at
    from growth.lines l where l.seq % 2 = 0 and growth.pick('variant' || l.id, 50) = 0;
insert into tool_calls (job_id, step, user_id, attempt, name, arguments, read_only, ok, result, ms, created_at)
    select l.job_id, 1, l.user_id, 1, 'calculator', '{"expression": "6*7"}', true, true, '42', 3, l.at
    from growth.lines l where l.seq % 2 = 0 and growth.pick('tool' || l.id, 10) = 0;
insert into job_tries (job_id, attempt, tries)
    select l.job_id, 1, '[]' from growth.lines l where l.seq % 2 = 0 and growth.pick('try' || l.id, 50) = 0;
insert into extraction_runs (id, user_id, session_id, from_seq, to_seq, extractor_version, outcome, facts, created, provider, model, created_at)
    select growth.v7(t.at, 'run' || t.upto || t.session_id), t.user_id, t.session_id, t.after + 1, t.upto, 'e1', 'facts', 2, 1, 'openai', 'mock',
        t.at + interval '1 hour' from growth.todo t where t.after < t.upto;
