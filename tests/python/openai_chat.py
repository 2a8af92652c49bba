"""What programs do with openai-python, unmodified: OPENAI_BASE_URL and OPENAI_API_KEY say where. Each argument is a part."""

import json
import sys

import openai
from pydantic import BaseModel

# Strict: every answer must have all that OpenAI's own have.
client = openai.OpenAI(max_retries=0, timeout=60, _strict_response_validation=True)


def said(text, **more):
    return client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": text}], **more
    )


def chat():
    answer = said("/echo hello world")
    assert answer.choices[0].message.content == "hello world", answer
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")
    assert answer.usage.completion_tokens == 2 and answer.usage.total_tokens > 2
    assert answer.model == "mock/mock-1", answer.model
    # The whole conversation is the request's.
    answer = client.chat.completions.create(
        model="mock/mock-1",
        messages=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": [{"type": "text", "text": "/system"}]},
        ],
    )
    assert answer.choices[0].message.content == "Be kind.", answer
    assert said("/tokens 9", max_completion_tokens=3).choices[0].finish_reason == "length"
    assert said("/echo one two three", stop=[" three", "four"]).choices[0].message.content == "one two"
    several = said("/echo x", n=3)
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    assert all(choice.message.content == "x" for choice in several.choices)
    assert several.usage.completion_tokens == 3
    assert said("/echo x", seed=7, top_p=0.5, user="u", temperature=0.1).choices[0].message.content == "x"


