"""Our own Python client, unmodified, against a running server: `own_client.py blocking` or `asynchronous`, then parts.

RAPPORT_URL is the server; CUTTING_URL leads there too, but its first connections are cut in the middle of what they say, LOSING_URL's
first one before it says anything."""

import asyncio
import http.server
import json
import os
import sys
import threading
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2] / "clients" / "python"))

from rapport_client import APIError, AsyncRapport, Rapport, _sync, operations, types  # noqa: E402

URL, CUTTING, LOSING = (os.environ[name] for name in ("RAPPORT_URL", "CUTTING_URL", "LOSING_URL"))
KEY = os.environ["RAPPORT_KEY"]
NAME, PASSWORD = os.environ["RAPPORT_USER"], os.environ["RAPPORT_PASSWORD"]
WORDS = [f"w{n}" for n in range(1, 101)]
LONG = f"/delay 20 /echo {' '.join(WORDS)}"


def whole(events, answer):
    """Each event once, and nothing missing."""
    ids = [event.id for event in events]
    assert len(set(ids)) == len(ids), ids
    assert events[0].type == "job" and events[-1].type == "done", [event.type for event in events]
    tokens = [event.data for event in events if event.type == "token"]
    assert [token["index"] for token in tokens] == list(range(1, len(tokens) + 1)), tokens
    assert "".join(token["delta"] for token in tokens) == answer.text
    assert answer.text == " ".join(WORDS) == answer.reply["reply"], answer.text
    assert answer.reply["job_id"] == answer.job_id


def one_turn(messages):
    assert [message["role"] for message in messages["messages"]] == ["user", "assistant"], messages


def stream():
    with Rapport(CUTTING, KEY) as client, client.stream(LONG) as answer:
        whole(list(answer), answer)
        one_turn(client.sessions.messages(answer.session_id))
        # From another client, after some event; and once more from the beginning.
        last = answer.last_id
        rest = Rapport(URL, KEY).jobs.follow(answer.job_id, after=last)
        assert list(rest) == [], "all events were seen"
        again = Rapport(URL, KEY).jobs.follow(answer.job_id)
        assert again.wait()["reply"] == answer.text == again.text


def send():
    """The answer to a send is lost: it is sent again, and is the same message."""
    with Rapport(LOSING, KEY) as client:
        reply = client.send("/delay 100 /tokens 5")
        assert reply["reply"] == "w1 w2 w3 w4 w5", reply
        one_turn(client.sessions.messages(reply["session_id"]))
        first = client.send("/echo same", session_id=reply["session_id"], idempotency_key="a-key")
        second = client.send("/echo same", session_id=reply["session_id"], idempotency_key="a-key")
        assert first["message_id"] == second["message_id"]


def resources():
    with Rapport(URL, KEY) as client:
        session = client.sessions.create("Plans")
        client.send("/echo hello", session_id=session["id"])
        assert client.sessions.update(session["id"], is_pinned=True)["is_pinned"]
        assert client.sessions.get(session["id"])["message_count"] == 2
        assert session["id"] in [one["id"] for one in client.sessions.all(limit=1)]
        client.sessions.delete(session["id"])
        memory = client.memories.add("Likes hiking in the Alps", memory_type="preference")
        assert client.memories.search("hiking")[0]["memory"]["id"] == memory["id"]
        corrected = client.memories.verify(memory["id"], "correct", corrected_content="Likes hiking in Nepal")
        assert corrected["content"] == "Likes hiking in Nepal"
        assert [one["id"] for one in client.memories.all()] == [memory["id"]]
        client.memories.forget(memory["id"])
        export = (Path(__file__).parents[1] / "exports" / "claude.json").read_bytes()
        assert client.import_chats(export, extract=False)["sessions"] == 1
        assert client.import_chats(export, extract=False)["skipped"] == 1
        job = client.request(operations.POST_CHAT, body={"message": "/echo typed"})
        assert job["reply"] == "typed"
        assert client.jobs.get(job["job_id"])["status"] == "succeeded"
        assert client.request(operations.GET_MODELS)["models"]


