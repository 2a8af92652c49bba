"""The asynchronous client. `_sync.py` is made of it: see clients/generate.py."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import httpx

from . import operations, types
from ._common import (
    SILENCE,
    WAIT,
    APIError,
    B,
    Disconnected,
    Event,
    EventReader,
    Operation,
    Progress,
    R,
    error_of,
    filled,
    is_repeatable,
    may_be_sent_again,
    new_key,
    pause,
    pause_after,
    stated,
)


class AsyncRapport:
    """A Rapport server, as one user. Signs in by an API key, or by `sign_in`."""

    def __init__(self, base_url: str, api_key: str | None = None, *, retries: int = 5, timeout: float = 2 * WAIT):
        self._token = api_key
        self._refresh: str | None = None
        self._refreshing = asyncio.Lock()
        self._retries = retries
        timeouts = httpx.Timeout(timeout, connect=10)
        self._http = httpx.AsyncClient(base_url=base_url.rstrip("/") + "/api/v1", timeout=timeouts)
        self.sessions = Sessions(self)
        self.jobs = Jobs(self)
        self.memories = Memories(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def sign_in(self, username: str, password: str) -> None:
        """Signs in by an email or a username. The tokens are kept here, and made anew when they end."""
        body: types.LoginBody = {"username": username, "password": password}
        self._keep(await self.request(operations.POST_AUTH_LOGIN, body=body))

    def _keep(self, tokens: types.Tokens) -> None:
        self._token, self._refresh = tokens["access_token"], tokens["refresh_token"]

    async def _renew(self, spent: str | None) -> bool:
        """Whether there is another token than the one that was refused."""
        async with self._refreshing:
            if self._token != spent:
                return True  # somebody else has renewed it meanwhile
            if self._refresh is None:
                return False
            # A refresh token is good for one time: it is not sent again if the answer is lost.
            token, self._refresh = self._refresh, None
            try:
                response = await self._http.request("POST", "/auth/refresh", json={"refresh_token": token})
            except httpx.TransportError as error:
                raise Disconnected("the sign-in could not be renewed: sign in again") from error
            if response.is_success:
                self._keep(response.json())
            return response.is_success

    async def request(
        self,
        operation: Operation[B, R],
        *,
        body: B | None = None,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> R:
        """Any operation of the API (`rapport_client.operations`), with its types."""
        headers = {}
        if operation.repeatable:
            headers["idempotency-key"] = idempotency_key or new_key()
        where = filled(operation.path, path or {})
        made = self._http.build_request(operation.method, where, json=body, params=stated(query or {}), headers=headers)
        response = await self._answer(made, stream=False)
        if not response.content:
            return None  # type: ignore[return-value]
        kind = response.headers.get("content-type", "")
        if kind.startswith("application/json"):
            return response.json()
        return response.text if kind.startswith("text/") else response.content  # type: ignore[return-value]

    async def _answer(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        """The answer to a request, sent again where that helps and does nothing twice."""
        tried, renewed = 0, False
        while True:
            tried += 1
            token = self._token
            if token is not None:
                request.headers["authorization"] = f"Bearer {token}"
            try:
                response = await self._http.send(request, stream=stream)
                if response.is_success:
                    return response
                await response.aread()
            except httpx.TransportError as error:
                if tried > self._retries or not may_be_sent_again(error, request):
                    raise Disconnected(f"{request.method} {request.url.path}: {error or type(error).__name__}") from error
                await asyncio.sleep(pause(tried))
                continue
            if response.status_code == 401 and not renewed and await self._renew(token):
                renewed = True
                continue
            refused = error_of(response)
            seconds = pause_after(refused, tried, is_repeatable(request)) if tried <= self._retries else None
            if seconds is None:
                raise refused
            await asyncio.sleep(seconds)

    async def send(
        self, message: str, *, session_id: str | None = None, idempotency_key: str | None = None, **choices: Any
    ) -> types.ChatReply:
        """Sends a message and waits for its answer, however long it takes. `choices` are other fields of `ChatBody`.

        The message is accepted once, however often the connection breaks meanwhile."""
        body: Any = stated({"message": message, "session_id": session_id, **choices})
        try:
            answer = await self.request(operations.POST_CHAT, body=body, idempotency_key=idempotency_key)
        except APIError as error:
            if error.code != "idempotency_running" or not error.job_id:
                raise
            return await self.jobs.result(error.job_id)  # sent again while the first is being answered
        if "reply" in answer:
            return answer  # type: ignore[return-value]
        return await self.jobs.result(answer["id"])  # type: ignore[typeddict-item]

    def stream(
        self, message: str, *, session_id: str | None = None, idempotency_key: str | None = None, **choices: Any
    ) -> AsyncAnswer:
        """Sends a message and streams its answer; goes on by itself after a cut. Nothing is sent before it is read."""
        body = stated({"message": message, "session_id": session_id, **choices})
        return AsyncAnswer(self, Progress(None, None), body, idempotency_key or new_key())

    async def import_chats(self, export: bytes, *, extract: bool = True) -> types.ChatsImported:
        """Takes in the file that is an export of ChatGPT, Claude, Open WebUI or LibreChat (JSON); the same file again adds nothing.
        `extract`: whether it is read for memories."""
        headers = {"content-type": "application/json", "prefer": "respond-async", "idempotency-key": new_key()}
        query = {"extract": str(extract).lower()}
        made = self._http.build_request("POST", "/chat/sessions/import", content=export, params=query, headers=headers)
        answer = (await self._answer(made, stream=False)).json()
        # Done before it was looked at: the answer is the result itself.
        return answer if "sessions" in answer else await self.jobs.result(answer["id"])


class AsyncAnswer:
    """An answer while it is written. Iterating gives each event once; `text` is what was said so far, `reply` the whole answer at
    the end. A failure is raised as `APIError`."""

    def __init__(self, client: AsyncRapport, progress: Progress, body: dict[str, Any] | None, key: str | None):
        self._client, self._progress, self._body, self._key = client, progress, body, key
        self._events = self._read()

    @property
    def text(self) -> str:
        return self._progress.text

    @property
    def reply(self) -> dict[str, Any] | None:
        return self._progress.reply

    @property
    def job_id(self) -> str | None:
        return self._progress.job_id

    @property
    def session_id(self) -> str | None:
        return self._progress.session_id

    @property
    def last_id(self) -> str | None:
        """Of the last event: `jobs.follow(job_id, after=last_id)` goes on from here, in another process too."""
        return self._progress.last_id

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stops reading. The answer is still written: `jobs.cancel` ends that too."""
        await self._events.aclose()  # type: ignore[attr-defined]

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events

    async def wait(self) -> dict[str, Any] | None:
        """Reads to the end; gives the whole answer."""
        async for _ in self:
            pass
        return self.reply

    def _request(self) -> httpx.Request:
        http, job_id, last_id = self._client._http, self._progress.job_id, self._progress.last_id
        silence = httpx.Timeout(SILENCE, connect=10)
        if job_id is None:
            # Before the first event the message itself is sent again: its key keeps it one message.
            headers = {"idempotency-key": self._key or ""}
            return http.build_request("POST", "/chat/stream", json=self._body, headers=headers, timeout=silence)
        headers = {"last-event-id": last_id} if last_id else {}
        return http.build_request("GET", f"/jobs/{job_id}/events", headers=headers, timeout=silence)

    async def _read(self) -> AsyncIterator[Event]:
        progress, cuts = self._progress, 0
        while not progress.ended:
            response = await self._client._answer(self._request(), stream=True)
            try:
                if response.status_code == 204:
                    return  # there is nothing after what was seen
                reader = EventReader()
                async for data in response.aiter_bytes():
                    for event in reader.feed(data):
                        cuts = 0
                        progress.take(event)
                        yield event
            except httpx.TransportError as error:
                if cuts >= self._client._retries:
                    raise Disconnected(f"the stream of {progress.job_id} was cut off again and again") from error
            finally:
                await response.aclose()
            if not progress.ended:
                cuts += 1
                if cuts > self._client._retries:
                    raise Disconnected(f"the stream of {progress.job_id} ends again and again")
                await asyncio.sleep(pause(cuts))


