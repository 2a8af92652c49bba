"""What programs do with openai-python's responses, unmodified. OPENAI_BASE_URL and OPENAI_API_KEY say where."""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import openai
from pydantic import BaseModel
from refusals import fails

client = openai.OpenAI(max_retries=0, timeout=60, _strict_response_validation=True)


def make(text, **more):
    return client.responses.create(model="auto", input=text, **more)


def whole_numbers(events, first=0):
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(first, first + len(numbers))), numbers


def text_of(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def create():
    made = make("/echo hello world", instructions="Be kind.", metadata={"a": "b"}, temperature=0.5)
    assert made.output_text == "hello world" and made.status == "completed", made
    assert made.id.startswith("resp_") and made.object == "response" and made.error is None
    assert made.usage.output_tokens == 2 and made.usage.total_tokens > 2
    assert made.metadata == {"a": "b"} and made.temperature == 0.5 and made.instructions == "Be kind."
    assert make("/system", instructions="Be kind.").output_text == "Be kind."
    kept = client.responses.retrieve(made.id)
    assert kept.output_text == "hello world" and kept.created_at == made.created_at
    short = make("/tokens 9", max_output_tokens=3)
    assert short.status == "incomplete" and short.incomplete_details.reason == "max_output_tokens"
    items = client.responses.create(
        model="mock/mock-1",
        input=[
            {"role": "developer", "content": "Speak French."},
            {"role": "user", "content": [{"type": "input_text", "text": "/system"}]},
        ],
    )
    assert items.output_text == "Speak French."
    listed = client.responses.input_items.list(items.id)
    assert [item.role for item in listed.data] == ["user", "developer"], listed
    first = client.responses.input_items.list(items.id, order="asc", limit=1)
    assert first.has_more and first.data[0].role == "developer"
    assert [item.role for item in first] == ["developer", "user"], "page after page"
    passing = make("/echo x", store=False)
    assert passing.output_text == "x"
    gone(passing.id)
    client.responses.delete(made.id)
    gone(made.id)


def gone(id):
    try:
        client.responses.retrieve(id)
    except openai.NotFoundError:
        return
    raise AssertionError(f"{id} is there")


def conversation():
    one = make("My cat is called Tom.", instructions="Only for this one.")
    two = client.responses.create(model="mock", input="/echo x", previous_response_id=one.id)
    assert two.previous_response_id == one.id
    three = client.responses.create(model="mock", input="what?", previous_response_id=two.id)
    assert "(message 3 of this conversation)" in three.output_text, three.output_text
    silent = client.responses.create(model="mock", input="/system", previous_response_id=one.id)
    assert silent.output_text == "", "instructions are of one response"
    client.responses.delete(one.id)
    try:
        client.responses.create(model="mock", input="x", previous_response_id=two.id)
    except openai.BadRequestError as error:
        assert error.code == "previous_response_not_found" and error.param == "previous_response_id", error.body
    else:
        raise AssertionError("it goes on from what was deleted")


def stream():
    events = list(make("/delay 20 /tokens 6", stream=True))
    whole_numbers(events)
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds
    assert kinds[2:4] == ["response.output_item.added", "response.content_part.added"], kinds
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ], kinds
    assert text_of(events) == "w1 w2 w3 w4 w5 w6"
    last = events[-1].response
    assert last.output_text == "w1 w2 w3 w4 w5 w6" and last.usage.output_tokens == 6
    # From the ledger, the same events again, and those after one of them.
    again = list(client.responses.retrieve(last.id, stream=True))
    assert [e.model_dump() for e in again] == [e.model_dump() for e in events]
    rest = list(client.responses.retrieve(last.id, stream=True, starting_after=5))
    whole_numbers(rest, first=6)
    assert [e.model_dump() for e in rest] == [e.model_dump() for e in events[6:]]
    with client.responses.stream(model="mock", input="/tokens 4") as helper:
        kinds = [event.type for event in helper]
        assert helper.get_final_response().output_text == "w1 w2 w3 w4", kinds


WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


def tools():
    asked = make('/tool weather {"city":"Dhaka"}', tools=[WEATHER])
    call = asked.output[0]
    assert call.type == "function_call" and call.name == "weather", asked
    assert json.loads(call.arguments) == {"city": "Dhaka"}
    told = [{"type": "function_call_output", "call_id": call.call_id, "output": "31 degrees"}]
    answer = client.responses.create(model="mock", input=told, tools=[WEATHER], previous_response_id=asked.id)
    assert "weather says: 31 degrees" in answer.output_text, answer
    # Or all of it in one request, as the SDK gave it.
    whole = [{"role": "user", "content": "weather?"}, *asked.output, *told]
    assert "31 degrees" in make(whole, tools=[WEATHER]).output_text
    events = list(make('/tool weather {"city":"Dhaka"}', tools=[WEATHER], stream=True))
    whole_numbers(events)
    done = [e for e in events if e.type == "response.function_call_arguments.done"]
    assert json.loads(done[0].arguments) == {"city": "Dhaka"} and done[0].name == "weather"
    assert make("/echo no", tools=[WEATHER], tool_choice="required").output[0].type == "function_call"