def stream():
    with client.chat.completions.with_streaming_response.create(
        model="mock", messages=[{"role": "user", "content": "/tokens 3"}], stream=True
    ) as raw:
        lines = [line for line in raw.iter_lines() if line]
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert lines[-1] == "data: [DONE]", lines
    chunks = list(said("/delay 20 /tokens 5", stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "w1 w2 w3 w4 w5", text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 1, "word by word"
    assert len({c.id for c in chunks}) == 1
    last = chunks[-1]
    assert last.choices == [] and last.usage.completion_tokens == 5, last
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks[:-1])
    plain = list(said("/tokens 1", stream=True))
    assert all(c.usage is None and c.choices for c in plain), plain
    both = list(said("/delay 5 /tokens 4", stream=True, n=2))
    for index in (0, 1):
        mine = [c.choices[0] for c in both if c.choices[0].index == index]
        assert "".join(c.delta.content or "" for c in mine) == "w1 w2 w3 w4"
        assert [c.finish_reason for c in mine if c.finish_reason] == ["stop"]
    # The SDK's own helper puts it together.
    with client.chat.completions.stream(model="mock", messages=[{"role": "user", "content": "/tokens 4"}]) as events:
        assert [e.type for e in events][-1] == "content.done"
        assert events.get_final_completion().choices[0].message.content == "w1 w2 w3 w4"


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def tools():
    ask = [{"role": "user", "content": '/tool weather {"city":"Dhaka"} /echo done'}]
    answer = client.chat.completions.create(model="mock", messages=ask, tools=[WEATHER])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None, choice
    call = choice.message.tool_calls[0]
    assert call.function.name == "weather" and json.loads(call.function.arguments) == {"city": "Dhaka"}
    # As the SDK gives it, so it takes it back.
    told = {"role": "tool", "tool_call_id": call.id, "content": "31 degrees"}
    answer = client.chat.completions.create(
        model="mock", messages=[*ask, choice.message, told], tools=[WEATHER]
    )
    assert "weather says: 31 degrees" in answer.choices[0].message.content, answer
    chunks = list(client.chat.completions.create(model="mock", messages=ask, tools=[WEATHER], stream=True))
    deltas = [t for c in chunks for t in c.choices[0].delta.tool_calls or []]
    assert deltas[0].index == 0 and deltas[0].id == call.id and deltas[0].function.name == "weather"
    assert json.loads("".join(d.function.arguments for d in deltas)) == {"city": "Dhaka"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    forced = client.chat.completions.create(
        model="mock",
        messages=[{"role": "user", "content": "/echo no"}],
        tools=[WEATHER],
        tool_choice={"type": "function", "function": {"name": "weather"}},
    )
    assert forced.choices[0].message.tool_calls[0].function.name == "weather"
    none = client.chat.completions.create(model="mock", messages=ask, tools=[WEATHER], tool_choice="none")
    assert none.choices[0].finish_reason == "stop" and not none.choices[0].message.tool_calls


class Step(BaseModel):
    explanation: str
    output: str


class Reasoning(BaseModel):
    steps: list[Step]
    answer: int


def structured():
    parsed = client.chat.completions.parse(
        model="mock",
        messages=[{"role": "user", "content": "Solve 8x = 16"}],
        response_format=Reasoning,
    )
    found = parsed.choices[0].message.parsed
    assert isinstance(found, Reasoning) and found.steps, parsed
    said_so = client.chat.completions.parse(
        model="mock",
        messages=[{"role": "user", "content": '/echo {"steps":[],"answer":2}'}],
        response_format=Reasoning,
    )
    assert said_so.choices[0].message.parsed.answer == 2
    loose = said("hello there", response_format={"type": "json_object"})
    assert isinstance(json.loads(loose.choices[0].message.content), dict)
    tool = openai.pydantic_function_tool(Step)
    called = client.chat.completions.parse(
        model="mock",
        messages=[{"role": "user", "content": '/tool Step {"explanation":"a","output":"b"}'}],
        tools=[tool],
    )
    assert called.choices[0].message.tool_calls[0].function.parsed_arguments == Step(explanation="a", output="b")


def logprobs():
    """How likely each token was: of a plain answer, of each of several, and at the end of a stream."""

    def check(content, others):
        assert "".join(one.token for one in content) == "w1 w2 w3", content
        assert all(one.logprob < 0 and bytes(one.bytes).decode() == one.token for one in content), content
        assert [len(one.top_logprobs) for one in content] == [others] * 3, content

    plain = said("/tokens 3", logprobs=True)
    check(plain.choices[0].logprobs.content, 0)
    several = said("/tokens 3", logprobs=True, top_logprobs=2, n=2)
    for choice in several.choices:
        check(choice.logprobs.content, 2)
    assert said("/tokens 3").choices[0].logprobs is None
    content = []
    for chunk in said("/tokens 3 /delay 1", logprobs=True, top_logprobs=1, stream=True):
        content += (chunk.choices[0].logprobs and chunk.choices[0].logprobs.content) or []
    check(content, 1)


def raises(kind, status, code, param=None, **request):
    try:
        client.chat.completions.create(
            **{"model": "auto", "messages": [{"role": "user", "content": "/echo x"}], **request}
        )
    except kind as error:
        assert type(error) is kind, error
        assert error.status_code == status and error.code == code, (error.status_code, error.body)
        assert param is None or error.param == param, (error.param, error.body)
        assert error.message and error.type and error.request_id
        return error
    raise AssertionError(f"no {kind.__name__} for {request}")


def errors():
    user = lambda text: [{"role": "user", "content": text}]
    bad = openai.BadRequestError
    raises(bad, 400, "unknown_parameter", "temprature", extra_body={"temprature": 1})
    raises(bad, 400, "unknown_parameter", "messages.0.colour", messages=[{"role": "user", "content": "x", "colour": 1}])
    raises(bad, 400, "invalid_value", "temperature", temperature=3)
    raises(bad, 400, "invalid_value", "n", n=99)
    raises(bad, 400, "unsupported_value", "top_logprobs", top_logprobs=2)
    raises(bad, 400, "invalid_value", "top_logprobs", logprobs=True, top_logprobs=21)
    raises(bad, 400, "unsupported_value", "store", store=True)
    raises(bad, 400, "unsupported_value", "modalities", modalities=["text", "audio"])
    raises(bad, 400, "invalid_value", "messages", messages=[])
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    raises(bad, 400, "unsupported_value", "messages.content", messages=user([image]))
    raises(openai.NotFoundError, 404, "model_not_found", "model", model="gpt-none")
    raises(openai.NotFoundError, 404, "model_not_found", "model", model="groq/llama-3.3-70b-versatile")
    raises(openai.RateLimitError, 429, "provider_rate_limited", messages=user("/fail 429"))
    raises(openai.InternalServerError, 502, "provider_failed", messages=user("/fail 500"))
    raises(bad, 400, "provider_refused", messages=user("/fail 400"))
    try:
        openai.OpenAI(api_key="wrong", max_retries=0).models.list()
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error.body
    else:
        raise AssertionError("a wrong key is good")
    # What fails before the first word has its status also in a stream; what fails later is raised from it.
    raises(openai.InternalServerError, 502, "provider_failed", messages=user("/fail 503"), stream=True)
    try:
        client.get("/nowhere", cast_to=object)
    except openai.NotFoundError as error:
        assert error.body["type"] == "invalid_request_error", error.body


def embeddings():
    # The SDK asks for base64, and is strict about it before it has read it.
    loose = openai.OpenAI(max_retries=0)
    one = loose.embeddings.create(model="auto", input="hello there")
    assert one.object == "list" and len(one.data[0].embedding) == 384 and one.model == "local-1", one.model
    assert abs(sum(x * x for x in one.data[0].embedding) - 1) < 0.01 and one.usage.prompt_tokens > 0
    floats = client.embeddings.create(model="local-1", input=["hello there", "x"], encoding_format="float")
    assert [item.index for item in floats.data] == [0, 1]
    same = zip(one.data[0].embedding, floats.data[0].embedding)
    assert all(abs(a - b) < 1e-6 for a, b in same), "base64 and floats are the same"
    for request in ({"input": [[1, 2]]}, {"input": []}, {"input": "x" * 9_000}, {"input": "x", "dimensions": 5},
                    {"input": "x", "user": "u"}):
        try:
            client.embeddings.create(model="auto", **request)
        except openai.BadRequestError as error:
            assert error.param, error.body
        else:
            raise AssertionError(f"{request} is taken")
    try:
        client.embeddings.create(model="text-embedding-3-small", input="x")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error.body
    else:
        raise AssertionError("it has another's model")


def models():
    listed = [model.id for model in client.models.list()]
    assert listed == ["auto", "mock/mock-1"], listed
    one = client.models.retrieve("mock/mock-1")
    assert one.owned_by == "mock" and one.object == "model"
    try:
        client.models.retrieve("nothing")
    except openai.NotFoundError:
        pass




for part in sys.argv[1:]:
    globals()[part]()
    print("ok", part)
