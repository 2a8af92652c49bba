"""Fills the database: by the API what others copy from and what a route needs an id of, the rest by SQL."""

import random

from growth.stack import short

WORDS_SEED = 7
TEXTS = 250
PER_USER = 2_000
PER_SESSION = 20


def vocabulary():
    syllables = ["ba", "den", "kor", "li", "mu", "ran", "so", "tel", "vi", "wex", "yo", "zan", "fi", "gro"]
    return [a + b + c for a in syllables for b in syllables for c in syllables][:2_000]


def sentence(rng, words, length):
    """Words by Zipf's law: a few stand in many texts, most in few."""
    chosen = rng.choices(words, weights=[1 / (rank + 3) for rank in range(len(words))], k=length)
    return " ".join(chosen).capitalize() + "."


def texts(stack):
    """Accounts of the product's own making, whose texts everybody else's are copies of."""
    rng, words = random.Random(WORDS_SEED), vocabulary()
    for number in range(1, 6):
        token = stack.account(f"texts-{number}")
        turns = [{"role": ("user", "assistant")[n % 2], "content": sentence(rng, words, rng.randint(6, 40))} for n in range(TEXTS)]
        stack.made("POST", "/api/v1/chat/sessions/import?extract=false", {"messages": turns}, token)
        facts = [{"content": "I like " + sentence(rng, words, rng.randint(3, 10))[:-1]} for _ in range(100)]
        stack.made("POST", "/api/v1/memory/import", {"memories": facts}, token)
    stack.upload(token, "passages.txt", "\n\n".join(sentence(rng, words, 120) for _ in range(20)))
    quiet(stack)
    stack.script("setup.sql")
    for table, least in [("turns", 5 * TEXTS), ("facts", 400), ("passages", 10)]:
        count = int(stack.one(f"select count(*) from growth.{table}"))
        if count < least:
            raise RuntimeError(f"growth.{table} has {count} rows only")


def quiet(stack, seconds=900):
    """Waits until nothing is queued, running or without its vector."""
    waiting = "select (select count(*) from jobs where status in ('queued', 'running')) " + "".join(
        f"+ (select count(*) from {table} where not embedded)" for table in ("messages", "memories", "chunks"))
    stack.until(lambda: stack.one(waiting) == "0", "nothing is queued any more", seconds)


def belongings(stack, token):
    """One of each thing that a route is about. Their ids, by the path before the `{id}`."""
    def make(path, body, api="/api/v1"):
        return stack.made("POST", api + path, body, token)["id"]

    ids = {"/projects": make("/projects", {"name": "mine"})}
    project = f"/projects/{ids['/projects']}"
    ids["prompts"] = make(f"{project}/prompts", {"name": "brief", "content": "Be brief."})
    ids["tools"] = make(f"{project}/tools", {"name": "find", "description": "Finds an order.", "method": "GET",
                                             "url": "https://example.com/orders"})
    ids["/webhooks"] = make("/webhooks", {"url": "https://example.com/hook", "events": ["job.failed"]})
    ids["/files"] = ids["/v1/files"] = stack.upload(token, "mine.txt", "The pump stops at noon.\n" * 100)["id"]
    ids["/memory"] = make("/memory", {"content": "I keep bees"})
    ids["/v1/conversations"] = make("/conversations", {"items": [{"type": "message", "role": "user", "content": "hi"}]}, "/v1")
    items = stack.made("GET", f"/v1/conversations/{ids['/v1/conversations']}/items", token=token)
    ids["items"] = items["data"][0]["id"]
    ids["/v1/responses"] = make("/responses", {"model": "gpt-4o-mini", "input": "hello"}, "/v1")
    quiet(stack)
    store = ids["/v1/vector_stores"] = make("/vector_stores", {"name": "mine"}, "/v1")
    ids["file_batches"] = make(f"/vector_stores/{store}/file_batches", {"file_ids": [ids["/files"]]}, "/v1")
    return ids


