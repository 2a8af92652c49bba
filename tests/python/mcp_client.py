"""What programs do with the official MCP client, against /mcp: mcp_client.py URL KEY. It says what it saw, as JSON."""

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client


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
        try:
            await client.call_tool("nothing", {})
        except Exception as error:
            assert "no such tool" in str(error), error
        else:
            raise AssertionError("there is a tool called nothing")
        print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
