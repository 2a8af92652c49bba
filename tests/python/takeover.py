"""Measures how long a client waits when the worker of its answer is killed: from `kill -9` to the `reset` of the next attempt.

PostgreSQL and Redis of its own in a temporary folder, one API, two workers, the settings a user has. As root:

    python3 tests/python/takeover.py target/debug/rapport 20
"""

import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, ask, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = ask()
            if found:
                return found
        except Exception:  # not there yet
            pass
        time.sleep(0.02)
    raise SystemExit(f"not within {seconds} s: {what}")


def main():
    binary, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    folder = tempfile.mkdtemp(prefix="rapport-takeover-")
    os.chmod(folder, 0o755)
    postgres = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
    data, pg_port, redis_port, port = f"{folder}/pg", free_port(), free_port(), free_port()
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    os.mkdir(data, 0o700)
    if as_postgres:
        shutil.chown(data, "postgres", "postgres")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*as_postgres, f"{postgres}/initdb", "-D", data, "-U", "rapport", "--auth=trust"], check=True, cwd="/", **quiet)
    running = [
        subprocess.Popen([*as_postgres, f"{postgres}/postgres", "-D", data, "-p", str(pg_port), "-k", data], cwd="/", **quiet),
        subprocess.Popen(["redis-server", "--port", str(redis_port), "--save", "", "--dir", folder], **quiet),
    ]
    env = dict(
        os.environ,
        DATABASE_URL=f"postgres://rapport@127.0.0.1:{pg_port}/postgres",
        REDIS_URL=f"redis://127.0.0.1:{redis_port}",
        SECRET_KEY="0123456789abcdef0123456789abcdef-takeover",
        PORT=str(port),
        DATA_DIR=f"{folder}/data",
        RATE_LIMIT__REQUESTS_PER_MINUTE="0",
    )
    try:
        migrate = lambda: subprocess.run([binary, "migrate"], env=env, **quiet).returncode == 0
        until("the database is there", migrate)
        running.append(subprocess.Popen([binary, "api"], env=env, **quiet))
        worker = lambda: subprocess.Popen([binary, "worker"], env=env, **quiet)
        workers = {process.pid: process for process in (worker(), worker())}
        base = f"http://127.0.0.1:{port}"
        until("the API is ready", lambda: urllib.request.urlopen(f"{base}/readyz").status == 200)

        def call(method, path, body=None, token=None):
            headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
            request = urllib.request.Request(f"{base}/api/v1{path}", json.dumps(body).encode() if body else None, headers, method=method)
            return urllib.request.urlopen(request)

        token = json.load(call("POST", "/auth/register", {"username": "ann", "password": "Correct-horse-1"}))["access_token"]
        until("two workers", lambda: json.load(call("GET", "/health"))["workers"].get("chat") == 2)
        waits = []
        for _ in range(rounds):
            seen, events = {}, threading.Event()
            stream = call("POST", "/chat/stream", {"message": "/delay 100 /tokens 600"}, token)

            def follow():
                name = ""
                for line in stream:
                    text = line.decode().strip()
                    if text.startswith("event: "):
                        name = text[7:]
                        seen.setdefault(name, time.monotonic())
                        if name == "reset":
                            events.set()
                            return

            threading.Thread(target=follow, daemon=True).start()
            until("the answer has begun", lambda: "token" in seen)
            sql = "select worker from jobs where status = 'running' and kind = 'chat' order by started_at desc limit 1"
            psql = [f"{postgres}/psql", "-h", "127.0.0.1", "-p", str(pg_port), "-U", "rapport", "-d", "postgres", "-Atc", sql]
            pid = int(subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip().rsplit("-", 2)[1])
            killed = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            workers.pop(pid).wait()
            if not events.wait(60):
                raise SystemExit("no reset within a minute")
            waits.append(seen["reset"] - killed)
            print(f"{waits[-1]:.2f}", end=" ", flush=True)
            replacement = worker()
            workers[replacement.pid] = replacement
            job = json.load(call("GET", "/jobs?status=running&kind=chat", None, token))["items"][0]["id"]
            call("POST", f"/jobs/{job}/cancel", {}, token)
            until("two workers again", lambda: json.load(call("GET", "/health"))["workers"].get("chat", 0) >= 2, 60)
        waits.sort()
        print(f"\nkill -9 to reset, n = {rounds}: p50 {waits[len(waits) // 2]:.1f} s, most {waits[-1]:.1f} s")
    finally:
        for process in [*running[2:], *workers.values()]:
            process.kill()
        for process in running[:2]:
            process.terminate()
        time.sleep(1)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
