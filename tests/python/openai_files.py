"""What programs do with openai-python's files, vector stores and file search, unmodified. OPENAI_BASE_URL and OPENAI_API_KEY say where."""

import base64
import sys

import openai
from refusals import fails

client = openai.OpenAI(max_retries=0, timeout=60, _strict_response_validation=True)
stores_of = client.vector_stores

PUMP = b"The quince pump starts at 40 degrees. It stops when the tank is full.\n"
ROOF = b"The roof of the shed is green. It was painted by Ann in May.\n"
CELLAR = b"The cellar has three rooms. The boiler stands in the second one.\n"
# One pixel: it has no text.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SAYS = "/echo The quince pump stops once the tank is full [1]."


def refused(param, code, call):
    error = fails(openai.BadRequestError, call)
    assert (error.param, error.code) == (param, code), error.body


def whole_numbers(events, first=0):
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(first, first + len(numbers))), numbers


def sent(name, content, purpose="assistants"):
    made = client.files.create(file=(name, content), purpose=purpose)
    done = client.files.wait_for_processing(made.id, poll_interval=0.1)
    assert done.status == "processed", done
    return made


def house():
    """A store with three files, each with attributes."""
    store = stores_of.create(name="House")
    ids = {}
    for name, content, attributes in (
        ("pump.txt", PUMP, {"part": "pump", "year": 2020, "draft": False}),
        ("roof.txt", ROOF, {"part": "roof", "year": 2024, "draft": True}),
        ("cellar.txt", CELLAR, {"part": "cellar"}),
    ):
        file = stores_of.files.upload_and_poll(
            vector_store_id=store.id, file=(name, content), attributes=attributes, poll_interval_ms=100
        )
        assert file.status == "completed" and file.last_error is None, file
        assert file.attributes == attributes and file.vector_store_id == store.id, file
        ids[name] = file.id
    return store, ids


def files():
    pump = sent("pump.txt", PUMP)
    assert (pump.object, pump.filename, pump.bytes, pump.purpose) == ("file", "pump.txt", len(PUMP), "assistants"), pump
    assert pump.expires_at is None
    assert client.files.content(pump.id).read() == PUMP
    roof = sent("roof.txt", ROOF, "user_data")
    assert [file.id for file in client.files.list()] == [roof.id, pump.id]
    assert [file.id for file in client.files.list(order="asc", limit=1)] == [pump.id, roof.id], "page after page"
    assert client.files.list(limit=1).has_more and not client.files.list(limit=2).has_more
    assert [file.id for file in client.files.list(purpose="user_data")] == [roof.id]
    assert [file.id for file in client.files.list(after=roof.id)] == [pump.id]
    assert client.files.list(purpose="vision").data == []
    # The same content is the same file, for what was said last.
    again = client.files.create(file=("again.txt", PUMP), purpose="user_data")
    assert (again.id, again.filename, again.purpose) == (pump.id, "pump.txt", "user_data"), again
    assert len(client.files.list(purpose="user_data").data) == 2
    gone = client.files.delete(pump.id)
    assert gone.deleted and gone.id == pump.id and gone.object == "file"
    for call in (client.files.retrieve, client.files.content, client.files.delete):
        fails(openai.NotFoundError, lambda: call(pump.id))
    client.files.delete(roof.id)
    refused("purpose", "unsupported_value", lambda: client.files.create(file=("a.txt", PUMP), purpose="batch"))
    expiry = {"anchor": "created_at", "seconds": 3600}
    refused(
        "expires_after",
        "unsupported_value",
        lambda: client.files.create(file=("a.txt", PUMP), purpose="user_data", expires_after=expiry),
    )
    refused("limit", "invalid_value", lambda: client.files.list(limit=0))
    refused("after", "unsupported_value", lambda: client.files.list(after="x"))
    assert client.files.list().data == [], "what was refused is not kept"


