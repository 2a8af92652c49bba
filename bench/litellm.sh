#!/bin/sh
# What /v1/chat/completions adds to the provider alone, beside LiteLLM's proxy, in one run (docs/benchmarks.md). LiteLLM comes from PyPI into
# target/litellm, once. Arguments go to `rapport-bench completions`; DATABASE_URL and REDIS_URL choose the stack.
set -eu
cd "$(dirname "$0")/.."
version=1.108.7
done=target/litellm/$version.done
if [ ! -f "$done" ]; then
    rm -rf target/litellm
    python3 -m venv target/litellm
    target/litellm/bin/pip install --quiet "litellm[proxy]==$version"
    touch "$done"
fi
exec "${BENCH_BIN:-target/release/rapport-bench}" completions --litellm target/litellm/bin/litellm "$@"
