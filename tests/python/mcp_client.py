"""What programs do with the official MCP client, against /mcp: mcp_client.py URL KEY. It says what it saw, as JSON."""

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client


async def refused(call, why):
    try:
        await call
    except Exception as error:
        assert why in str(error), error
    else:
        raise AssertionError(f"it was not refused: {why}")


async def introduces(client, memory):
    """The memory as a resource, and in the prompt that introduces its user."""
    uri = f"memory://{memory}"
    listed = {str(one.uri): one.name for one in (await client.list_resources()).resources}
    assert listed[uri] == "Plays the lute", listed
    read = (await client.read_resource(uri)).contents[0]
    assert json.loads(read.text)["id"] == memory and read.mime_type == "application/json", read
    for arguments in (None, {"topic": "the lute"}):
        prompt = await client.get_prompt("about_me", arguments)
        assert prompt.messages[0].role == "user", prompt
        assert '- "Plays the lute"' in prompt.messages[0].content.text, prompt
    other = await client.get_prompt("about_me", {"topic": "taxes"})
    assert "lute" not in other.messages[0].content.text, other


async def main(url, key):
    http = httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=60)
    async with Client(streamable_http_client(url, http_client=http)) as client:
        async def call(name, **arguments):
            result = await client.call_tool(name, arguments)
            said = json.loads(result.content[0].text)
            assert result.structured_content == said, result
            return said, result.is_error

        names = [tool.name for tool in (await client.list_tools()).tools]
        await client.send_ping()
        seen = {"tools": names, "server": client.server_info.name, "version": client.protocol_version}
        if "add_memory" in names:
            added, failed = await call("add_memory", content="Plays the oud")
            assert not failed and added["status"] == "confirmed", added
            found, _ = await call("search_memory", query="oud")
            assert found["results"][0]["memory"]["id"] == added["id"], found
            listed, _ = await call("list_memories", limit=5)
            assert [one["content"] for one in listed["items"]] == ["Plays the oud"], listed
            corrected, _ = await call(
                "verify_memory", id=added["id"], action="correct", corrected_content="Plays the lute"
            )
            assert corrected["content"] == "Plays the lute", corrected
            history, _ = await call("memory_history", id=added["id"])
            assert history["changes"][0]["action"] == "corrected", history
            await introduces(client, added["id"])
            wrong, failed = await call("add_memory", content="")
            assert failed and wrong["code"] == "validation_failed", wrong
            unknown, failed = await call("search_memory", query="x", colour=1)
            assert failed and "colour" in unknown["error"], unknown
            gone, _ = await call("forget_memory", id=added["id"])
            assert gone == {"forgotten": added["id"]}
            missing, failed = await call("memory_history", id=added["id"])
            assert failed and missing["code"] == "not_found", missing
        if "send_message" in names:
            answer, failed = await call("send_message", message="/echo hello")
            assert not failed and answer["reply"] == "hello" and answer["session_id"], answer
            again, _ = await call("send_message", message="/echo two", session_id=answer["session_id"])
            assert again["session_id"] == answer["session_id"]
            listed = {str(one.uri): one.name for one in (await client.list_resources()).resources}
            heard = []

            async def tell(progress, total, message):
                heard.append((progress, message))

            slow = await client.call_tool("send_message", {"message": "/delay 1 /tokens 5"}, progress_callback=tell)
            assert json.loads(slow.content[0].text)["reply"] == "w1 w2 w3 w4 w5", slow
            counts = [count for count, _ in heard]
            assert counts == sorted(set(counts)) and heard[0][1] == "it is accepted", heard
            assert any(message.endswith("characters") for _, message in heard), heard
            wrong = await client.call_tool("send_message", {"message": ""}, progress_callback=tell)
            assert wrong.is_error, wrong
            uri = f"session://{answer['session_id']}"
            assert uri in listed, listed
            told = (await client.read_resource(uri)).contents[0]
            assert told.mime_type == "text/markdown" and "/echo two" in told.text, told
        seen["templates"] = [
            one.uri_template for one in (await client.list_resource_templates()).resource_templates
        ]
        seen["prompts"] = [one.name for one in (await client.list_prompts()).prompts]
        for uri in ("memory://mem_x", "session://sess_x", "other://x", "nothing"):
            await refused(client.read_resource(uri), "no such resource")
        await refused(client.get_prompt("nothing"), "no such prompt")
        await refused(client.call_tool("nothing", {}), "no such tool")
        print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