class Place(BaseModel):
    name: str
    people: int


def structured():
    parsed = client.responses.parse(model="mock", input='/echo {"name":"Dhaka","people":9}', text_format=Place)
    assert parsed.output_parsed == Place(name="Dhaka", people=9), parsed
    made = client.responses.parse(model="mock", input="Where?", text_format=Place)
    assert isinstance(made.output_parsed, Place)


def background():
    made = make("/delay 30 /tokens 20", background=True)
    assert made.status in ("queued", "in_progress"), made.status
    while made.status in ("queued", "in_progress"):
        time.sleep(0.1)
        made = client.responses.retrieve(made.id)
    assert made.status == "completed" and made.output_text.endswith("w20")
    # Streamed, left in the middle, and gone on with.
    seen = []
    for event in make("/delay 30 /tokens 30", background=True, stream=True):
        seen.append(event)
        if len(seen) == 10:
            break
    id = seen[0].response.id
    assert [event.type for event in seen[:2]] == ["response.created", "response.queued"]
    seen += client.responses.retrieve(id, stream=True, starting_after=seen[-1].sequence_number)
    whole_numbers(seen)
    whole = " ".join(f"w{n}" for n in range(1, 31))
    assert text_of(seen) == whole and seen[-1].response.output_text == whole
    # As OpenAI's example does it, with the helper that begins from the start.
    with client.responses.stream(response_id=id, starting_after=10) as helper:
        events = list(helper)
        assert helper.get_final_response().output_text == whole
        assert all(event.sequence_number > 10 for event in events)


def conversations():
    made = client.conversations.create(
        items=[{"role": "user", "content": "My name is Ana."}, {"role": "assistant", "content": "Hello Ana."}],
        metadata={"of": "test"},
    )
    assert made.id.startswith("conv_") and made.metadata == {"of": "test"}, made
    first = client.responses.create(model="mock", input="/echo one", conversation=made.id)
    assert first.conversation.id == made.id
    listed = list(client.conversations.items.list(made.id, order="asc"))
    # Who looks at the same moment sees the same: it is added once.
    with ThreadPoolExecutor(8) as pool:
        client.responses.create(model="mock", input="/echo two", conversation=made.id)
        seen = list(pool.map(lambda _: client.conversations.items.list(made.id).data, range(8)))
    assert all([item.id for item in page] == [item.id for item in seen[0]] for page in seen), seen
    assert len(seen[0]) == 6, seen[0]
    for item in seen[0][:2]:
        client.conversations.items.delete(item.id, conversation_id=made.id)
    said = [item.content[0].text for item in listed]
    assert said == ["My name is Ana.", "Hello Ana.", "/echo one", "one"], listed
    assert len({item.id for item in listed}) == 4
    # What was said goes to the model, in order: it has the call, and what it gave.
    tool = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}]
    called = client.responses.create(
        model="mock", input="/tool weather {}", conversation={"id": made.id}, tools=tool
    )
    call = called.output[0]
    told = [{"type": "function_call_output", "call_id": call.call_id, "output": "31 degrees"}]
    answer = client.responses.create(model="mock", input=told, conversation=made.id, tools=tool)
    assert "weather says: 31 degrees" in answer.output_text, answer
    # Pages, single items, deletions.
    page = client.conversations.items.list(made.id, limit=2)
    assert page.has_more and page.data[0].content[0].text == answer.output_text, page
    assert len(list(client.conversations.items.list(made.id, limit=3))) == 8
    one = client.conversations.items.retrieve(listed[1].id, conversation_id=made.id)
    assert one.content[0].text == "Hello Ana.", one
    client.conversations.items.delete(listed[1].id, conversation_id=made.id)
    fails(openai.NotFoundError, lambda: client.conversations.items.retrieve(listed[1].id, conversation_id=made.id))
    added = client.conversations.items.create(made.id, items=[{"role": "user", "content": "And now?"}])
    assert added.data[0].content[0].text == "And now?", added
    # One at a time; what was stopped stays as far as it came; a deleted response stays in the conversation.
    slow = client.responses.create(model="mock", input="/delay 20 /tokens 500", conversation=made.id, background=True)
    busy = fails(openai.ConflictError, lambda: client.responses.create(model="mock", input="x", conversation=made.id))
    assert busy.code == "session_busy", busy
    client.responses.cancel(slow.id)
    client.responses.delete(slow.id)
    last = client.conversations.items.list(made.id).data
    assert last[1].content[0].text == "/delay 20 /tokens 500", last
    # What failed leaves nothing.
    fails(openai.InternalServerError, lambda: client.responses.create(model="mock", input="/fail 503", conversation=made.id))
    assert client.conversations.items.list(made.id).data[0].id == last[0].id
    changed = client.conversations.update(made.id, metadata={"of": "another"})
    assert client.conversations.retrieve(made.id).metadata == changed.metadata == {"of": "another"}
    assert client.conversations.delete(made.id).deleted
    fails(openai.NotFoundError, lambda: client.conversations.retrieve(made.id))
    for wrong in (
        {"conversation": made.id},
        {"conversation": "conv_x"},
        {"conversation": client.conversations.create().id, "previous_response_id": first.id},
        {"conversation": client.conversations.create().id, "store": False},
    ):
        fails(openai.BadRequestError, lambda: client.responses.create(model="mock", input="x", **wrong))
    for items in ([{"type": "reasoning"}], [{"role": "user", "content": "x"}] * 21):
        fails(openai.BadRequestError, lambda: client.conversations.create(items=items))