def stores():
    store = stores_of.create(name="House", metadata={"of": "test"})
    assert (store.object, store.name, store.status, store.metadata) == ("vector_store", "House", "completed", {"of": "test"})
    assert store.file_counts.total == 0 and store.usage_bytes == 0 and store.expires_at is None
    pump = stores_of.files.upload_and_poll(
        vector_store_id=store.id, file=("pump.txt", PUMP), attributes={"part": "pump"}, poll_interval_ms=100
    )
    assert pump.status == "completed" and pump.usage_bytes == len(PUMP), pump
    text = stores_of.files.content(pump.id, vector_store_id=store.id)
    assert "It stops when the tank is full." in "".join(part.text for part in text), text
    changed = stores_of.files.update(pump.id, vector_store_id=store.id, attributes={"year": 1999})
    assert changed.attributes == {"year": 1999}, changed
    assert stores_of.files.retrieve(pump.id, vector_store_id=store.id).attributes == {"year": 1999}
    # A picture has no text, and it is said so.
    pixel = stores_of.files.upload_and_poll(vector_store_id=store.id, file=("pixel.png", PIXEL), poll_interval_ms=100)
    assert pixel.status == "failed" and pixel.last_error.code == "unsupported_file", pixel
    looked = stores_of.retrieve(store.id)
    assert (looked.file_counts.completed, looked.file_counts.failed, looked.file_counts.total) == (1, 1, 2), looked
    assert looked.usage_bytes == len(PUMP) + len(PIXEL) and looked.status == "completed"
    listed = lambda **more: [file.id for file in stores_of.files.list(store.id, **more)]
    assert listed() == [pixel.id, pump.id] and listed(order="asc", limit=1) == [pump.id, pixel.id]
    assert listed(filter="completed") == [pump.id] and listed(filter="failed") == [pixel.id]
    assert listed(filter="in_progress") == [] and listed(filter="cancelled") == []
    # Taken out of a store, a file is there still; and deleted, it is in no store.
    assert stores_of.files.delete(pixel.id, vector_store_id=store.id).deleted
    assert client.files.retrieve(pixel.id).id == pixel.id and listed() == [pump.id]
    fails(openai.NotFoundError, lambda: stores_of.files.retrieve(pixel.id, vector_store_id=store.id))
    other = stores_of.create(file_ids=[pump.id])
    assert other.file_counts.completed == 1 and other.name == "", other
    assert [one.id for one in stores_of.list()] == [other.id, store.id]
    assert [one.id for one in stores_of.list(order="asc", limit=1)] == [store.id, other.id]
    client.files.delete(pump.id)
    assert stores_of.retrieve(other.id).file_counts.total == 0 and listed() == []
    renamed = stores_of.update(store.id, name="Shed", metadata={"of": "another"})
    assert (renamed.name, renamed.metadata) == ("Shed", {"of": "another"})
    assert stores_of.update(store.id, name="Barn").metadata == {"of": "another"}
    for one in (store, other):
        assert stores_of.delete(one.id).deleted
        fails(openai.NotFoundError, lambda: stores_of.retrieve(one.id))
    client.files.delete(pixel.id)


