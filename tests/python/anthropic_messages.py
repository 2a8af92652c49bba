"""What programs do with Anthropic's SDK, unmodified. ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY say where."""

import sys

import anthropic

client = anthropic.Anthropic(max_retries=0, timeout=60, _strict_response_validation=True)


def ask(text, **more):
    request = {"model": "auto", "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **more}
    return client.messages.create(**request)


def plain():
    answer = ask("/echo hello world")
    assert answer.content[0].text == "hello world" and answer.stop_reason == "end_turn", answer
    assert answer.type == "message" and answer.role == "assistant" and answer.id.startswith("msg_")
    assert answer.usage.output_tokens == 2 and answer.usage.input_tokens > 0
    assert ask("/system", system="Be kind.").content[0].text == "Be kind."
    blocks = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    assert ask("/system", system=blocks).content[0].text == "Be kind."
    assert ask("/tokens 9", max_tokens=3).stop_reason == "max_tokens"
    assert ask("/echo one two three", stop_sequences=[" three"]).content[0].text == "one two"
    # Its newest client has no names for these two any more.
    more = {"temperature": 0.3, "top_p": 0.5}
    assert ask("/echo x", metadata={"user_id": "u"}, extra_body=more).content[0].text == "x"
    talk = client.messages.create(
        model="mock",
        max_tokens=100,
        messages=[
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": [{"type": "text", "text": "three?"}]},
        ],
    )
    assert "(message 2 of this conversation)" in talk.content[0].text, talk
    counted = client.messages.count_tokens(model="auto", messages=[{"role": "user", "content": "hello there"}])
    assert counted.input_tokens > 0


def stream():
    kinds, text = [], ""
    with client.messages.create(
        model="mock", max_tokens=100, stream=True, messages=[{"role": "user", "content": "/delay 20 /tokens 4"}]
    ) as events:
        for event in events:
            kinds.append(event.type)
            if event.type == "content_block_delta":
                text += event.delta.text
            if event.type == "message_delta":
                assert event.delta.stop_reason == "end_turn" and event.usage.output_tokens == 4, event
    assert text == "w1 w2 w3 w4", text
    assert kinds[:2] == ["message_start", "content_block_start"], kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds
    with client.messages.stream(
        model="mock", max_tokens=100, messages=[{"role": "user", "content": "/tokens 3"}]
    ) as helper:
        assert "".join(helper.text_stream) == "w1 w2 w3"
        assert helper.get_final_message().content[0].text == "w1 w2 w3"


WEATHER = {
    "name": "weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def tools():
    text = '/tool weather {"city":"Dhaka"}'
    asked = ask(text, tools=[WEATHER])
    assert asked.stop_reason == "tool_use", asked
    call = asked.content[-1]
    assert call.type == "tool_use" and call.name == "weather" and call.input == {"city": "Dhaka"}
    told = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "31 degrees"}]}
    answer = client.messages.create(
        model="mock",
        max_tokens=100,
        tools=[WEATHER],
        messages=[
            {"role": "user", "content": text},
            {"role": "assistant", "content": asked.content},
            {"role": "user", "content": [told]},
        ],
    )
    assert "weather says: 31 degrees" in answer.content[0].text, answer
    with client.messages.stream(
        model="mock", max_tokens=100, tools=[WEATHER], messages=[{"role": "user", "content": text}]
    ) as helper:
        final = helper.get_final_message()
    assert final.content[-1].input == {"city": "Dhaka"} and final.stop_reason == "tool_use", final
    forced = ask("/echo no", tools=[WEATHER], tool_choice={"type": "tool", "name": "weather"})
    assert forced.content[0].type == "tool_use"
    none = ask(text, tools=[WEATHER], tool_choice={"type": "none"})
    assert none.stop_reason == "end_turn"


def errors():
    def raises(kind, status, type_of, **request):
        try:
            ask("/echo x", **request)
        except kind as error:
            assert type(error) is kind and error.status_code == status, error
            assert error.body["type"] == "error" and error.body["error"]["type"] == type_of, error.body
            assert error.request_id
        else:
            raise AssertionError(f"{request} is taken")

    user = lambda content: [{"role": "user", "content": content}]
    bad = anthropic.BadRequestError
    raises(bad, 400, "invalid_request_error", extra_body={"colour": 1})
    raises(bad, 400, "invalid_request_error", extra_body={"top_k": 3})
    raises(bad, 400, "invalid_request_error", messages=user([{"type": "text", "text": "x", "colour": 1}]))
    raises(bad, 400, "invalid_request_error", thinking={"type": "enabled", "budget_tokens": 2000})
    raises(bad, 400, "invalid_request_error", tools=[{"type": "web_search_20250305", "name": "web_search"}])
    raises(bad, 400, "invalid_request_error", extra_body={"temperature": 2})
    raises(anthropic.NotFoundError, 404, "not_found_error", model="claude-none")
    raises(anthropic.RateLimitError, 429, "rate_limit_error", messages=user("/fail 429"))
    raises(anthropic.InternalServerError, 502, "api_error", messages=user("/fail 500"))
    raises(anthropic.InternalServerError, 502, "api_error", messages=user("/fail 500"), stream=True)
    try:
        anthropic.Anthropic(api_key="wrong", max_retries=0).messages.create(
            model="auto", max_tokens=1, messages=user("x")
        )
    except anthropic.AuthenticationError as error:
        assert error.body["error"]["type"] == "authentication_error", error.body
    else:
        raise AssertionError("a wrong key is good")


for part in sys.argv[1:]:
    globals()[part]()
    print("ok", part)
