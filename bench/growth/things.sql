-- Fills what accounts in growth.want have besides conversations; to be run after sessions.sql, whose lines the evidence of memories names.
set session_replication_role = replica;
set synchronous_commit = off;
set work_mem = '256MB';

insert into memory_state (user_id) select user_id from growth.want on conflict do nothing;
update memory_state s set version = 1 + greatest(s.version, (select max(v.version) from message_vectors v where v.user_id = s.user_id))
    from growth.want w where w.user_id = s.user_id;
insert into user_settings (user_id, settings, updated_at) select user_id, '{}', growth.start() from growth.want on conflict do nothing;

-- Memories.
create temp table fresh as
    select w.user_id, g, growth.thing(w.user_id, 'memory', g) as id, growth.at(g) as at, f.n, f.content || ', ' || g as content, f.vector, f.model
    from growth.want w, generate_series(w.m0 + 1, w.m1) g join growth.facts f on f.n = 1 + g % (select count(*) from growth.facts);
create temp table said as
    select user_id, id, session_id, row_number() over (partition by user_id) - 1 as k, count(*) over (partition by user_id) as c
    from growth.lines where seq % 2 = 1;
create index on said (user_id, k);
create temp table counts as select distinct user_id, c from said;
analyze fresh;
analyze said;
insert into memories (id, user_id, content, norm, memory_type, subject, slot, object, importance, confidence, status, explicit, contexts,
        session_id, message_id, quote, extractor_version, extracted_at, expires_at, embedded, essential, access_count, created_at, updated_at)
    select f.id, f.user_id, f.content, lower(f.content),
        (array['preference', 'fact', 'topic', 'relationship', 'goal', 'experience'])[1 + f.g % 6],
        case when f.g % 5 = 0 then 'user' end, case when f.g % 5 = 0 then 'slot' || f.g % 100 end, case when f.g % 5 = 0 then 'o' || f.g end,
        growth.pick(f.id::text, 100) / 100.0, 0.8,
        (array['pending', 'rejected', 'superseded', 'merged', 'expired', 'confirmed'])[least(1 + f.g % 40, 6)],
        false, '[]', s.session_id, s.id, left(f.content, 20), 'e1', f.at, case when f.g % 20 = 7 then now() + interval '90 days' end,
        true, f.g % 200 = 9, f.g % 13, f.at, f.at
    from fresh f left join counts c using (user_id) left join said s on s.user_id = f.user_id and s.k = f.g % c.c;
insert into memory_terms (user_id, term, doc_id, tf, length)
    select f.user_id, t.term, f.id, t.tf, t.length from fresh f join growth.fact_terms t on t.n = f.n;
insert into memory_vectors (doc_id, user_id, model, vector, version)
    select f.id, f.user_id, f.model, f.vector, s.version from fresh f join memory_state s on s.user_id = f.user_id;
insert into memory_evidence (memory_id, message_id, user_id, quote, created_at)
    select f.id, s.id, f.user_id, left(f.content, 20), f.at from fresh f join counts c using (user_id) join said s on s.user_id = f.user_id and s.k = f.g % c.c;
insert into memory_changes (id, change_set, memory_id, user_id, actor, action, after, created_at)
    select growth.v7(f.at, 'change' || c || f.id), growth.v7(f.at, 'set' || c || f.id), f.id, f.user_id, 'extractor', 'created',
        jsonb_build_object('content', f.content, 'status', 'confirmed', 'memory_type', 'fact'), f.at from fresh f, generate_series(1, 2) c;
insert into memory_links (source, target, relationship, user_id, actor, created_at)
    select f.id, growth.thing(f.user_id, 'memory', f.g - d), 'relates_to', f.user_id, 'extractor', f.at
    from fresh f, (values (1), (37)) as back (d) where f.g > d on conflict do nothing;
insert into memory_conflicts (id, user_id, a, b, kind, reason, proposed, status, created_at)
    select growth.v7(f.at, 'conflict' || f.id), f.user_id, f.id, growth.thing(f.user_id, 'memory', f.g - 1), 'contradicts', 'both cannot be', 'keep_both',
        case when f.g % 40 = 0 then 'open' else 'resolved' end, f.at from fresh f where f.g % 10 = 0 on conflict do nothing;
insert into memory_suggestions (id, user_id, memory_ids, reason, suggested_content, score, created_at)
    select growth.v7(f.at, 'suggestion' || f.id), f.user_id, '[]', 'alike', f.content, 0.9, f.at from fresh f where f.g % 20 = 0;
insert into memory_forgotten (user_id, hash) select f.user_id, decode(md5(f.content), 'hex') from fresh f where f.g % 10 = 0 on conflict do nothing;
-- Everybody shares a memory with the account after theirs, and with the heavy one.
insert into memory_shares (memory_id, place, name, user_id)
    select f.id, p, u.username, u.id from fresh f join users o on o.id = f.user_id, generate_series(1, 2) p join users u on true
    where f.g = 9 and o.username like 'u%' and u.username = case p when 1 then 'u' || (substr(o.username, 2)::bigint + 1) else 'heavy' end;

-- Files, of ten passages each.
create temp table held as
    select w.user_id, g, growth.thing(w.user_id, 'file', g) as id, growth.at(g) as at, replace(w.user_id::text, '-', '') || '/f' || g as place
    from growth.want w, generate_series(w.f0 + 1, w.f1) g;
insert into files (id, user_id, name, kind, bytes, sha256, place, parts, status, generation, chunks, words, created_at, updated_at)
    select id, user_id, 'file-' || g || '.txt', 'text', 9000, md5(id::text), place, '[]', 'indexed', 'g' || g, 10, 1000, at, at from held;