def batches():
    store = stores_of.create()
    batch = stores_of.file_batches.upload_and_poll(
        store.id, files=[("pump.txt", PUMP), ("roof.txt", ROOF)], poll_interval_ms=100
    )
    assert batch.status == "completed" and batch.object == "vector_store.files_batch", batch
    assert (batch.file_counts.completed, batch.file_counts.total) == (2, 2), batch
    found = stores_of.file_batches.list_files(batch.id, vector_store_id=store.id, filter="completed", limit=1)
    ids = [file.id for file in found]
    assert len(ids) == 2, "page after page"
    # The same files again, each with attributes, are another batch; the first one is what it was.
    each = [{"file_id": id, "attributes": {"n": n}} for n, id in enumerate(ids)]
    again = stores_of.file_batches.create_and_poll(store.id, files=each, poll_interval_ms=100)
    assert again.status == "completed" and again.file_counts.total == 2 and again.id != batch.id
    assert stores_of.files.retrieve(ids[1], vector_store_id=store.id).attributes == {"n": 1}
    assert stores_of.file_batches.retrieve(batch.id, vector_store_id=store.id).file_counts.completed == 2
    assert stores_of.file_batches.cancel(batch.id, vector_store_id=store.id).status == "completed", "it was over"
    stores_of.files.delete(ids[0], vector_store_id=store.id)
    less = stores_of.file_batches.retrieve(batch.id, vector_store_id=store.id)
    assert (less.file_counts.completed, less.file_counts.cancelled) == (1, 1), less
    create = lambda **body: stores_of.file_batches.create(store.id, **body)
    refused("file_ids", "invalid_value", lambda: create(file_ids=[]))
    refused("files", "invalid_value", lambda: create(file_ids=ids, files=each))
    refused("file_ids", "invalid_value", lambda: create(file_ids=[ids[0], ids[0]]))
    refused("file_ids", "unsupported_value", lambda: create(file_ids=["file-x"]))
    refused("attributes", "invalid_value", lambda: create(file_ids=ids, attributes={"a": "x" * 600}))
    fails(openai.NotFoundError, lambda: stores_of.file_batches.retrieve("vsfb_x", vector_store_id=store.id))
    tidy(store, ids)


def tidy(store, ids):
    stores_of.delete(store.id)
    for id in ids:
        client.files.delete(id)


def search():
    store, ids = house()
    find = lambda query, **more: list(stores_of.search(store.id, query=query, **more))
    best = find("When does the quince pump stop?")[0]
    assert (best.file_id, best.filename) == (ids["pump.txt"], "pump.txt"), best
    assert "tank is full" in best.content[0].text and 0 < best.score <= 1 and best.attributes["part"] == "pump"
    both = {hit.filename for hit in find(["quince pump", "roof of the shed"])}
    assert {"pump.txt", "roof.txt"} <= both, both
    assert len(find(["quince pump", "roof of the shed"], max_num_results=1)) == 1
    names = lambda filters: {hit.filename for hit in find(["quince pump", "roof of the shed"], filters=filters)}
    part = lambda how, value: {"type": how, "key": "part", "value": value}
    year = lambda how, value: {"type": how, "key": "year", "value": value}
    assert names(part("eq", "roof")) == {"roof.txt"}
    assert "roof.txt" not in names(part("ne", "roof")) and "pump.txt" in names(part("ne", "roof"))
    assert names(part("in", ["pump", "door"])) == {"pump.txt"}
    assert names(year("gte", 2021)) == {"roof.txt"} and names(year("lt", 2021)) == {"pump.txt"}
    assert names({"type": "and", "filters": [year("gt", 2000), {"type": "eq", "key": "draft", "value": False}]}) == {"pump.txt"}
    assert names({"type": "or", "filters": [part("eq", "pump"), part("eq", "roof")]}) == {"pump.txt", "roof.txt"}
    assert names(year("gt", 2030)) == set()
    every = find("the quince pump that stops, the shed")
    assert len(every) > 1 and every[-1].score < every[0].score, every
    few = find("the quince pump that stops, the shed", ranking_options={"score_threshold": every[0].score})
    assert [hit.file_id for hit in few] == [every[0].file_id], few
    assert find("zebra xylophone") == []
    refused("filters.type", "invalid_value", lambda: find("x", filters={"type": "like", "key": "a", "value": "b"}))
    refused("max_num_results", "invalid_value", lambda: find("x", max_num_results=51))
    refused("rewrite_query", "unsupported_value", lambda: find("x", rewrite_query=True))
    refused("ranking_options.ranker", "unsupported_value", lambda: find("x", ranking_options={"ranker": "default-2024-11-15"}))
    refused("query", "invalid_value", lambda: find(" "))
    refused("query", "invalid_value", lambda: find([]))
    tidy(store, ids.values())


def ask(store, text=SAYS, **more):
    tool = {"type": "file_search", "vector_store_ids": [store.id], **more.pop("tool", {})}
    return client.responses.create(model="mock", input=text, tools=[tool], **more)


INCLUDED = {"include": ["file_search_call.results"]}


