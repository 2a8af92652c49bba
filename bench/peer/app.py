"""A chat service as one writes it in Python: FastAPI, SQLAlchemy, PostgreSQL, no queue. `rapport-bench chat --peer` measures it beside Rapport.

It does what a chat needs and no more: checks the token, reads the session and its last messages, stores the question, streams the answer, stores it. It
speaks as much of Rapport's API as the measurement uses. A process that dies loses the answer it was giving; nothing can be resumed.
"""

import json
import os
import time
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone

import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET = "b3f1c87e5d2a9460f7e8b1d3c5a79260"
HISTORY = 20

# PostgreSQL's default of 100 connections has room for both of the measurement's services.
engine = create_async_engine(os.environ["PEER_DATABASE_URL"], pool_size=20, max_overflow=0, pool_timeout=30)
Database = async_sessionmaker(engine, expire_on_commit=False)


def now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "peer_users"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    username: Mapped[str] = mapped_column(unique=True)


class Session(Base):
    __tablename__ = "peer_sessions"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("peer_users.id"), index=True)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class Message(Base):
    __tablename__ = "peer_messages"
    __table_args__ = (Index("peer_messages_session", "session_id", "created_at"),)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("peer_sessions.id"))
    role: Mapped[str]
    content: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


@asynccontextmanager
async def lifespan(app: FastAPI):
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as provider:
        app.state.provider = provider
        yield


app = FastAPI(lifespan=lifespan)


async def user(given: HTTPAuthorizationCredentials = Depends(HTTPBearer())) -> uuid.UUID:
    try:
        return uuid.UUID(jwt.decode(given.credentials, SECRET, algorithms=["HS256"])["sub"])
    except (jwt.InvalidTokenError, KeyError, ValueError) as error:
        raise HTTPException(401) from error


class Registration(BaseModel):
    username: str
    password: str


class Chat(BaseModel):
    message: str
    session_id: uuid.UUID


@app.get("/healthz")
async def healthz():
    return {"status": "ok"}


@app.post("/api/v1/auth/register", status_code=201)
async def register(body: Registration):
    async with Database() as database:
        new = User(username=body.username)
        database.add(new)
        await database.commit()
    return {"access_token": jwt.encode({"sub": str(new.id), "exp": int(time.time()) + 3600}, SECRET, algorithm="HS256")}


@app.post("/api/v1/chat/sessions", status_code=201)
async def create_session(caller: uuid.UUID = Depends(user)):
    async with Database() as database:
        new = Session(user_id=caller)
        database.add(new)
        await database.commit()
    return {"id": new.id}


@app.post("/api/v1/chat/stream")
async def chat(body: Chat, caller: uuid.UUID = Depends(user)):
    async with Database() as database:
        found = await database.scalar(select(Session).where(Session.id == body.session_id, Session.user_id == caller))
        if found is None:
            raise HTTPException(404)
        recent = select(Message).where(Message.session_id == found.id).order_by(Message.created_at.desc()).limit(HISTORY)
        before = (await database.scalars(recent)).all()
        database.add(Message(session_id=found.id, role="user", content=body.message))
        await database.commit()
    messages = [{"role": one.role, "content": one.content} for one in reversed(before)]
    messages.append({"role": "user", "content": body.message})
    return StreamingResponse(answer(found.id, messages), media_type="text/event-stream")


async def answer(session: uuid.UUID, messages: list[dict]):
    said = []
    request = {"model": "mock-1", "stream": True, "messages": messages}
    url, headers = os.environ["PEER_PROVIDER_URL"] + "/v1/chat/completions", {"authorization": "Bearer none"}
    async with app.state.provider.stream("POST", url, json=request, headers=headers) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            choices = json.loads(line[6:])["choices"]
            delta = choices[0]["delta"].get("content") if choices else None
            if delta:
                said.append(delta)
                yield f"event: token\ndata: {json.dumps({'delta': delta})}\n\n"
    async with Database() as database:
        database.add(Message(session_id=session, role="assistant", content="".join(said)))
        (await database.get_one(Session, session)).updated_at = now()
        await database.commit()
    yield f"event: done\ndata: {json.dumps({'reply': ''.join(said)})}\n\n"


async def create_tables():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    import asyncio

    asyncio.run(create_tables())
