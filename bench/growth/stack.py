"""The servers under measurement: PostgreSQL, Redis, the mock provider, the API and a worker, all private and in one folder."""

import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PASSWORD = "Correct-horse-1"
HERE = pathlib.Path(__file__).parent
POSTGRES = {
    "shared_buffers": "1GB", "max_wal_size": "4GB", "work_mem": "16MB", "max_connections": "100", "autovacuum": "off",
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0",
    "shared_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "-1", "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json", "logging_collector": "on", "log_destination": "jsonlog", "log_filename": "statements.log",
    "log_rotation_age": "0", "log_rotation_size": "0",
}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Stack:
    def __init__(self, rapport):
        self.rapport = rapport
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rapport-growth-", dir="/tmp"))
        self.bin = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.pg_port, self.redis_port, self.mock_port, self.api_port = (free_port() for _ in range(4))
        self.children = []
        self.demote = {}
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.demote = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def start(self):
        self.start_postgres()
        self.spawn(["redis-server", "--port", str(self.redis_port), "--save", "", "--dir", str(self.folder)])
        self.sql("create database r", database="postgres")
        subprocess.run([self.rapport, "migrate"], env=self.env(), check=True, stdout=subprocess.DEVNULL)
        self.spawn([self.rapport, "mock-provider", "--port", str(self.mock_port)])
        self.spawn([self.rapport, "api"])
        self.spawn([self.rapport, "worker"])
        self.until(lambda: self.call("GET", "/api/v1/readyz")[0] == 200, "the API is ready", 60)

    def start_postgres(self):
        data = self.folder / "data"
        quiet = {"stdout": subprocess.DEVNULL, "cwd": self.folder, **self.demote}
        subprocess.run([self.bin / "initdb", "-D", data, "-A", "trust", "-U", "postgres"], check=True, **quiet)
        # Not as options of the command: those could not be changed while it runs.
        with open(data / "postgresql.conf", "a") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in (POSTGRES | {"log_directory": self.folder}).items())
        where = f"-p {self.pg_port} -k {self.folder}"
        subprocess.run([self.bin / "pg_ctl", "-D", data, "-w", "-l", self.folder / "start.log", "-o", where, "start"],
                       check=True, **quiet)

    def env(self):
        return os.environ | {
            "PORT": str(self.api_port), "DATA_DIR": str(self.folder / "rapport"), "SECRET_KEY": "b3f1c87e5d2a9460f7e8b1d3c5a79260",
            "DATABASE_URL": f"postgres://postgres@127.0.0.1:{self.pg_port}/r", "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}",
            "RUST_LOG": "error", "LOG_FORMAT": "json", "RATE_LIMIT__REQUESTS_PER_MINUTE": "0", "ACCESS_TOKEN_EXPIRE_MINUTES": "1440",
            "AI_SERVICES__OPENAI_API_KEY": "mock", "AI_SERVICES__OPENAI_BASE_URL": f"http://127.0.0.1:{self.mock_port}/v1",
            # New conversations are not read for memories while something is measured.
            "MEMORY__IDLE_SECONDS": "3600", "FILES__USER_FILES": "10000", "SERVER__IDLE_SECONDS": "3600",
        }

    def spawn(self, command):
        log = open(self.folder / "processes.log", "ab")
        self.children.append(subprocess.Popen(command, env=self.env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def stop(self):
        for child in reversed(self.children):
            child.send_signal(signal.SIGKILL)
            child.wait()
        subprocess.run([self.bin / "pg_ctl", "-D", self.folder / "data", "-m", "immediate", "stop"], stdout=subprocess.DEVNULL,
                       cwd=self.folder, **self.demote)
        shutil.rmtree(self.folder)

    def psql(self, *arguments, database="r"):
        command = ["psql", "-h", "127.0.0.1", "-p", str(self.pg_port), "-U", "postgres", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", database]
        return subprocess.run([*command, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def sql(self, statement, database="r"):
        """The rows of a statement, as lists of texts."""
        out = self.psql("-c", statement, database=database)
        return [line.split("|") for line in out.splitlines()]

    def one(self, statement):
        rows = self.sql(statement)
        return rows[0][0] if rows else ""

    def script(self, name):
        self.psql("-f", str(HERE / name))

    def until(self, is_so, what, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if is_so():
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise TimeoutError(f"not within {seconds} s: {what}")

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=600)

    def call(self, method, path, body=None, token=None, headers=None, connection=None):
        """Status and body of an answer."""
        sent = {"content-type": "application/json", **(headers or {})}
        if token:
            sent["authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = connection or self.connection()
        connection.request(method, path, body=body, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def made(self, method, path, body=None, token=None, headers=None):
        """The JSON of an answer that must be a good one."""
        status, text = self.call(method, path, body, token, headers)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {text[:300]}")
        return json.loads(text or b"null")

    def account(self, name):
        return self.made("POST", "/api/v1/auth/register", {"username": name, "password": PASSWORD})["access_token"]

    def admin(self):
        subprocess.run([self.rapport, "admin", "create", "root"], env=self.env(), check=True, input=f"{PASSWORD}\n{PASSWORD}\n".encode(),
                       stdout=subprocess.DEVNULL)
        return self.made("POST", "/api/v1/auth/login", {"username": "root", "password": PASSWORD})["access_token"]

    def upload(self, token, name, text):
        lines = ["--x", f'content-disposition: form-data; name="file"; filename="{name}"', "content-type: text/plain", "", text, "--x--", ""]
        return self.made("POST", "/api/v1/files", "\r\n".join(lines).encode(), token, {"content-type": "multipart/form-data; boundary=x"})


def short(prefix, uuid):
    """An id as the API writes it."""
    bits = f"{int(uuid.replace('-', ''), 16):0128b}00"
    digits = (int(bits[at:at + 5], 2) for at in range(0, 130, 5))
    return f"{prefix}_" + "".join("0123456789abcdefghjkmnpqrstvwxyz"[digit] for digit in digits)
