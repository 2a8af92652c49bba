"""Which requests are measured, and how."""

import json
import statistics
import time

from growth.stack import PASSWORD, short

WARM, TIMES = 3, 15
# A request that takes longer than this, in milliseconds, is sent three times more; than that, not again.
SLOW, VERY_SLOW = 500, 5_000

# GET routes that are not measured, with the reason.
LEFT_OUT = {
    "/chat/stream": "a WebSocket", "/chat/ws": "a WebSocket", "/events": "a stream without end", "/memory/events": "a stream without end",
    "/jobs/{id}/events": "a stream", "/memory/exports/{id}": "a file", "/users/me/exports/{id}": "a file",
    "/users/me/export": "makes an archive of everything", "/oauth/authorization": "needs a client of MCP",
    "/settings/settings": "an alias", "/users/me": "an alias", "/chat/history": "an alias", "/v1/models/{model}": "no data",
    "/files/uploads/{id}": "one row by its key", "/memory/conflicts/detect": "a job that compares each memory with all, and asks a model",
}
# The same routes with what changes their statement.
VARIANTS = [
    "/chat/sessions?q=talk", "/chat/sessions?q=nosuchword", "/chat/sessions?status=archived", "/chat/sessions?limit=50&skip=1000",
    "/chat/sessions?project_id={projects}", "/chat/sessions/{id}/messages?order=desc&limit=50", "/chat/sessions/{id}/messages?skip=900",
    "/chat/messages/{id}?around=10", "/history?page=50", "/jobs?status=failed", "/jobs?kind=title", "/jobs?kind=import", "/jobs?skip=1000",
    "/files?status=failed", "/files?skip=100", "/memory?q=kor", "/memory?q=nosuchword", "/memory?memory_type=goal", "/memory?status=rejected",
    "/memory?sort=importance", "/memory?include_expired=true", "/memory?skip=1000", "/memory/extract/runs?skip=1000",
    "/analytics/usage?time_range=30d", "/analytics/activity?time_range=30d", "/memory/analytics/top?metric=importance",
    "/memory/{id}/graph?max_depth=3", "/memory/{id}/related?depth=3", "/memory/conflicts?status=resolved",
    "/admin/users?q=nosuchword", "/admin/users?q=u77", "/admin/audit?event=nosuchevent", "/admin/audit?event=signed_in",
    "/admin/audit?user_id={user}", "/admin/jobs/dead?kind=title", "/admin/jobs/dead?queue=memory", "/admin/jobs/dead?count=true",
]
QUESTION = "what about kortelba and lisovi"


class Route:
    def __init__(self, label, path, what="", method="GET", body=None, first_token=False):
        self.label, self.path, self.method, self.body, self.first_token = label, path, method, body, first_token
        self.is_admin = path.startswith("/api/v1/admin/")
        self.is_list = what.startswith("List ") or method == "LIST"


def all_routes(document):
    """Every GET route of docs/routes.txt, those with parameters, and the searches and chats."""
    known = {}
    for line in document.splitlines():
        if line.startswith("GET "):
            _, path, _, what = line.split(None, 3)
            known[path] = what
    routes = [Route(path, absolute(path), what) for path, what in known.items() if path not in LEFT_OUT]
    routes += [Route(path, absolute(path), known[path.split("?")[0]]) for path in VARIANTS]
    for mode in ("keyword", "semantic", "hybrid"):
        for sources in ("memories", "messages"):
            body = {"query": QUESTION, "mode": mode, "sources": [sources]}
            routes.append(Route(f"POST /memory/search, {mode}, {sources}", "/api/v1/memory/search", method="POST", body=body))
    routes.append(Route("POST /knowledge/search", "/api/v1/knowledge/search", method="POST", body={"query": QUESTION}))
    for label, more in [("a new session", {}), ("the longest session", {"session_id": "{/chat/sessions}"})]:
        routes.append(Route(f"POST /chat/stream, first token, {label}", "/api/v1/chat/stream", method="POST",
                            body={"message": QUESTION, **more}, first_token=True))
    return routes


def absolute(path):
    return path if path.startswith("/v1/") else "/api/v1" + path


def filled(path, ids, user):
    """A path with its ids; None if this user has no such thing."""
    path = path.replace("{user}", user).replace("{projects}", ids["/projects"])
    named = {"prompt_id": "prompts", "tool_id": "tools", "delivery_id": "deliveries", "item_id": "items", "batch_id": "file_batches", "file_id": "/files"}
    for name, key in named.items():
        path = path.replace("{" + name + "}", str(ids.get(key)))
    if "{id}" in path:
        before = path.removeprefix("/api/v1").split("/{id}")[0]
        is_walk = path.split("?")[0].endswith(("/graph", "/related"))
        path = path.replace("{id}", str(ids["linked" if is_walk else before]))
    return None if "None" in path else path


class Client:
    """One account on one connection."""

    def __init__(self, stack, token, user, ids):
        self.stack, self.token, self.user, self.ids = stack, token, user, ids
        self.connection = stack.connection()

    def once(self, route):
        """Status and milliseconds of one request; for a chat, until its first token."""
        path = filled(route.path, self.ids, self.user)
        if path is None:
            return 0, 0.0
        body = json.dumps(route.body) if route.body else None
        if body:
            body = body.replace("{/chat/sessions}", str(self.ids.get("/chat/sessions")))
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        began = time.perf_counter()
        self.connection.request(route.method, path, body=body, headers=headers)
        try:
            answer = self.connection.getresponse()
        except OSError:
            self.connection.close()
            return -1, 0.0
        if route.first_token:
            return answer.status, self.first_token(answer, began)
        answer.read()
        return answer.status, (time.perf_counter() - began) * 1_000

    @staticmethod
    def first_token(answer, began):
        took = 0.0
        for line in answer:
            if not took and line.startswith(b"event: token"):
                took = (time.perf_counter() - began) * 1_000
        return took

    def measure(self, route):
        """The middle of several requests, after some that warm up; of a very slow one, the first. The status is the first one's."""
        status, first = self.once(route)
        if not 200 <= status < 300:
            return status, None
        if first > VERY_SLOW:
            return status, first
        warm, times = (0, 3) if first > SLOW else (WARM - 1, TIMES)
        for _ in range(warm):
            self.once(route)
        return status, statistics.median(self.once(route)[1] for _ in range(times))

    def delete_sessions(self, sessions):
        """The middle, of deleting these sessions."""
        return statistics.median(
            self.once(Route("", f"/api/v1/chat/sessions/{short('sess', one)}", method="DELETE"))[1] for one in sessions)


def shortest_sessions(stack, user, count):
    """Sessions of 20 messages that nothing else is measured on."""
    rows = stack.sql(f"select id from sessions where user_id = '{user}' and message_count = 20 order by id limit {count}")
    return [row[0] for row in rows]


def forget_chats(stack, user):
    """Takes away the sessions that measuring has made, and a short one that it wrote to, so that the account stays as it was."""
    stack.psql("-c", f"""delete from sessions where user_id = '{user}'
        and (created_at > growth.start() + interval '60 days' or message_count between 21 and 100)""")


def erase(stack, token, user):
    """Seconds until an account and its job are gone."""
    began = time.perf_counter()
    status, text = stack.call("DELETE", "/api/v1/users/me", {"password": PASSWORD}, token)
    if status >= 300:
        raise RuntimeError(f"DELETE /users/me: {status} {text[:300]}")
    there = f"select count(*) from users where id = '{user}'"
    while stack.one(there) != "0":
        time.sleep(0.02)
    return time.perf_counter() - began