def find(stack, user, ids):
    """Ids among what was filled in by SQL."""
    def newest(prefix, statement):
        found = stack.one(statement.format(f"user_id = '{user}'"))
        return short(prefix, found) if found else None

    ids["/chat/sessions"] = ids["/conversations"] = newest("sess", "select id from sessions where {} order by message_count desc limit 1")
    session = "(select id from sessions where {} order by message_count desc limit 1)"
    ids["/chat/messages"] = newest("msg", "select id from messages where session_id = " + session + " and seq = 2")
    ids["/jobs"] = newest("job", "select id from jobs where {} and kind = 'chat' and status = 'succeeded' order by id limit 1")
    ids["linked"] = newest("mem", "select source from memory_links where {} limit 1")
    ids["deliveries"] = newest("dlv", "select d.id from webhook_deliveries d join webhooks w on w.id = d.webhook_id where d.{} "
                               "and w.sealed <> '' order by d.id desc limit 1")


class Filler:
    """Knows how much has been filled in so far."""

    def __init__(self, stack):
        self.stack = stack
        self.others = 0
        self.had = {}

    def sessions(self, user, count, length, begun=0, with_vectors=True):
        """Sessions `begun + 1` to `count`, of so many messages each."""
        self.stack.psql("-c", f"""insert into growth.todo select growth.thing('{user}', 'session', n), '{user}', growth.at(n), 0, {length},
            {with_vectors} from generate_series({begun + 1}, {count}) n""")

    def want(self, user, name, before, now):
        pairs = ", ".join(f"{before.get(key, 0)}, {now[key]}" for key in ("memories", "files", "rest"))
        self.stack.psql("-c", f"insert into growth.want values ('{user}', '{name}', {pairs})")

    def flush(self):
        for name in ("sessions.sql", "things.sql"):
            self.stack.script(name)
        self.stack.psql("-c", "truncate growth.todo, growth.want, growth.lines")

    def small(self, user, name):
        self.sessions(user, 20, 10)
        self.want(user, name, {}, {"memories": 20, "files": 3, "rest": 20})

    def heavy(self, user, total):
        """Up to so many messages: a fifth of them in one session, the rest in sessions of 20."""
        now = {"long": total // 5, "sessions": (total - total // 5) // PER_SESSION, "memories": total // 5, "files": total // 500,
               "rest": total // 100}
        # Without what measuring has said in it.
        self.stack.psql("-c", f"""delete from messages where session_id = growth.thing('{user}', 'long', 1)
            and seq > {self.had.get('long', 0)}""")
        self.stack.psql("-c", f"""insert into growth.todo values (growth.thing('{user}', 'long', 1), '{user}',
            growth.at(1), {self.had.get('long', 0)}, {now['long']}, true)""")
        self.sessions(user, now["sessions"], PER_SESSION, begun=self.had.get("sessions", 0))
        self.want(user, "heavy", self.had, now)
        self.had = now

    def others_up_to(self, count):
        """Accounts of 2,000 messages each. One in four has vectors."""
        self.stack.psql("-c", f"""insert into users (id, username, email, username_skeleton, password_hash, created_at, updated_at)
            select growth.v7(growth.at(n), 'u' || n), 'u' || n, 'u' || n || '@example.com', 'u' || n, '', growth.at(n), growth.at(n)
            from generate_series({self.others + 1}, {count}) n""")
        self.stack.psql("-c", f"""with fresh as (select id, substr(username, 2)::bigint as n from users where username ~ '^u[0-9]+$'
                and substr(username, 2)::bigint > {self.others}),
            wanted as (insert into growth.want select id, 'u' || n, 0, 100, 0, 3, 0, 20 from fresh)
            insert into growth.todo select growth.thing(id, 'session', s), id, growth.at(s + n), 0, {PER_SESSION}, n % 4 = 0
            from fresh, generate_series(1, {PER_USER // PER_SESSION}) s""")
        self.others = count

    def fold(self, user):
        """Lets the worker fold the words of all that is new, as it does with what people say: one turn is left for it to index."""
        self.stack.psql("-c", f"""with one as (select id from messages where user_id = '{user}' order by id desc limit 1),
            gone as (delete from message_vectors where doc_id in (select id from one))
            update messages set embedded = false where id in (select id from one)""")
        few = f"select count(*) < 256 from message_words where user_id = '{user}'"
        self.stack.until(lambda: self.stack.one(few) == "t", "the worker has folded the words", 1800)
