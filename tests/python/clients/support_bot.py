"""A client of the support-bot API (system A), written as its documentation shows it: username accounts, conversations."""

import sys

import requests

BASE = sys.argv[1]
USERNAME, PASSWORD = "testuser", "testpass123"

register = requests.post(f"{BASE}/auth/register", json={"username": USERNAME, "password": PASSWORD})
assert register.ok, register.text
again = requests.post(f"{BASE}/auth/register", json={"username": USERNAME, "password": PASSWORD})
assert not again.ok and again.json()["detail"]

login = requests.post(f"{BASE}/auth/token", data={"username": USERNAME, "password": PASSWORD})
login.raise_for_status()
assert login.json()["token_type"] == "bearer"
headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
assert requests.post(f"{BASE}/auth/token", data={"username": USERNAME, "password": "wrong"}).status_code == 401

conversation = requests.post(f"{BASE}/conversations/", headers=headers)
conversation.raise_for_status()
# In the old system the id was the whole body; see docs/migrating.md.
conversation_id = conversation.json()["id"]

answer = requests.post(
    f"{BASE}/conversations/{conversation_id}/messages",
    json={"content": "Withdraw money from wallet"},
    headers=headers,
)
answer.raise_for_status()
assert answer.json()["sender"] == "ai" and answer.json()["content"]

messages = requests.get(f"{BASE}/conversations/{conversation_id}/messages", headers=headers).json()
assert [message["sender"] for message in messages] == ["user", "ai"]
assert messages[0]["content"] == "Withdraw money from wallet"

for listed in requests.get(f"{BASE}/conversations/", headers=headers).json()["conversations"]:
    assert listed["id"] == conversation_id and listed["message_count"] == 2
    assert listed["title"]

# All providers fail: the user sees a friendly message, not an error.
failed = requests.post(
    f"{BASE}/conversations/{conversation_id}/messages", json={"content": "/fail 503"}, headers=headers
)
failed.raise_for_status()
assert failed.json()["sender"] == "ai" and "try again" in failed.json()["content"]

deleted = requests.delete(f"{BASE}/conversations/{conversation_id}", headers=headers)
assert deleted.json() == {"msg": "Conversation deleted successfully"}, deleted.text
gone = requests.get(f"{BASE}/conversations/{conversation_id}/messages", headers=headers)
assert gone.status_code == 404
assert requests.get(f"{BASE}/conversations/").status_code == 401
assert requests.get(f"{BASE}/health").ok
print("ok")
