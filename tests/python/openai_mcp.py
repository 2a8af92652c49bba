"""What programs do with openai-python's responses and MCP servers, unmodified. OPENAI_BASE_URL, OPENAI_API_KEY and MCP_URL say where."""

import json
import os
import sys
import time

import openai
from refusals import fails

client = openai.OpenAI(max_retries=0, timeout=60, _strict_response_validation=True)
TOKEN = "quincunx-token-7431"


def server(**more):
    return {
        "type": "mcp",
        "server_label": "calc",
        "server_url": os.environ["MCP_URL"],
        "authorization": TOKEN,
        "require_approval": "never",
        **more,
    }


def make(text, tools=None, **more):
    return client.responses.create(model="mock", input=text, tools=tools or [server()], **more)


def kinds(response):
    return [item.type for item in response.output]


def called():
    made = make('/tool calc__add {"a":40,"b":2} /echo and so on')
    assert kinds(made) == ["mcp_list_tools", "mcp_call", "message"], made
    listed, call, _ = made.output
    assert listed.id.startswith("mcpl_") and listed.server_label == "calc" and listed.error is None
    tools = {tool.name: tool for tool in listed.tools}
    assert set(tools) == {"add", "append", "fail", "authorization"}, tools
    assert tools["add"].description == "Adds two numbers." and tools["add"].input_schema["required"] == ["a", "b"]
    assert tools["add"].annotations["readOnlyHint"] is True
    assert call.id.startswith("mcp_") and (call.server_label, call.name, call.status) == ("calc", "add", "completed"), call
    assert json.loads(call.arguments) == {"a": 40, "b": 2} and call.output == "the sum is 42" and call.error is None
    assert "the sum is 42" in made.output_text and made.output_text.endswith("and so on")
    # The address and the keys were the request's: nobody is told them again.
    tool = made.tools[0]
    assert tool.authorization == "<redacted>" and tool.server_url.endswith("/<redacted>"), tool
    assert TOKEN not in made.model_dump_json() and "/mcp" not in tool.server_url
    assert client.responses.retrieve(made.id).model_dump() == made.model_dump()
    heard = make("/tool calc__authorization {}")
    assert heard.output[1].output == "it was [hidden]", heard
    by_header = server(authorization=None, headers={"Authorization": f"Bearer {TOKEN}", "x-of": "test"})
    heard = make("/tool calc__authorization {}", tools=[by_header])
    assert heard.output[1].output == "it was [hidden]" and heard.tools[0].headers["x-of"] == "<redacted>", heard
    # What fails is told to the model, which goes on.
    failed = make("/tool calc__fail {}").output[1]
    assert failed.status == "failed" and failed.output is None, failed
    assert failed.error.type == "mcp_tool_execution_error" and "Error executing tool" in failed.error.content[0]["text"], failed
    wrong = make('/tool calc__add {"a":"x"}').output[1]
    assert wrong.status == "failed" and wrong.error.content[0]["text"], wrong
    # Only what is allowed is there.
    for allowed in (["add"], {"tool_names": ["add", "none"]}, {"tool_names": ["add", "append"], "read_only": True}):
        few = make('/tool calc__append {"text":"no"}', tools=[server(allowed_tools=allowed)])
        assert kinds(few) == ["mcp_list_tools", "message"], few
        assert [tool.name for tool in few.output[0].tools] == ["add"], few
        assert "no tool called calc__append" in few.output_text
    # What is known is not listed again, in whichever way it is said.
    again = make('/tool calc__add {"a":1,"b":1}', previous_response_id=made.id)
    assert kinds(again) == ["mcp_call", "message"] and "the sum is 2" in again.output_text, again
    whole = [{"role": "user", "content": "x"}, *made.output, {"role": "user", "content": '/tool calc__add {"a":2,"b":2}'}]
    assert kinds(make(whole)) == ["mcp_call", "message"]
    chosen = {"type": "mcp", "server_label": "calc", "name": "add"}
    assert "the sum is 2" in make("/echo x", tool_choice=chosen).output_text
    passing = make('/tool calc__add {"a":2,"b":3}', store=False)
    assert "the sum is 5" in passing.output_text


def functions():
    """A server's tools beside functions of one's own, in one round."""
    own = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
    both = make('/tool calc__add {"a":1,"b":2} /tool weather {}', tools=[server(), own])
    assert kinds(both) == ["mcp_list_tools", "mcp_call", "function_call"], both
    told = [{"type": "function_call_output", "call_id": both.output[2].call_id, "output": "31 degrees"}]
    end = make(told, tools=[server(), own], previous_response_id=both.id)
    assert "the sum is 3" in end.output_text and "31 degrees" in end.output_text, end


def files():
    """And beside a search in files, which comes first."""
    store = client.vector_stores.create(name="House")
    pump = ("pump.txt", b"The quince pump starts at 40 degrees. It stops when the tank is full.\n")
    client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=pump, poll_interval_ms=100)
    tools = [server(), {"type": "file_search", "vector_store_ids": [store.id]}]
    text = 'When does the pump stop? /tool calc__add {"a":1,"b":2} /echo The quince pump stops once the tank is full [1].'
    events = list(make(text, tools=tools, stream=True))
    last = events[-1].response
    assert kinds(last) == ["file_search_call", "mcp_list_tools", "mcp_call", "message"], last
    assert [event.item for event in events if event.type == "response.output_item.done"] == last.output
    cited = last.output[3].content[0]
    assert cited.text[cited.annotations[0].index :] == "[1].", cited


