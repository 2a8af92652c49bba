#!/bin/sh
# Chats a second beside a FastAPI service of the same shape, in one run (docs/benchmarks.md). Its packages come from PyPI into target/peer, once.
# Arguments go to `rapport-bench chat`; DATABASE_URL and REDIS_URL name servers that may be written to: both services keep their tables there.
set -eu
cd "$(dirname "$0")/.."
if ! cmp -s bench/peer/requirements.txt target/peer/requirements.txt; then
    rm -rf target/peer
    python3 -m venv target/peer
    target/peer/bin/pip install --quiet -r bench/peer/requirements.txt
    cp bench/peer/requirements.txt target/peer/
fi
exec "${BENCH_BIN:-target/release/rapport-bench}" chat --peer target/peer/bin/python "$@"