create temp table parts as
    select h.user_id, h.id as file_id, 'g' || h.g as generation, c, growth.v7(h.at, 'chunk' || c || h.id) as id, p.n, p.content, p.start, p.vector, p.model
    from held h, generate_series(1, 10) c join growth.passages p on p.n = c;
insert into chunks (id, user_id, file_id, generation, n, heading, start, content, embedded)
    select id, user_id, file_id, generation, c, '', start, content, true from parts;
insert into chunk_terms (user_id, term, generation, doc_id, tf, length)
    select p.user_id, t.term, p.generation, p.id, t.tf, t.length from parts p join growth.passage_terms t on t.n = p.n;
insert into chunk_vectors (doc_id, user_id, model, vector, version)
    select p.id, p.user_id, p.model, p.vector, s.version from parts p join memory_state s on s.user_id = p.user_id;

-- The rest: so many of each.
create temp table rest as
    select w.user_id, w.name, g, growth.at(g) as at, g::text || w.user_id as seed from growth.want w, generate_series(w.r0 + 1, w.r1) g;
insert into logins (id, user_id, created_at) select growth.v7(at, 'login' || seed), user_id, at from rest;
insert into refresh_tokens (id, login_id, token_hash, expires_at, created_at)
    select growth.v7(at, 'token' || c || seed), growth.v7(at, 'login' || seed), decode(md5(c || seed) || md5('x' || c || seed), 'hex'), now() + interval '30 days', at
    from rest, generate_series(1, 3) c;
insert into audit_log (id, user_id, actor, event, address, created_at)
    select growth.v7(at, 'audit' || c || seed), user_id, 'user', (array['signed_in', 'password_changed', 'api_key_made'])[1 + c % 3], '127.0.0.1', at
    from rest, generate_series(1, 3) c;
insert into idempotency_keys (owner, key, request_hash, target, created_at)
    select user_id::text, 'key' || g, decode(md5(seed), 'hex'), 'x', now() - g % 20 * interval '1 minute' from rest;
insert into usage_days (user_id, day, project, api_key, provider, model, kind, requests, prompt_tokens, completion_tokens, cost)
    select user_id, to_char(now() - g * interval '1 day', 'YYYY-MM-DD'), '', '', 'openai', 'mock' || c, k, 5, 500, 100, 10
    from rest, generate_series(1, 2) c, unnest(array['chat', 'title', 'memory_extraction']) k where g <= 39;
insert into user_events (user_id, n, name, data, created_at)
    select user_id, g + 10, 'memory_created', '{"id": "mem_0", "content": "x", "status": "confirmed"}', now() - g % 60 * interval '1 minute' from rest
    on conflict do nothing;
insert into projects (id, user_id, name, created_at, updated_at)
    select growth.v7(at, 'project' || seed), user_id, 'project ' || g, at, at from rest where g % 10 = 1;
insert into prompts (id, project_id, user_id, name, version, variables, is_active, created_at, updated_at)
    select growth.v7(at, 'prompt' || seed), growth.v7(at, 'project' || seed), user_id, 'prompt', 1, '{}', true, at, at from rest where g % 10 = 1;
insert into prompt_versions (prompt_id, version, content, created_at)
    select growth.v7(at, 'prompt' || seed), v, 'Be brief.', at from rest, generate_series(1, 3) v where g % 10 = 1;
insert into webhooks (id, user_id, url, events, wants_jobs_done, wants_jobs_failed, wants_memories, sealed, created_at)
    select growth.v7(at, 'hook' || seed), user_id, 'https://example.com/hook', '["memory.created"]', false, false, false, '', at from rest where g = 1;
insert into webhook_deliveries (id, webhook_id, user_id, event, subject, status, attempts, answer, next_at, created_at, delivered_at)
    select growth.v7(at, 'delivery' || c || seed), h.id, user_id, 'memory.created', growth.v7(at, seed), 'delivered', 1, 200, at, at, at
    from rest join lateral (select id from webhooks h where h.user_id = rest.user_id order by id desc limit 1) h on true, generate_series(1, 5) c;
insert into v1_conversations (id, user_id, metadata, created_at) select growth.v7(at, 'conversation' || seed), user_id, '{}', at from rest;
insert into v1_items (conversation_id, seq, user_id, id, item, created_at)
    select growth.v7(at, 'conversation' || seed), s, user_id, 'msg_' || s,
        jsonb_build_object('id', 'msg_' || s, 'role', 'user', 'type', 'message', 'status', 'completed', 'content',
            '[{"text": "hi", "type": "input_text"}]'::jsonb), at from rest, generate_series(1, 10) s;
insert into jobs (id, kind, queue, user_id, payload, status, attempt, max_attempts, run_at, created_at, started_at, finished_at, result)
    select growth.v7(at, 'response' || seed), 'chat', 'chat', user_id, '{}', 'succeeded', 1, 3, at, at, at, at, '{"reply": "x"}' from rest;
insert into requests (job_id, user_id, api, prompt, body, created_at)
    select growth.v7(at, 'response' || seed), user_id, 'responses', '{}', '{}', at from rest;
insert into vector_stores (id, user_id, name, metadata, created_at, updated_at)
    select growth.v7(at, 'store' || seed), user_id, 'store ' || g, '{}', at, at from rest where g % 10 = 1;
insert into vector_store_files (vector_store_id, file_id, user_id, attributes, added_at)
    select growth.v7(r.at, 'store' || r.seed), h.id, r.user_id, '{}', h.at from rest r join held h on h.user_id = r.user_id and h.g % 10 < 4 where r.g = 1;