def streamed():
    events = list(make('/tool calc__add {"a":40,"b":2} /tool calc__fail {}', stream=True))
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events))), numbers
    of_call = lambda outcome: [
        "response.output_item.added",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        f"response.mcp_call.{outcome}",
        "response.output_item.done",
    ]
    expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.output_item.done",
        *of_call("completed"),
        *of_call("failed"),
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ]
    assert [event.type for event in events][: len(expected)] == expected, [event.type for event in events]
    last = events[-1].response
    assert [event.item for event in events if event.type == "response.output_item.done"] == last.output
    assert [event.output_index for event in events if event.type == "response.output_item.done"] == [0, 1, 2, 3]
    arguments = [event.arguments for event in events if event.type == "response.mcp_call_arguments.done"]
    assert [json.loads(text) for text in arguments] == [{"a": 40, "b": 2}, {}], arguments
    # From the ledger, the same events again.
    again = list(client.responses.retrieve(last.id, stream=True))
    assert [event.model_dump() for event in again] == [event.model_dump() for event in events]
    with client.responses.stream(model="mock", input='/tool calc__add {"a":1,"b":2}', tools=[server()]) as helper:
        list(helper)
        assert "the sum is 3" in helper.get_final_response().output_text


def approved():
    asks = [server(require_approval=None)]
    one = make('/tool calc__append {"text":"approved"}', tools=asks)
    assert kinds(one) == ["mcp_list_tools", "mcp_approval_request"] and one.status == "completed", one
    ask = one.output[1]
    assert ask.id.startswith("mcpr_") and (ask.server_label, ask.name) == ("calc", "append"), ask
    assert json.loads(ask.arguments) == {"text": "approved"}
    answer = lambda approve, **more: [
        {"type": "mcp_approval_response", "approval_request_id": ask.id, "approve": approve, **more}
    ]
    two = make(answer(True), tools=asks, previous_response_id=one.id)
    assert kinds(two) == ["mcp_call", "message"], two
    assert two.output[0].approval_request_id == ask.id and two.output[0].output == "written", two
    assert "written" in two.output_text
    declined = make(answer(False, reason="not today"), tools=asks, previous_response_id=one.id)
    assert kinds(declined) == ["message"] and "not today" in declined.output_text, declined
    # It goes on from there, and what was allowed is not called again.
    three = make("/echo three", tools=asks, previous_response_id=two.id)
    assert kinds(three) == ["message"] and three.output_text == "three", three
    error = fails(openai.BadRequestError, lambda: make(answer(True), tools=asks, previous_response_id=two.id))
    assert error.param == "input[0].approval_request_id" and error.code == "unsupported_value", error.body
    other = [server(server_label="other")]
    error = fails(openai.BadRequestError, lambda: make(answer(True), tools=other, previous_response_id=one.id))
    assert error.param == "input", error.body
    # All of it in one request; streamed; and in a conversation.
    whole = [{"role": "user", "content": "x"}, *one.output, *answer(True)]
    events = list(make(whole, tools=asks, stream=True))
    assert [event.item.type for event in events if event.type == "response.output_item.done"] == ["mcp_call", "message"]
    talk = client.conversations.create()
    asked = make('/tool calc__append {"text":"in a conversation"}', tools=asks, conversation=talk.id)
    told = [{"type": "mcp_approval_response", "approval_request_id": asked.output[1].id, "approve": True}]
    assert make(told, tools=asks, conversation=talk.id).output[0].output == "written"
    # Put in as an item it is heard once, by the next response.
    asked = make('/tool calc__append {"text":"by an item"}', tools=asks, conversation=talk.id)
    told = [{"type": "mcp_approval_response", "approval_request_id": asked.output[0].id, "approve": True}]
    client.conversations.items.create(talk.id, items=told)
    heard = make([{"role": "user", "content": "go on"}], tools=asks, conversation=talk.id)
    assert kinds(heard) == ["mcp_call", "message"] and heard.output[0].output == "written", heard
    assert kinds(make("/echo on", tools=asks, conversation=talk.id)) == ["message"]
    # Also by one that then fails: nobody makes the call again by itself.
    asked = make('/tool calc__append {"text":"by one that fails"}', tools=asks, conversation=talk.id)
    told = [{"type": "mcp_approval_response", "approval_request_id": asked.output[0].id, "approve": True}]
    client.conversations.items.create(talk.id, items=told)
    fails(openai.APIStatusError, lambda: make("/fail 400", tools=asks, conversation=talk.id))
    assert kinds(make("/echo on", tools=asks, conversation=talk.id)) == ["message"]
    heard = [item for item in client.conversations.items.list(talk.id) if getattr(item, "approval_request_id", None) == asked.output[0].id]
    assert sorted(item.type for item in heard) == ["mcp_approval_response", "mcp_call"], heard
    # Some need consent, others do not.
    for some in ({"never": {"read_only": True}}, {"always": {"tool_names": ["append"]}}):
        mixed = make('/tool calc__add {"a":1,"b":1} /tool calc__append {"text":"no"}', tools=[server(require_approval=some)])
        assert kinds(mixed) == ["mcp_list_tools", "mcp_call", "mcp_approval_request"], mixed


