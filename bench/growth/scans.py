"""Looks in PostgreSQL's log of plans for statements that read all of a big table or of a big index, and for those that read two indexes
of a big table to the end to find the few rows that stand in both: one of the two is often all that the user has."""

import json
import time

BIG = 10_000
BOTH = "both "

# Reads of whole tables that are no fault, by table and the beginning of the statement, with the reason.
FALSE_ALARMS = {
    ("message_postings", "delete from message_postings where user_id = $1 and part = $2"):
        "Only the heavy account's words are folded here, so the table is its own.",
    ("message_postings", "select cast(bucket as bigint), postings from message_postings where user_id = $1 and part = $2"): "The same.",
}


class Scans:
    def __init__(self, stack):
        self.stack = stack
        self.log = stack.folder / "statements.json"
        self.at = 0
        self.sizes = {}

    def switch(self, on):
        """Begins or ends the logging of plans, and forgets what was logged so far."""
        self.stack.psql("-c", f"alter system set auto_explain.log_min_duration = {0 if on else -1}", "-c", "select pg_reload_conf()")
        time.sleep(1)
        rows = self.stack.sql("select relname, greatest(reltuples, 0)::bigint from pg_class where relkind in ('r', 'i')")
        self.sizes = {name: int(rows) for name, rows in rows}
        self.at = self.log.stat().st_size if self.log.exists() else 0

    def seen(self):
        """Whole reads since the last call: (table, how, statement); and the slowest statement, with its milliseconds."""
        time.sleep(0.05)
        found, slowest = set(), (0.0, "")
        with open(self.log, "rb") as log:
            log.seek(self.at)
            lines = log.read()
        end = lines.rfind(b"\n") + 1
        self.at += end
        for line in lines[:end].splitlines():
            took, plan = self.plan(line)
            if plan is None:
                continue
            statement = " ".join(plan.get("Query Text", "").split())
            slowest = max(slowest, (took, statement))
            for table, how in self.whole(plan["Plan"], False):
                if not is_false_alarm(table, statement):
                    found.add((table, how, statement))
        return found, slowest

    @staticmethod
    def plan(line):
        entry = json.loads(line)
        head, _, text = entry.get("message", "").partition("plan:")
        if not head.startswith("duration:") or entry.get("application_name") != "rapport":
            return 0.0, None
        return float(head.split()[1]), json.loads(text)

    def whole(self, node, is_limited):
        """What a node and those below it read from end to end. With a LIMIT above and nothing to filter, it ends early."""
        is_limited = is_limited or node["Node Type"] == "Limit"
        kind, table = node["Node Type"], node.get("Relation Name")
        name = table if kind == "Seq Scan" else node.get("Index Name")
        reads_all = kind == "Seq Scan" or (kind.startswith("Index") and "Index Cond" not in node)
        ends_early = is_limited and "Filter" not in node
        if table and reads_all and not ends_early and self.sizes.get(name, 0) > BIG:
            yield table, kind if kind == "Seq Scan" else f"all of {name}"
        below = node.get("Plans", [])
        if kind == "Bitmap Heap Scan" and below[0]["Node Type"] == "BitmapAnd":
            names = sorted(one.get("Index Name", "several") for one in below[0]["Plans"])
            if max(self.sizes.get(name, 0) for name in names) > BIG:
                yield table, BOTH + " and ".join(names)
        for one in below:
            yield from self.whole(one, is_limited)


def is_false_alarm(table, statement):
    return any(table == of and statement.startswith(begins) for of, begins in FALSE_ALARMS)
