"""A client of the chatbot platform (system C), written as its documentation shows it: projects, prompts, exports."""

import sys

import httpx

EMAIL, PASSWORD = "builder@example.com", "StrongPassword123"

with httpx.Client(base_url=sys.argv[1], trust_env=False, timeout=60) as client:
    client.post("/auth/register", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
    # As Swagger UI and OAuth2 clients send it.
    form = {"grant_type": "password", "username": EMAIL, "password": PASSWORD, "scope": "", "client_id": "", "client_secret": ""}
    login = client.post("/auth/login", data=form)
    login.raise_for_status()
    client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
    assert client.get("/users/me").json()["email"] == EMAIL

    project = client.post("/projects", json={"name": "Bot", "description": "A pirate"})
    project.raise_for_status()
    project_id = project.json()["id"]
    # In the old system the list was the whole body; see docs/migrating.md.
    assert [one["id"] for one in client.get("/projects").json()["items"]] == [project_id]
    changed = client.put(f"/projects/{project_id}", json={"name": "Bot 2", "description": "Another pirate"})
    assert changed.json()["name"] == "Bot 2", changed.text
    assert client.get(f"/projects/{project_id}").json()["description"] == "Another pirate"

    prompt = client.post(f"/projects/{project_id}/prompts", json={"name": "main", "content": "You are a pirate."})
    prompt.raise_for_status()
    prompts = client.get(f"/projects/{project_id}/prompts").json()["items"]
    assert [one["content"] for one in prompts] == ["You are a pirate."]

    chat = client.post("/chat", json={"message": "/system", "project_id": project_id})
    chat.raise_for_status()
    assert chat.json()["reply"].startswith("You are a pirate.")
    session_id = chat.json()["session_id"]

    sessions = client.get("/chat/sessions", params={"project_id": project_id}).json()
    assert [one["id"] for one in sessions["sessions"]] == [session_id] and sessions["total"] == 1
    markdown = client.get(f"/chat/sessions/{session_id}/export", params={"format": "markdown"})
    assert markdown.headers["content-type"].startswith("text/markdown") and "pirate" in markdown.text
    exported = client.get(f"/chat/sessions/{session_id}/export", params={"format": "json"}).json()
    imported = client.post("/chat/sessions/import", json=exported)
    assert imported.status_code == 201, imported.text

    # The old system took the sessions along without being told.
    assert client.delete(f"/projects/{project_id}", params={"sessions": "delete"}).status_code == 204
    assert client.get(f"/chat/sessions/{session_id}").status_code == 404
    assert client.get(f"/projects/{project_id}").status_code == 404
    assert client.get("/health").is_success
print("ok")
