"""What both clients share: errors, events, and when a request is sent again. Nothing here waits or speaks to the network."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

B = TypeVar("B")
R = TypeVar("R")

# The server says something every 15 seconds while a stream lives. Three times silence: the connection is dead.
SILENCE = 45.0
# The server is asked to wait so long at most for an answer or a job; then it is asked again.
WAIT = 30
# Longer than this nobody waits before a request is sent again: the error is raised instead.
LONGEST_PAUSE = 60.0


@dataclass(frozen=True)
class Operation(Generic[B, R]):
    """One of `rapport_client.operations`: takes a body of type B, answers with R."""

    method: str
    path: str
    # With an Idempotency-Key the server does it once, however often it is sent.
    repeatable: bool = False


class RapportError(Exception):
    """Any error of this client."""


class Disconnected(RapportError):
    """The server could not be reached, or went away and did not come back."""


class APIError(RapportError):
    """What the server refused or failed at, in its words (RFC 9457): switch on `code`."""

    def __init__(self, status: int, problem: Mapping[str, Any], headers: Mapping[str, str] | None = None):
        self.status = status
        self.code: str = problem.get("code") or f"http_{status}"
        self.detail: str = problem.get("detail") or f"The server answered {status}."
        self.errors: list[dict[str, Any]] = problem.get("errors") or []
        self.request_id: str | None = problem.get("request_id")
        self.headers: Mapping[str, str] = headers or {}
        # The job, if a message was accepted and only its answer failed.
        self.job_id: str | None = self.headers.get("x-job-id")
        super().__init__(f"{self.detail} ({self.code})")


def error_of(response: httpx.Response) -> APIError:
    """The error that a response is; its body was read."""
    is_problem = response.headers.get("content-type", "").startswith("application/problem+json")
    return APIError(response.status_code, response.json() if is_problem else {}, response.headers)


def pause(tried: int) -> float:
    """Seconds before the next try: half a second, doubled each time up to eight, with jitter."""
    return min(0.5 * 2 ** (tried - 1), 8.0) * random.uniform(0.75, 1.25)


def pause_after(error: APIError, tried: int, repeatable: bool) -> float | None:
    """Seconds to wait before the same request is sent again; `None`: it would not help, or may do something twice."""
    # After 5xx it may have been done: a proxy says so too when it has lost the answer. 429 means that it was not.
    statuses = (429, 502, 503, 504) if repeatable else (429,)
    if error.headers.get("x-should-retry") == "false" or error.status not in statuses:
        return None
    said = error.headers.get("retry-after")
    if said is not None:
        seconds = float(said) if said.isdigit() else pause(tried)
        return seconds if seconds <= LONGEST_PAUSE else None
    # A problem without Retry-After is the server's last word; anything else comes from a proxy before it.
    return pause(tried) if error.code.startswith("http_") else None


def is_repeatable(request: httpx.Request) -> bool:
    """Whether it does the same when it is sent twice."""
    return request.method in ("GET", "PUT", "DELETE") or "idempotency-key" in request.headers


def may_be_sent_again(error: httpx.TransportError, request: httpx.Request) -> bool:
    """Whether a request whose answer was lost may be sent once more."""
    never_sent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    return never_sent or is_repeatable(request)


def new_key() -> str:
    return uuid.uuid4().hex


def filled(path: str, values: Mapping[str, str]) -> str:
    """`/jobs/{id}` with its id."""
    for name, value in values.items():
        path = path.replace("{" + name + "}", quote(str(value), safe=""))
    return path


def stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was left out."""
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Event:
    """One event of a stream: `job`, `memory`, `token`, `tool_call`, `tool_result`, `reset`, `waiting`, `done`."""

    id: str
    type: str
    data: dict[str, Any]


class EventReader:
    """Makes events of a stream's bytes. What is cut off in the middle of an event is no event."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Event]:
        *blocks, self._held = (self._held + data).split(b"\n\n")
        events = (self._event(block) for block in blocks)
        return [event for event in events if event is not None]

    @staticmethod
    def _event(block: bytes) -> Event | None:
        fields: dict[str, str] = {}
        for line in block.decode().split("\n"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        if "data" not in fields or "event" not in fields:
            return None  # a heartbeat, or a hint to reconnect
        return Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))


class Progress:
    """How far a stream was read: the text so far, and where to go on."""

    def __init__(self, job_id: str | None, last_id: str | None):
        self.job_id = job_id
        self.last_id = last_id
        self.session_id: str | None = None
        # The text so far: after a `reset` it begins anew.
        self.text = ""
        # The whole answer, once it is there.
        self.reply: dict[str, Any] | None = None
        self.ended = False

    def take(self, event: Event) -> None:
        self.last_id = event.id or self.last_id
        if event.type == "job":
            self.job_id, self.session_id = event.data.get("job_id"), event.data.get("session_id")
        elif event.type == "token":
            self.text += event.data.get("delta", "")
        elif event.type == "reset":
            self.text = ""
        elif event.type == "done":
            self.ended, self.reply = True, event.data
        elif event.type == "error":
            self.ended = True
            raise APIError(event.data.get("status", 500), event.data, {"x-job-id": self.job_id or ""})
