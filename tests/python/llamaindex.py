"""LlamaIndex's OpenAILike, unmodified, with the openai package that it asks for: OPENAI_BASE_URL and OPENAI_API_KEY say where. Its packages are
those of tests/llamaindex/requirements.txt: what it imports, and nothing of what else it would install (numbers in docs/openai.md)."""

import asyncio
import os

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

WEATHER = '/tool weather {"city":"Dhaka"}'

model = OpenAILike(
    model="mock",
    api_base=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    is_chat_model=True,
    is_function_calling_model=True,
    should_use_structured_outputs=True,
    max_retries=0,
)


class City(BaseModel):
    """A city."""

    name: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    return "31 degrees"


answer = model.chat([ChatMessage(role="system", content="Be kind."), ChatMessage(role="user", content="/system")])
assert answer.message.content == "Be kind.", answer
assert model.complete("/echo hello").text == "hello"

words = [chunk.delta for chunk in model.stream_chat([ChatMessage(role="user", content="/delay 10 /tokens 5")])]
assert "".join(words) == "w1 w2 w3 w4 w5" and len([word for word in words if word]) > 1, words

tool = FunctionTool.from_defaults(weather)
called = model.chat_with_tools([tool], user_msg=WEATHER)
(call,) = model.get_tool_calls_from_response(called)
assert (call.tool_name, call.tool_kwargs) == ("weather", {"city": "Dhaka"}), call
told = ChatMessage(role="tool", content=weather(**call.tool_kwargs), additional_kwargs={"tool_call_id": call.tool_id})
said = model.chat_with_tools([tool], chat_history=[ChatMessage(role="user", content=WEATHER), called.message, told])
assert "31 degrees" in said.message.content, said

city = model.as_structured_llm(City).complete("anything").raw
assert isinstance(city, City), city


async def later():
    said = await model.achat([ChatMessage(role="user", content="/echo later")])
    assert said.message.content == "later", said


asyncio.run(later())
print("ok llamaindex")
