"""A client of the assistant with memory (system D), written as its documentation shows it: register … WebSocket."""

import asyncio
import base64
import json
import sys

import httpx
import websockets

BASE = sys.argv[1] + "/api"
EMAIL, PASSWORD = "john@example.com", "SecurePass123"


async def main() -> None:
    async with httpx.AsyncClient(base_url=BASE, trust_env=False, timeout=60) as client:
        registered = await client.post("/auth/register", json={"email": EMAIL, "password": PASSWORD, "name": "John Doe"})
        assert registered.status_code == 201 and registered.json()["user"]["name"] == "John Doe", registered.text
        login = (await client.post("/auth/login", data={"username": EMAIL, "password": PASSWORD})).json()
        token = login["access_token"]
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert claims["email"] == EMAIL and claims["sub"] == registered.json()["user"]["id"] and claims["exp"] > claims["iat"]
        client.headers["Authorization"] = f"Bearer {token}"
        me = (await client.get("/auth/me")).json()
        assert me["name"] == "John Doe" and me["is_active"] and me["created_at"]
        assert (await client.post("/auth/request-otp", json={"email": EMAIL})).json()["expires_in"] == 300

        body = {
            "message": "/echo Nice to meet you",
            "session_id": None,
            "provider": "auto",
            "model": None,
            "temperature": 0.7,
            "max_tokens": 1000,
            "enable_memory": True,
        }
        chat = (await client.post("/chat", json=body)).json()
        for field in ["message_id", "session_id", "reply", "model", "provider", "usage", "memories_used", "created_at"]:
            assert field in chat, field
        session = chat["session_id"]

        url = BASE.replace("http://", "ws://") + f"/chat/stream?token={token}"
        async with websockets.connect(url, proxy=None) as socket:
            await socket.send(json.dumps({"message": "/tokens 4", "session_id": session}))
            shown = ""
            async for raw in socket:
                data = json.loads(raw)
                if data["type"] == "token":
                    shown += data["delta"]
                    assert data["content"] == shown, data
                elif data["type"] == "done":
                    assert data["usage"]["tokens"] > 0 and data["model"]
                    break
                assert data["type"] != "error", data
        assert shown == "w1 w2 w3 w4", shown

        async with client.stream("POST", "/chat/stream?accumulate=true", json={"message": "/tokens 3"}) as stream:
            lines = [json.loads(line[6:]) async for line in stream.aiter_lines() if line.startswith("data: ")]
        assert [line for line in lines if "delta" in line][-1]["content"] == "w1 w2 w3"

        sessions = (await client.get("/chat/sessions", params={"limit": 20})).json()
        assert sessions["total"] == 2 and session in [one["id"] for one in sessions["sessions"]]
        deleted = (await client.get("/chat/sessions", params={"status": "deleted"})).json()
        assert deleted["sessions"] == []
        history = (await client.get("/chat/history", params={"session_id": session, "limit": 50})).json()
        assert len(history["messages"]) == 4
        branch = {"session_id": session, "from_message_id": history["messages"][1]["id"], "new_message": "/echo other"}
        branched = (await client.post("/chat/branch", json=branch)).json()
        assert branched["parent_session_id"] == session and branched["new_session_id"] and branched["message_id"]
        renamed = await client.put(f"/chat/sessions/{session}", json={"title": "Meeting", "is_pinned": True})
        assert renamed.json()["title"] == "Meeting" and renamed.json()["is_pinned"]

        memories = []
        for content in ["Likes hiking", "Works as a nurse", "Lives in Dhaka"]:
            made = await client.post("/memory", json={"content": content, "memory_type": "fact", "importance": 0.8})
            assert made.status_code == 201 and made.json()["user_id"] == me["id"], made.text
            memories.append(made.json()["id"])
        found = (await client.post("/memory/search", json={"query": "hiking", "limit": 5, "use_semantic_search": True})).json()
        assert found[0]["memory"]["content"] == "Likes hiking" and "similarity_score" in found[0]
        verdict = {"action": "correct", "corrected_content": "Loves hiking", "corrected_importance": 0.9, "feedback": "stronger"}
        assert (await client.post(f"/memory/{memories[0]}/verify", json=verdict)).is_success
        link = {"source_id": memories[0], "target_id": memories[1], "relationship_type": "relates_to"}
        linked = (await client.post("/memory/link", json=link)).json()
        assert (linked["source_id"], linked["target_id"]) == (memories[0], memories[1]), linked
        assert linked["relationship_type"] == "relates_to" and linked["created_at"]
        related = (await client.get(f"/memory/{memories[0]}/related", params={"depth": 2})).json()
        assert related[0]["memory"]["id"] == memories[1] and related[0]["distance"] == 1
        graph = (await client.get(f"/memory/{memories[0]}/graph", params={"max_depth": 2})).json()
        assert len(graph["nodes"]) == 2 and len(graph["edges"]) == 1
        overview = (await client.get("/memory/analytics/dashboard", params={"time_range": "30d"})).json()["overview"]
        assert overview["total_memories"] >= 3 and overview["verified_count"] >= 3
        assert overview["pending_count"] == 0 and overview["rejected_count"] == 0
        assert 0 < overview["avg_confidence"] <= 1 and 0 < overview["avg_importance"] <= 1
        privacy = {"memory_ids": [memories[1]], "is_private": True, "shared_with": []}
        assert (await client.post("/memory/privacy", json=privacy)).is_success
        bulk = {"filter_criteria": {"memory_type": "fact", "created_before": "2020-01-01", "importance_lt": 0.3}}
        erased = await client.request("DELETE", "/memory/bulk", json=bulk)
        assert erased.json()["deleted"] == 0, erased.text
        exported = await client.post("/memory/export", json={"format": "json", "include_relationships": True})
        assert "Loves hiking" in exported.text

        settings = {"memory_settings": {"auto_memory_extraction": True}, "chat_settings": {"temperature": 0.5}}
        assert (await client.put("/settings/settings", json=settings)).json()["chat_settings"]["temperature"] == 0.5
        activity = (await client.get("/analytics/activity", params={"time_range": "7d"})).json()
        assert activity["total_messages"] >= 6 and activity["active_days"] == 1
        assert (await client.get("/analytics/models")).json()["by_provider"]["mock"]["count"] >= 3
        assert (await client.get("/health")).json()["status"] == "healthy"
    print("ok")


asyncio.run(main())
