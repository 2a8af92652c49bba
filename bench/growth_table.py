#!/usr/bin/env python3
"""What each route costs a small and a heavy account as the data of everybody grows, and which statements read whole tables.

    bench/growth_table.py                                # 20,000, 200,000 and 2,000,000 messages
    bench/growth_table.py --sizes 20000,200000 --keep-json /tmp/table.json
    bench/growth_table.py --sizes 20000,4000000 --heavy 1000000   # the heavy account has a million of them, and 200,000 memories

Starts a PostgreSQL, a Redis, the mock provider, the API and a worker of its own (RAPPORT_BIN, or target/debug/rapport), fills the database by SQL
and prints a table in Markdown. Exits with 1 if a statement reads all of a big table at the largest size. Nothing is synced to the disk: what is
measured is reading, not commits. docs/benchmarks.md says what was measured.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from growth import fill, report, routes, scans  # noqa: E402
from growth.stack import Stack, short  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent
IDLE_SECONDS = 30
# Messages of the heavy account, at most.
HEAVY = 100_000
# The small account's chats and deletes are its twin's, which is as large.
ACCOUNTS = ["small", "heavy", "twin"]


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


class Run:
    def __init__(self, stack, sizes, heavy=HEAVY):
        self.stack, self.sizes, self.most = stack, sizes, heavy
        self.filler = fill.Filler(stack)
        self.scans = scans.Scans(stack)
        self.routes = routes.all_routes((ROOT / "docs" / "routes.txt").read_text())
        self.clients, self.users, self.spare = {}, {}, []
        self.times, self.found, self.strange, self.slowest = {}, {}, {}, {}

    def begin(self):
        fill.texts(self.stack)
        for name in ACCOUNTS:
            self.open(name, self.stack.account(name), with_things=True)
        self.open("admin", self.stack.admin(), with_things=False)
        for name in ("small", "twin"):
            self.filler.small(self.users[name], name)
        self.filler.flush()

    def open(self, name, token, with_things):
        self.users[name] = self.stack.one(f"select id from users where username = '{'root' if name == 'admin' else name}'")
        ids = fill.belongings(self.stack, token) if with_things else {"/projects": ""}
        self.clients[name] = routes.Client(self.stack, token, short("user", self.users[name]), ids)

    def grow(self, size):
        """Fills up to so many messages in all."""
        heavy = min(size // 4, self.most)
        self.filler.heavy(self.users["heavy"], heavy)
        self.filler.others_up_to((size - heavy) // fill.PER_USER)
        for number in (1, 2):
            name = f"gone-{size}-{number}"
            self.spare.append((self.stack.account(name), self.stack.one(f"select id from users where username = '{name}'")))
            self.filler.small(self.spare[-1][1], name)
        self.filler.sessions(self.users["twin"], 100 + 20 * (1 + self.sizes.index(size)), 20, begun=80 + 20 * (1 + self.sizes.index(size)))
        self.filler.flush()
        self.stack.psql("-c", "vacuum analyze")
        self.filler.fold(self.users["heavy"])
        fill.quiet(self.stack, 1800)
        self.stack.psql("-c", "vacuum analyze")
        for name in ACCOUNTS:
            fill.find(self.stack, self.users[name], self.clients[name].ids)
        # An admin looks at somebody's log.
        self.clients["admin"].user = self.clients["heavy"].user

    def columns(self, route):
        """Who asks: the column, and the account."""
        if route.is_admin:
            return [("small", "admin")]
        return [("small", "twin" if route.first_token else "small"), ("heavy", "heavy")]

    def measure(self, size):
        for route in self.routes:
            for column, name in self.columns(route):
                status, took = self.clients[name].measure(route)
                self.note(route.label, column, size, took)
                if took is None:
                    self.strange[(route.label, column, size)] = status
                elif took > routes.SLOW:
                    say(f"{route.label} ({column}): {took:,.0f} ms")
        for column, name in (("small", "twin"), ("heavy", "heavy")):
            sessions = routes.shortest_sessions(self.stack, self.users[name], 15)
            self.note("DELETE /chat/sessions/{id}, 20 messages", column, size, self.clients[name].delete_sessions(sessions))
        token, user = self.spare.pop()
        self.note("DELETE /users/me, until erased", "small", size, 1_000 * routes.erase(self.stack, token, user))

    def note(self, label, column, size, took):
        self.times.setdefault(label, {})[f"{column} {size}"] = took

    def look(self, size):
        """The same again, with the plan of every statement; first of what the worker does by itself."""
        self.scans.switch(True)
        time.sleep(IDLE_SECONDS)
        self.gather("the worker, idle", size)
        for route in self.routes:
            for column, name in self.columns(route):
                took = self.times[route.label].get(f"{column} {size}")
                for _ in range(1 if took is None or took > routes.SLOW else 2):
                    self.clients[name].once(route)
                self.gather(f"{route.label} ({column})", size)
        for column, name in (("small", "twin"), ("heavy", "heavy")):
            self.clients[name].delete_sessions(routes.shortest_sessions(self.stack, self.users[name], 2))
            self.gather(f"DELETE /chat/sessions/{{id}} ({column})", size)
        routes.erase(self.stack, *self.spare.pop())
        self.gather("DELETE /users/me (small)", size)
        self.scans.switch(False)
        for name in ACCOUNTS:
            routes.forget_chats(self.stack, self.users[name])

    def gather(self, where, size):
        found, self.slowest[f"{where}, {size}"] = self.scans.seen()
        for one in found:
            if one not in self.found:
                say(f"{where} reads {one[0]}, {one[1]}: {one[2][:150]}")
            self.found.setdefault(one, {}).setdefault(where, []).append(size)

    def at_the_end(self):
        """Whole reads at the largest size. At smaller ones the heavy account has a quarter of a table, and reading all of it is right."""
        return [one for one, where in self.found.items()
                if any(self.sizes[-1] in sizes for sizes in where.values()) and not one[1].startswith(scans.BOTH)]

    def keep(self, path):
        found = [{"table": table, "how": how, "statement": statement, "where": where} for (table, how, statement), where in self.found.items()]
        strange = [[*key, status] for key, status in self.strange.items()]
        path.write_text(json.dumps({"times": self.times, "found": found, "slowest": self.slowest, "strange": strange}, indent=1))

    def end(self):
        """What can be done only once."""
        heavy = self.clients["heavy"]
        say("erases the heavy account")
        took = 1_000 * routes.erase(self.stack, heavy.token, self.users["heavy"])
        self.note("DELETE /users/me, until erased", "heavy", self.sizes[-1], took)

    def all(self):
        self.begin()
        for size in self.sizes:
            say(f"fills up to {size:,} messages")
            self.grow(size)
            say("measures")
            self.measure(size)
            say("looks at plans")
            self.look(size)
            say(f"the database has {int(self.stack.one('select pg_database_size(current_database())')) >> 20:,} MiB")
        self.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="20000,200000,2000000", help="messages in all, ascending, separated by commas")
    parser.add_argument("--heavy", type=int, default=HEAVY, help="messages of the heavy account, at most; it never has more than a quarter")
    parser.add_argument("--keep-json", help="a file for all that was found")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    # Whoever ends this ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    stack = Stack(os.environ.get("RAPPORT_BIN", str(ROOT / "target" / "debug" / "rapport")))
    run = Run(stack, sizes, options.heavy)
    try:
        stack.start()
        run.all()
    finally:
        stack.stop()
        if options.keep_json:
            run.keep(pathlib.Path(options.keep_json))
    report.show(run)
    return 1 if run.at_the_end() else 0


if __name__ == "__main__":
    sys.exit(main())