def cited():
    store, ids = house()
    made = ask(store, **INCLUDED)
    call, message = made.output
    assert (call.type, call.status, call.queries) == ("file_search_call", "completed", [SAYS]), call
    best = call.results[0]
    assert best.file_id == ids["pump.txt"] and "tank is full" in best.text and best.attributes["part"] == "pump", best
    part = message.content[0]
    note = part.annotations[0]
    assert (note.type, note.file_id, note.filename) == ("file_citation", ids["pump.txt"], "pump.txt"), part
    assert part.text[note.index :].startswith("[1]") and len(part.annotations) == 1, part
    assert made.tools[0].vector_store_ids == [store.id]
    kept = client.responses.retrieve(made.id)
    assert kept.output == made.output, "it stays what it was"
    # Nobody who did not ask is shown what was found; and the model has it all the same.
    silent = ask(store, "When does the quince pump stop?")
    assert silent.output[0].results is None
    assert "The quince pump starts at 40 degrees." in silent.output_text and silent.output[1].content[0].annotations
    shown = ask(store, "/system When does the quince pump stop?", instructions="Be kind.")
    assert "Be kind." in shown.output_text and "40 degrees" in shown.output_text, shown.output_text
    # What a filter keeps out is not in the prompt, and nothing is made up.
    roof = {"filters": {"type": "eq", "key": "part", "value": "roof"}}
    kept_out = ask(store, tool=roof, **INCLUDED)
    assert all(one.file_id == ids["roof.txt"] for one in kept_out.output[0].results), kept_out
    none = ask(store, tool={"filters": {"type": "eq", "key": "part", "value": "door"}}, **INCLUDED)
    assert none.output[0].results == [] and none.output[1].content[0].annotations == []
    one = ask(store, "/system the quince pump, the roof of the shed", tool={"max_num_results": 1}, **INCLUDED)
    assert len(one.output[0].results) == 1
    assert ask(store, tool_choice="none").output[0].type == "message"
    assert ask(store, tool_choice={"type": "file_search"}).output[0].type == "file_search_call"
    # Going on: with what was said before, by its id or as the SDK gave it.
    later = ask(store, previous_response_id=made.id)
    assert [item.type for item in later.output] == ["file_search_call", "message"]
    whole = client.responses.create(
        model="mock", input=[{"role": "user", "content": "x"}, *made.output, {"role": "user", "content": "/echo y"}]
    )
    assert whole.output_text == "y"
    talk = client.conversations.create()
    ask(store, conversation=talk.id)
    said = client.conversations.items.list(talk.id, order="asc").data
    assert [item.type for item in said] == ["message", "file_search_call", "message"], said
    ask(store, conversation=talk.id)
    # And beside functions of one's own.
    weather = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
    tool = {"type": "file_search", "vector_store_ids": [store.id]}
    called = client.responses.create(model="mock", input="/tool weather {}", tools=[weather, tool])
    assert [item.type for item in called.output] == ["file_search_call", "function_call"], called
    tidy(store, ids.values())


def kinds_of(events):
    kinds = [event.type.removeprefix("response.") for event in events]
    return [kind for at, kind in enumerate(kinds) if kind != "output_text.delta" or kinds[at - 1] != kind]


SEARCHED = [
    "output_item.added",
    "file_search_call.in_progress",
    "file_search_call.searching",
    "file_search_call.completed",
    "output_item.done",
]
SAID = [
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.annotation.added",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "completed",
]


