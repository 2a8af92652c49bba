#!/bin/bash
# What a few deletes and counts cost at two million messages and one million jobs, without the indexes of step 15 and with
# them, and a page of a session of 20,000 messages. Starts a PostgreSQL of its own, as root or as whoever may run one.
#
#   cargo build && bench/growth.sh [USERS]        # 1,000 by default: 2,000 messages and 1,000 jobs each
set -euo pipefail
users=${1:-1000}
rapport=${RAPPORT_BIN:-$(dirname "$0")/../target/debug/rapport}
folder=$(mktemp -d /tmp/rapport-growth.XXXX)
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
port=55999
as_owner() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$folder"
    as_owner() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
fi
trap 'as_owner "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null; rm -rf "$folder"' EXIT
as_owner "$bin/initdb" -D "$folder/data" -A trust -U postgres >/dev/null
as_owner "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
    -o "-p $port -k $folder -c shared_buffers=1GB -c max_wal_size=4GB -c synchronous_commit=off" start >/dev/null
sql() { "$bin/psql" -h "$folder" -p $port -U postgres -qAt "$@"; }
migrate() {
    SECRET_KEY=$(openssl rand -hex 32) DATABASE_URL=postgres://postgres@127.0.0.1:$port/r RUST_LOG=error "$rapport" migrate
}
sql -c "create database r"
migrate
sql -d r -c "drop index jobs_session, messages_user, jobs_ended, jobs_dead"
sql -d r -v users="$users" <<'SQL'
insert into users (id, username, password_hash, created_at, updated_at)
    select md5('u'||n)::uuid, 'u'||n, '', now(), now() from generate_series(1, :users) n;
insert into sessions (id, user_id, title, created_at, updated_at)
    select md5('s'||u||'-'||s)::uuid, md5('u'||u)::uuid, 't', now(), now() from generate_series(1, :users) u, generate_series(1, 100) s;
insert into jobs (id, kind, queue, user_id, session_id, session_order, payload, status, attempt, max_attempts, run_at, created_at, finished_at)
    select md5('j'||u||'-'||s||'-'||m)::uuid, 'chat', 'chat', md5('u'||u)::uuid, md5('s'||u||'-'||s)::uuid, m, '{}',
        case when random() < 0.001 then 'failed' else 'succeeded' end, 1, 3, now(), now(), now() - random() * interval '30 days'
    from generate_series(1, :users) u, generate_series(1, 100) s, generate_series(1, 10) m;
insert into messages (id, session_id, user_id, job_id, seq, role, content, status, created_at, remember)
    select md5('m'||u||'-'||s||'-'||m)::uuid, md5('s'||u||'-'||s)::uuid, md5('u'||u)::uuid, md5('j'||u||'-'||s||'-'||((m+1)/2))::uuid, m,
        case when m % 2 = 1 then 'user' else 'assistant' end, repeat('word ', 20), 'complete', now(), false
    from generate_series(1, :users) u, generate_series(1, 100) s, generate_series(1, 20) m;
insert into sessions (id, user_id, title, created_at, updated_at) values (md5('long')::uuid, md5('u1')::uuid, 't', now(), now());
insert into messages (id, session_id, user_id, seq, role, content, status, created_at, remember)
    select md5('long'||m)::uuid, md5('long')::uuid, md5('u1')::uuid, m, case when m % 2 = 1 then 'user' else 'assistant' end,
        repeat('word ', 20), 'complete', now(), false from generate_series(1, 20000) m;
analyze;
SQL
# The middle of three, in milliseconds; `@` is 1, 2, 3.
cost() {
    local what=$1 statement=$2
    local all=()
    for n in 1 2 3; do
        all+=("$(sql -d r -c "explain (analyze, timing off) ${statement//@/$n}" | sed -n 's/^Execution Time: \([0-9.]*\) ms/\1/p')")
    done
    printf '%-40s %s ms\n' "$what" "$(printf '%s\n' "${all[@]}" | sort -n | sed -n 2p)"
}
measure() {
    cost "delete a session of 20 messages" "delete from sessions where id = md5('s$1-@')::uuid"
    cost "delete an account of 2,000 messages" "delete from users where id = md5('u${1}@')::uuid"
    cost "count a user's messages" "select count(*) from messages where user_id = md5('u2@')::uuid"
    cost "a page of dead jobs of one kind" "select id from jobs where status = 'failed' and kind = 'title' order by id desc limit 200"
    cost "what ended in a minute, by queue" "select queue, count(*) from jobs where finished_at >= now() - interval '1 minute' group by queue"
}
echo "without the indexes"
measure 4
echo "with them"
migrate
measure 5
line="with recursive line (id, upto) as (select s.id, cast(9000000000000000000 as bigint) from sessions s
    where s.id = md5('long')::uuid and s.user_id = md5('u1')::uuid union all
    select s.parent_session_id, case when s.branch_seq < l.upto then s.branch_seq else l.upto end from line l
    join sessions s on s.id = l.id where s.parent_session_id is not null and s.branch_seq is not null)"
echo "the newest 50 of 20,000 messages of a session"
cost "as of a branch" "$line select m.content from line l join messages m on m.session_id = l.id and m.seq <= l.upto
    where m.user_id = md5('u1')::uuid and m.seq < 20001 order by m.seq desc limit 50"
cost "along the index" "select m.content from messages m where m.session_id = md5('long')::uuid and m.user_id = md5('u1')::uuid
    and m.seq < 20001 order by m.seq desc limit 50"
