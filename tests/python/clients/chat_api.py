"""A client of the chat API under /api (system B), written as its documentation shows it: email accounts, chat, streams."""

import json
import sys

import requests
from websockets.sync.client import connect

BASE = sys.argv[1] + "/api"
EMAIL, PASSWORD = "user@example.com", "StrongPassword123"

user = requests.post(f"{BASE}/auth/register", json={"email": EMAIL, "password": PASSWORD})
user.raise_for_status()
assert user.json()["email"] == EMAIL and user.json()["id"] and user.json()["created_at"]

tokens = requests.post(f"{BASE}/auth/login", data={"username": EMAIL, "password": PASSWORD}).json()
assert tokens["token_type"] == "bearer" and tokens["expires_in"] == 1800
tokens = requests.post(f"{BASE}/auth/login", json={"email": EMAIL, "password": PASSWORD}).json()
session = requests.Session()
session.headers["Authorization"] = f"Bearer {tokens['access_token']}"

me = session.get(f"{BASE}/users/me").json()
assert me["id"] == user.json()["id"] and me["email"] == EMAIL and me["is_active"] is True

chat = session.post(f"{BASE}/chat", json={"message": "Hello", "session_id": None})
chat.raise_for_status()
chat = chat.json()
assert chat["reply"] and chat["model"] and chat["message_id"] and chat["created_at"]
assert chat["usage"]["tokens"] > 0
again = session.post(f"{BASE}/chat", json={"message": "And again", "session_id": chat["session_id"]}).json()
assert again["session_id"] == chat["session_id"]

with session.post(f"{BASE}/chat/stream", json={"message": "/echo streamed words"}, stream=True) as stream:
    stream.raise_for_status()
    data = [json.loads(line[6:]) for line in stream.iter_lines(decode_unicode=True) if line.startswith("data: ")]
assert "".join(part.get("delta", "") for part in data) == "streamed words"

socket_url = BASE.replace("http://", "ws://") + f"/chat/ws?token={tokens['access_token']}"
with connect(socket_url, proxy=None) as socket:
    socket.send(json.dumps({"message": "/echo over a socket", "session_id": None}))
    text = ""
    while True:
        frame = json.loads(socket.recv(timeout=30))
        if frame["type"] == "token":
            text = frame["content"]
        if frame["type"] == "done":
            break
assert text == "over a socket" and frame["usage"]["tokens"] > 0

history = session.get(f"{BASE}/history", params={"page": 1, "per_page": 20}).json()
assert history["page"] == 1 and history["per_page"] == 20 and history["total"] == 3
for item in history["items"]:
    assert item["session_id"] and item["last_message"] and item["updated_at"]

refreshed = requests.post(f"{BASE}/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
assert refreshed.ok and refreshed.json()["access_token"]
assert requests.post(f"{BASE}/auth/register", json={"email": "nobody", "password": PASSWORD}).status_code in (400, 422)
assert requests.get(f"{BASE}/users/me").status_code == 401
print("ok")