def streamed():
    store, ids = house()
    events = list(ask(store, stream=True, **INCLUDED))
    whole_numbers(events)
    assert kinds_of(events) == ["created", "in_progress", *SEARCHED, *SAID], kinds_of(events)
    assert [event.output_index for event in events if event.type == "response.output_item.done"] == [0, 1]
    note = next(event for event in events if event.type == "response.output_text.annotation.added")
    last = events[-1].response
    assert note.annotation.model_dump() == last.output[1].content[0].annotations[0].model_dump(), note
    assert note.annotation.file_id == ids["pump.txt"] and note.annotation_index == 0, note
    done = [event.item for event in events if event.type == "response.output_item.done"]
    # What was found is in the response at the end: not every reader of the events has it before.
    assert done[0].results is None and last.output[0].results[0].filename == "pump.txt", done
    assert done[1:] == last.output[1:] and done[0].queries == last.output[0].queries, done
    assert {event.item_id for event in events if "file_search_call." in event.type} == {last.output[0].id}
    # The same events again, from the beginning and after any of them.
    again = list(client.responses.retrieve(last.id, stream=True))
    assert [event.model_dump() for event in again] == [event.model_dump() for event in events]
    for after in (0, 2, 4, 6, len(events) - 3):
        rest = list(client.responses.retrieve(last.id, stream=True, starting_after=after))
        assert [event.model_dump() for event in rest] == [event.model_dump() for event in events[after + 1 :]], after
    tool = {"type": "file_search", "vector_store_ids": [store.id]}
    with client.responses.stream(model="mock", input=SAYS, tools=[tool]) as helper:
        list(helper)
        final = helper.get_final_response()
        assert final.output[0].type == "file_search_call" and final.output[1].content[0].annotations, final
    # Left in the middle of the background, and gone on with.
    seen = []
    for event in ask(store, "/delay 30 " + SAYS, background=True, stream=True):
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    id = seen[0].response.id
    seen += client.responses.retrieve(id, stream=True, starting_after=seen[-1].sequence_number)
    whole_numbers(seen)
    assert kinds_of(seen) == ["created", "queued", "in_progress", *SEARCHED, *SAID], kinds_of(seen)
    tidy(store, ids.values())


def errors():
    store = stores_of.create()
    field = "tools[0]"
    bad = lambda **tool: lambda: ask(store, tool=tool)
    refused(f"{field}.vector_store_ids", "invalid_value", bad(vector_store_ids=[]))
    refused(f"{field}.vector_store_ids", "unsupported_value", bad(vector_store_ids=["vs_x"]))
    refused(f"{field}.max_num_results", "invalid_value", bad(max_num_results=0))
    refused(f"{field}.max_num_results", "invalid_value", bad(max_num_results="3"))
    refused(f"{field}.filters.key", "missing_required_parameter", bad(filters={"type": "eq", "value": 1}))
    refused(f"{field}.ranking_options.score_threshold", "invalid_value", bad(ranking_options={"score_threshold": 2}))
    hybrid = {"hybrid_search": {"embedding_weight": 1, "text_weight": 1}}
    refused(f"{field}.ranking_options.hybrid_search", "unknown_parameter", bad(ranking_options=hybrid))
    refused(f"{field}.colour", "unknown_parameter", bad(colour=1))
    tool = {"type": "file_search", "vector_store_ids": [store.id]}
    twice = lambda: client.responses.create(model="mock", input="x", tools=[tool, tool])
    refused("tools[1]", "invalid_value", twice)
    refused("include", "unsupported_value", lambda: ask(store, include=["message.output_text.logprobs"]))
    stores_of.delete(store.id)
    refused("tools.vector_store_ids", "unsupported_value", lambda: ask(store))
    expiry = {"anchor": "last_active_at", "days": 1}
    refused("expires_after", "unsupported_value", lambda: stores_of.create(expires_after=expiry))
    static = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
    refused("chunking_strategy", "unsupported_value", lambda: stores_of.create(chunking_strategy=static))
    refused("description", "unsupported_value", lambda: stores_of.create(description="x"))
    refused("colour", "unknown_parameter", lambda: stores_of.create(extra_body={"colour": 1}))
    refused("file_ids", "unsupported_value", lambda: stores_of.create(file_ids=["file-x"]))
    assert stores_of.create(chunking_strategy={"type": "auto"}).id
    refused("order", "invalid_value", lambda: stores_of.list(order="up"))
    refused("before", "unsupported_value", lambda: stores_of.list(before=store.id))


for part in sys.argv[1:]:
    globals()[part]()
    print("ok", part)