def errors():
    with Rapport(URL, KEY) as client:
        for ask, status, code in [
            (lambda: client.sessions.get("sess_nobody"), 404, "not_found"),
            (lambda: client.send(""), 422, "validation_failed"),
            (lambda: client.send("/fail 500"), 502, "provider_failed"),
            (lambda: client.stream("/fail 500").wait(), 502, "provider_failed"),
            (lambda: Rapport(URL, "rk_wrong").jobs.list(), 401, "unauthorized"),
        ]:
            try:
                ask()
            except APIError as error:
                assert (error.status, error.code) == (status, code), error
            else:
                raise AssertionError(code)


def sign_in():
    with Rapport(URL) as client:
        client.sign_in(NAME, PASSWORD)
        before = client._token
        client._token = before[:-4] + "AAAA"  # as good as one that has ended
        user: types.User = client.request(operations.GET_AUTH_ME)
        assert user["username"] == NAME
        assert client._token not in (None, before)


def retry_after():
    """Nothing but a double can be busy at will: it says 503 twice, and asks for five seconds."""
    seen = []

    class Busy(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.headers["idempotency-key"])
            self.rfile.read(int(self.headers["content-length"]))
            busy = len(seen) < 3
            body = json.dumps({"code": "overloaded"} if busy else {"reply": "at last"}).encode()
            self.send_response(503 if busy else 200)
            self.send_header("content-type", "application/problem+json" if busy else "application/json")
            self.send_header("content-length", str(len(body)))
            if busy:
                self.send_header("retry-after", "5")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    slept, real = [], _sync.time.sleep
    _sync.time.sleep = slept.append
    try:
        with Rapport(f"http://127.0.0.1:{server.server_port}", KEY) as client:
            assert client.send("hello")["reply"] == "at last"
    finally:
        _sync.time.sleep = real
        server.shutdown()
    assert slept == [5, 5] and len(seen) == 3 and len(set(seen)) == 1, (slept, seen)


def once_only():
    """A proxy that has lost an answer says 502: what must not be done twice is not sent again, unless it was refused (429)."""
    seen = []

    def gateway(request):
        seen.append(request.method)
        return httpx.Response(429 if request.url.path.endswith("/verify") else 502)

    slept, real = [], _sync.time.sleep
    _sync.time.sleep = slept.append
    try:
        with Rapport(URL, KEY, retries=1) as client:
            client._http = httpx.Client(transport=httpx.MockTransport(gateway), base_url=URL)
            for ask, times in [
                (lambda: client.memories.search("x"), 1),
                (lambda: client.jobs.cancel("job_x"), 1),
                (lambda: client.memories.verify("mem_x"), 2),
                (lambda: client.jobs.get("job_x"), 2),
                (lambda: client.memories.add("x"), 2),
            ]:
                seen.clear()
                try:
                    ask()
                except APIError as error:
                    assert error.status in (429, 502), error
                assert len(seen) == times, seen
    finally:
        _sync.time.sleep = real
    assert len(slept) == 3, slept


async def asynchronous():
    async with AsyncRapport(CUTTING, KEY) as client:
        async with client.stream(LONG) as answer:
            whole([event async for event in answer], answer)
        one_turn(await client.sessions.messages(answer.session_id))
    async with AsyncRapport(LOSING, KEY) as client:
        reply = await client.send("/delay 100 /tokens 5")
        one_turn(await client.sessions.messages(reply["session_id"]))
        replies = await asyncio.gather(*(client.send(f"/echo {n}") for n in range(8)))
        assert [one["reply"] for one in replies] == [str(n) for n in range(8)]
        assert len([one async for one in client.jobs.all(kind="chat")]) >= 9


if sys.argv[1] == "asynchronous":
    asyncio.run(asynchronous())
    print("ok asynchronous")
else:
    for part in sys.argv[2:]:
        globals()[part]()
        print("ok", part)
