#!/bin/bash
# What a chat costs in PostgreSQL and Redis: bytes of WAL, bytes stored, rows written by table and how many of the updates are HOT,
# and Redis commands. Starts servers of its own, as root or as whoever may run them, and runs `rapport-bench chat` against them.
#
#   cargo build --workspace && bench/cost.sh [SECONDS]        # RAPPORT_BIN and BENCH_BIN name other binaries
set -euo pipefail
seconds=${1:-20}
here=$(cd "$(dirname "$0")/.." && pwd)
export RAPPORT_BIN=${RAPPORT_BIN:-$here/target/debug/rapport}
bench=${BENCH_BIN:-$here/target/debug/rapport-bench}
folder=$(mktemp -d /tmp/rapport-cost.XXXX)
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
as_owner() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$folder"
    as_owner() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
fi
trap 'as_owner "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null; kill $redis 2>/dev/null; rm -rf "$folder"' EXIT
as_owner "$bin/initdb" -D "$folder/data" -A trust -U postgres >/dev/null
as_owner "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" -o "-p 55998 -k $folder -c shared_buffers=1GB -c max_wal_size=8GB" start >/dev/null
redis-server --port 55997 --save '' --dir "$folder" >/dev/null &
redis=$!
sql() { "$bin/psql" -h "$folder" -p 55998 -U postgres -qAt "$@"; }
sql -c "create database r"
export DATABASE_URL=postgres://postgres@127.0.0.1:55998/r REDIS_URL=redis://127.0.0.1:55997
# Tables and accounts first: what is measured begins after them.
"$bench" chat --duration 2 >/dev/null
redis-cli -p 55997 config resetstat >/dev/null
sql -d r -c checkpoint -c "select pg_stat_reset()" >/dev/null
commands() { redis-cli -p 55997 info stats | sed -n 's/^total_commands_processed:\([0-9]*\).*/\1/p'; }
chats() { sql -d r -c "select count(*) from messages where role = 'assistant'"; }
stored() { sql -d r -c "select pg_database_size('r')"; }
before=$(sql -c "select pg_current_wal_insert_lsn()") begun=$(chats) size=$(stored) asked=$(commands)
"$bench" chat --duration "$seconds" | grep -iE "chat|provider|p50" || true
wal=$(sql -c "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$before')::bigint")
count=$(($(chats) - begun))
sql -d r -c "vacuum"
printf '%d chats\nWAL        %8d B a chat\nstored     %8d B a chat\nRedis      %8.1f commands a chat\n' \
    "$count" $((wal / count)) $((($(stored) - size) / count)) "$(echo "($(commands) - $asked) / $count" | bc -l)"
sql -d r -F ' | ' -c "select relname, round(n_tup_ins * 1.0 / $count, 2) || ' inserted', round(n_tup_upd * 1.0 / $count, 2) || ' updated',
    coalesce(round(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0))::text, '-') || ' % HOT', round(n_tup_del * 1.0 / $count, 2) || ' deleted',
    pg_indexes_size(relid) / $count || ' B indexes', pg_table_size(relid) / $count || ' B table'
    from pg_stat_user_tables where n_tup_ins + n_tup_upd > $count / 20 order by n_tup_ins desc"
# Of Redis, what each command was called a chat, those within scripts too.
redis-cli -p 55997 info commandstats | tr -d '\r' | sed -n 's/^cmdstat_\([^:]*\):calls=\([0-9]*\).*/\2 \1/p' | sort -rn |
    awk -v chats="$count" '$1 > chats / 20 { printf "%s %.2f  ", $2, $1 / chats } END { print "" }'