class _Group:
    def __init__(self, client: AsyncRapport):
        self._client = client

    async def _all(self, operation: Operation[Any, Any], query: Mapping[str, Any]) -> AsyncIterator[Any]:
        cursor = None
        while True:
            page = await self._client.request(operation, query={"limit": 200, **query, "cursor": cursor})
            for item in page["items"]:
                yield item
            cursor = page.get("next_cursor")
            if cursor is None:
                return


class Sessions(_Group):
    """Conversations."""

    async def create(self, title: str | None = None, *, project_id: str | None = None) -> types.Session:
        body: Any = stated({"title": title, "project_id": project_id})
        return await self._client.request(operations.POST_CHAT_SESSIONS, body=body)

    async def list(self, **query: Any) -> types.SessionList:
        """A page of them, newest first: `q`, `status`, `project_id`, `limit`, `cursor`."""
        return await self._client.request(operations.GET_CHAT_SESSIONS, query=query)

    def all(self, **query: Any) -> AsyncIterator[types.Session]:
        return self._all(operations.GET_CHAT_SESSIONS, query)

    async def get(self, session_id: str) -> types.OpenSession:
        return await self._client.request(operations.GET_CHAT_SESSIONS_ID, path={"id": session_id})

    async def messages(self, session_id: str, **query: Any) -> types.MessageList:
        where = {"id": session_id}
        return await self._client.request(operations.GET_CHAT_SESSIONS_ID_MESSAGES, path=where, query=query)

    async def update(self, session_id: str, **changes: Any) -> types.Session:
        """`title`, `is_pinned`, `status`."""
        body: Any = changes
        return await self._client.request(operations.PATCH_CHAT_SESSIONS_ID, path={"id": session_id}, body=body)

    async def delete(self, session_id: str) -> None:
        await self._client.request(operations.DELETE_CHAT_SESSIONS_ID, path={"id": session_id})