def agents():
    """OpenAI's Agents SDK, with a server as its hosted tool, and somebody who is asked."""
    import asyncio

    import agents

    agents.set_tracing_disabled(True)
    model = agents.OpenAIResponsesModel(model="mock", openai_client=openai.AsyncOpenAI(max_retries=0))
    asked = []

    def consent(request):
        asked.append(request.data.name)
        return {"approve": True}

    async def run():
        tool = agents.HostedMCPTool(tool_config=server())
        agent = agents.Agent(name="adds", model=model, tools=[tool])
        ran = await agents.Runner.run(agent, '/tool calc__add {"a":1,"b":2}')
        assert "the sum is 3" in ran.final_output, ran
        more = await agents.Runner.run(agent, [*ran.to_input_list(), {"role": "user", "content": "/echo more"}])
        assert more.final_output == "more", more
        tool = agents.HostedMCPTool(tool_config=server(require_approval="always"), on_approval_request=consent)
        agent = agents.Agent(name="writes", model=model, tools=[tool])
        ran = await agents.Runner.run(agent, '/tool calc__append {"text":"by an agent"}')
        assert "written" in ran.final_output and asked == ["append"], ran

    asyncio.run(run())


def errors():
    def refused(param, code, **more):
        error = fails(openai.BadRequestError, lambda: make("x", tools=[{**server(), **more}]))
        assert (error.param, error.code) == (param, code), error.body

    refused("tools[0].connector_id", "unsupported_value", connector_id="connector_gmail")
    refused("tools[0].server_label", "invalid_value", server_label="1 2")
    refused("tools[0].server_url", "missing_required_parameter", server_url="")
    refused("tools[0].server_url", "invalid_value", server_url="ftp://example.com")
    refused("tools[0].server_url", "invalid_value", server_url="http://169.254.169.254/mcp")
    refused("tools[0].headers", "invalid_value", headers={"Authorization": "x"})
    refused("tools[0].headers", "unsupported_value", headers={"Mcp-Session-Id": "x"})
    refused("tools[0].require_approval", "invalid_value", require_approval="sometimes")
    refused("tools[0].require_approval.ever", "unknown_parameter", require_approval={"ever": {}})
    refused("tools[0].allowed_tools", "invalid_value", allowed_tools=[1])
    refused("tools[0].colour", "unknown_parameter", colour=1)
    error = fails(openai.BadRequestError, lambda: make("x", tools=[server(), server()]))
    assert error.param == "tools[1].server_label", error.body
    # A server that is down.
    down = [server(server_url="http://127.0.0.1:9/mcp")]
    error = fails(openai.APIStatusError, lambda: make("x", tools=down))
    assert (error.status_code, error.code, error.type, error.param) == (424, "http_error", "external_connector_error", "tools"), error.body
    assert "calc" in error.message and "could not be reached" in error.message, error.message
    events = list(make("x", tools=down, stream=True))
    assert [event.type for event in events][-3:] == ["response.mcp_list_tools.failed", "response.output_item.done", "response.failed"]
    assert "could not be reached" in events[-2].item.error and events[-1].response.error.code == "server_error", events
    failed = make("x", tools=down, background=True)
    while failed.status in ("queued", "in_progress"):
        time.sleep(0.1)
        failed = client.responses.retrieve(failed.id)
    assert failed.status == "failed" and "calc" in failed.error.message, failed


def truncated():
    """The model of this test reads 300 tokens."""
    long = "word " * 400
    error = fails(openai.BadRequestError, lambda: client.responses.create(model="mock", input=long))
    assert (error.code, error.param) == ("context_length_exceeded", "input"), error.body
    one = client.responses.create(model="mock", input="old " * 150)
    two = client.responses.create(model="mock", input="/echo two", previous_response_id=one.id)
    turns = [{"role": "user", "content": "old " * 350}, {"role": "user", "content": "what?"}]
    assert two.output_text == "two" and two.truncation == "disabled"
    fails(openai.BadRequestError, lambda: client.responses.create(model="mock", input=turns))
    fits = client.responses.create(model="mock", input=turns, truncation="auto", instructions="Be kind.")
    assert fits.truncation == "auto" and "(message 1 of this conversation)" in fits.output_text, fits
    said = client.responses.create(model="mock", input=[turns[0], {"role": "user", "content": "/system"}], truncation="auto", instructions="Be kind.")
    assert said.output_text == "Be kind.", said
    error = fails(openai.BadRequestError, lambda: client.responses.create(model="mock", input=long, truncation="auto"))
    assert error.code == "context_length_exceeded", error.body


for part in sys.argv[1:]:
    globals()[part]()
    print("ok", part)
