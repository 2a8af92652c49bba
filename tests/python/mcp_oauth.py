"""The official MCP client signs in from nothing: mcp_oauth.py URL NAME PASSWORD. The script is the user and their browser; it says what it saw, as JSON."""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

REDIRECT = "http://127.0.0.1:33418/callback"


class Kept:
    """What the program keeps between its runs."""

    def __init__(self):
        self.tokens, self.client = None, None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser:
    """Follows the program's address to the page, signs in there, and lets the program in."""

    def __init__(self, base, name, password):
        self.base, self.name, self.password = base, name, password
        self.visits, self.answer = 0, None

    async def visit(self, address):
        self.visits += 1
        async with httpx2.AsyncClient() as http:
            sent = await http.get(address)
            assert sent.status_code == 302, sent
            page, asked = sent.headers["location"].split("?", 1)
            assert page == "./#/connect", page
            asked = {name: values[0] for name, values in parse_qs(asked).items()}
            signed_in = await http.post(
                f"{self.base}/api/v1/auth/login", json={"username": self.name, "password": self.password}
            )
            headers = {"authorization": f"Bearer {signed_in.json()['access_token']}"}
            place = f"{self.base}/api/v1/oauth/authorization"
            shown = (await http.get(place, params=asked, headers=headers)).json()
            assert shown["client_name"] == "The lute's tuner" and shown["answers_to"].startswith("127.0.0.1:"), shown
            assert shown["scopes"] == ["memory", "chat"] and shown["wrong"] is None, shown
            let_in = await http.post(place, json=asked, headers=headers)
            self.answer = urlsplit(let_in.json()["go_to"])

    async def callback(self):
        assert f"{self.answer.scheme}://{self.answer.netloc}{self.answer.path}" == REDIRECT, self.answer
        said = {name: values[0] for name, values in parse_qs(self.answer.query).items()}
        return AuthorizationCodeResult(code=said["code"], state=said["state"], iss=said["iss"])


async def used(url, provider, content):
    """Adds a memory, as a program that just started."""
    async with httpx2.AsyncClient(auth=provider, timeout=60) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            added = await client.call_tool("add_memory", {"content": content})
            return json.loads(added.content[0].text)["status"]


async def main(url, name, password):
    kept, browser = Kept(), Browser(url.removesuffix("/mcp"), name, password)

    def provider():
        metadata = OAuthClientMetadata(client_name="The lute's tuner", redirect_uris=[REDIRECT])
        return OAuthClientProvider(url, metadata, kept, browser.visit, browser.callback)

    assert await used(url, provider(), "Plays the lute") == "confirmed"
    first = kept.tokens
    assert first.scope == "memory chat" and first.expires_in > 0, first
    # The next time nobody is asked: the tokens are still good.
    assert await used(url, provider(), "Plays the oud") == "confirmed"
    assert browser.visits == 1 and kept.tokens == first
    # And when the first one has ended, the other one gets a new pair.
    again = provider()
    await again._initialize()
    again.context.token_expiry_time = 1
    assert await used(url, again, "Plays the sarod") == "confirmed"
    assert browser.visits == 1 and kept.tokens.refresh_token != first.refresh_token, kept.tokens
    print(json.dumps({"access": kept.tokens.access_token, "refresh": kept.tokens.refresh_token, "client": kept.client.client_id}))


asyncio.run(main(*sys.argv[1:]))