def cancel():
    made = make("/delay 100 /tokens 600", background=True)
    stopped = client.responses.cancel(made.id)
    assert stopped.status == "cancelled", stopped
    assert client.responses.cancel(made.id).status == "cancelled", "twice is once"
    assert client.responses.retrieve(made.id).status == "cancelled"
    events = list(client.responses.retrieve(made.id, stream=True))
    assert events[-1].response.status == "cancelled", events[-1]
    running = make("/delay 100 /tokens 600", background=True)
    client.responses.delete(running.id)
    gone(running.id)


def errors():
    def raises(kind, status, code, param, **request):
        try:
            client.responses.create(**{"model": "auto", "input": "/echo x", **request})
        except kind as error:
            assert type(error) is kind and error.status_code == status, error
            assert (error.code, error.param) == (code, param), error.body
        else:
            raise AssertionError(f"{request} is taken")

    bad = openai.BadRequestError
    raises(bad, 400, "unknown_parameter", "colour", extra_body={"colour": 1})
    odd = [{"role": "user", "content": "x", "colour": 1}]
    raises(bad, 400, "unknown_parameter", "input[0].colour", input=odd)
    raises(bad, 400, "unsupported_value", "conversation", conversation="conv_1")
    raises(bad, 400, "unsupported_value", "background", background=True, store=False)
    raises(bad, 400, "unsupported_value", "tools[0]", tools=[{"type": "web_search"}])
    raises(bad, 400, "invalid_value", "truncation", truncation="never")
    raises(bad, 400, "previous_response_not_found", "previous_response_id", previous_response_id="resp_none")
    raises(openai.NotFoundError, 404, "model_not_found", "model", model="gpt-none")
    raises(openai.InternalServerError, 502, "provider_failed", None, input="/fail 500")
    failed = make("/fail 500", background=True)
    while failed.status in ("queued", "in_progress"):
        time.sleep(0.1)
        failed = client.responses.retrieve(failed.id)
    assert failed.status == "failed" and failed.error.code == "server_error", failed
    events = list(client.responses.retrieve(failed.id, stream=True))
    assert events[-1].type == "response.failed" and events[-1].response.error.message


def asynchronous():
    async def run():
        other = openai.AsyncOpenAI(max_retries=0)
        made = await other.responses.create(model="mock", input="/echo hello")
        assert made.output_text == "hello"

    asyncio.run(run())


def follow(id, first, last):
    """Reads a response's stream to its end, coming back after each break, and says what it saw."""
    patient = openai.OpenAI(max_retries=5, timeout=30)
    seen, after = [], None
    until = time.time() + float(last)
    while time.time() < until:
        try:
            more = {} if after is None else {"starting_after": after}
            for event in patient.responses.retrieve(id, stream=True, **more):
                seen.append(event)
                after = event.sequence_number
                if len(seen) == int(first):
                    print("seen", flush=True)
            if seen and seen[-1].type == "response.completed":
                break
        except (openai.APIError, Exception):
            time.sleep(0.1)
    whole_numbers(seen)
    assert seen[-1].type == "response.completed", seen[-1].type
    assert text_of(seen) == seen[-1].response.output_text
    print(json.dumps({"text": text_of(seen), "events": len(seen)}), flush=True)


if sys.argv[1] == "follow":
    follow(*sys.argv[2:])
else:
    for part in sys.argv[1:]:
        globals()[part]()
        print("ok", part)