class Jobs(_Group):
    """What is slow: answers, imports, exports."""

    async def get(self, job_id: str, *, wait: int | None = None) -> types.JobView:
        return await self._client.request(operations.GET_JOBS_ID, path={"id": job_id}, query={"wait": wait})

    async def list(self, **query: Any) -> types.JobList:
        """A page of them, newest first: `status`, `kind`, `limit`, `cursor`."""
        return await self._client.request(operations.GET_JOBS, query=query)

    def all(self, **query: Any) -> AsyncIterator[types.JobView]:
        return self._all(operations.GET_JOBS, query)

    async def wait(self, job_id: str) -> types.JobView:
        """Waits until it has ended, however long that takes."""
        while True:
            job = await self.get(job_id, wait=WAIT)
            if job["status"] in ("succeeded", "failed", "cancelled"):
                return job

    async def result(self, job_id: str) -> Any:
        """Waits, and gives what it came to. Its failure is raised as `APIError`."""
        job = await self.wait(job_id)
        if job["status"] == "failed" and not job.get("result"):
            problem = job.get("error") or {}
            raise APIError(problem.get("status", 500), problem, {"x-job-id": job_id})
        return job.get("result")

    def follow(self, job_id: str, *, after: str | None = None) -> AsyncAnswer:
        """Its events, from the first or after one: goes on by itself after a cut."""
        return AsyncAnswer(self._client, Progress(job_id, after), None, None)

    async def cancel(self, job_id: str) -> types.JobView:
        return await self._client.request(operations.POST_JOBS_ID_CANCEL, path={"id": job_id})

    async def retry(self, job_id: str) -> types.JobView:
        return await self._client.request(operations.POST_JOBS_ID_RETRY, path={"id": job_id})


class Memories(_Group):
    """What is remembered of the user."""

    async def add(self, content: str, **fields: Any) -> types.MemoryView:
        """`fields` are others of `MemoryBody`."""
        body: Any = {"content": content, **fields}
        return await self._client.request(operations.POST_MEMORY, body=body)

    async def list(self, **query: Any) -> types.MemoryList:
        """A page of them: `status`, `memory_type`, `q`, `sort`, `limit`, `cursor`."""
        return await self._client.request(operations.GET_MEMORY, query=query)

    def all(self, **query: Any) -> AsyncIterator[types.MemoryView]:
        return self._all(operations.GET_MEMORY, query)

    async def get(self, memory_id: str) -> types.MemoryView:
        return await self._client.request(operations.GET_MEMORY_ID, path={"id": memory_id})

    async def search(self, query: str, **choices: Any) -> builtins.list[types.SearchHit]:
        """`choices` are other fields of `SearchBody`."""
        body: Any = {"query": query, **choices}
        return await self._client.request(operations.POST_MEMORY_SEARCH, body=body)

    async def verify(self, memory_id: str, action: str = "confirm", **fields: Any) -> types.MemoryView:
        """`confirm`, `reject`, or `correct` with `corrected_content`."""
        body: Any = {"action": action, **fields}
        return await self._client.request(operations.POST_MEMORY_ID_VERIFY, path={"id": memory_id}, body=body)

    async def forget(self, memory_id: str) -> None:
        await self._client.request(operations.DELETE_MEMORY_ID, path={"id": memory_id})
