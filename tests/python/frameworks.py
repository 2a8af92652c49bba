"""What programs do with frameworks over OpenAI's API, unmodified: OPENAI_BASE_URL and OPENAI_API_KEY say where. Each argument is
a part."""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

WEATHER = '/tool weather {"city":"Dhaka"}'


def agents():
    """OpenAI's Agents SDK: a tool, a handoff, a stream; by responses, and by chat completions."""
    import agents
    from agents import (
        Agent,
        OpenAIChatCompletionsModel,
        OpenAIConversationsSession,
        OpenAIResponsesModel,
        Runner,
        function_tool,
    )
    from openai import AsyncOpenAI

    agents.set_tracing_disabled(True)
    client = AsyncOpenAI(max_retries=0)
    asked = []

    @function_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "31 degrees"

    async def with_model(model):
        plain = Agent(name="plain", instructions="Be kind.", model=model)
        assert (await Runner.run(plain, "/system")).final_output.startswith("Be kind."), model
        with_tool = Agent(name="forecaster", instructions="Tell the weather.", tools=[weather], model=model)
        ran = await Runner.run(with_tool, WEATHER)
        assert "31 degrees" in ran.final_output, ran.final_output
        # What was said before goes along.
        again = await Runner.run(with_tool, [*ran.to_input_list(), {"role": "user", "content": "/echo and then"}])
        assert again.final_output == "and then", again.final_output
        desk = Agent(name="desk", handoffs=[with_tool], model=model)
        handed = await Runner.run(desk, "/tool transfer_to_forecaster {}")
        assert handed.last_agent.name == "forecaster", handed
        if isinstance(model, OpenAIResponsesModel):
            # Or the server knows what was said before.
            ran = await Runner.run(with_tool, "/echo more", previous_response_id=ran.last_response_id)
            assert ran.final_output == "more", ran.final_output
            session = OpenAIConversationsSession(openai_client=client)
            for text, said in ((WEATHER, "31 degrees"), ("/echo once more", "once more")):
                ran = await Runner.run(with_tool, text, session=session)
                assert said in ran.final_output, ran.final_output
            kept = await session.get_items()
            assert [item.get("type") for item in kept][1:3] == ["function_call", "function_call_output"], kept
            assert (await session.pop_item())["content"][0]["text"] == "once more"
            await session.clear_session()
        streamed = Runner.run_streamed(plain, "/delay 10 /tokens 5")
        words = [
            event.data.delta
            async for event in streamed.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        assert "".join(words) == "w1 w2 w3 w4 w5" and len(words) > 1, words
        assert streamed.final_output == "w1 w2 w3 w4 w5"

    async def both():
        await with_model(OpenAIResponsesModel(model="mock", openai_client=client))
        await with_model(OpenAIChatCompletionsModel(model="mock", openai_client=client))

    asyncio.run(both())
    assert asked == ["Dhaka"] * 3, asked


def langchain():
    """LangChain's ChatOpenAI and OpenAIEmbeddings: invoke, stream, tools, structured output; by both APIs."""
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings
    from pydantic import BaseModel

    @tool
    def weather(city: str) -> str:
        """The weather of a city."""
        return "31 degrees"

    class City(BaseModel):
        """A city."""

        name: str
        people: int

    for by_responses in (False, True):
        model = ChatOpenAI(model="mock", max_retries=0, use_responses_api=by_responses)
        answer = model.invoke([SystemMessage("Be kind."), HumanMessage("/system")])
        assert answer.text == "Be kind." and answer.usage_metadata["output_tokens"] >= 2, answer
        words = [chunk.text for chunk in model.stream("/delay 10 /tokens 5")]
        assert "".join(words) == "w1 w2 w3 w4 w5" and len([w for w in words if w]) > 1, words
        asks = HumanMessage(WEATHER)
        with_tools = model.bind_tools([weather])
        called = with_tools.invoke([asks])
        assert called.tool_calls[0]["args"] == {"city": "Dhaka"}, called
        told = ToolMessage(weather.invoke(called.tool_calls[0]["args"]), tool_call_id=called.tool_calls[0]["id"])
        assert "31 degrees" in with_tools.invoke([asks, called, told]).text
        for method in ("json_schema", "function_calling"):
            city = model.with_structured_output(City, method=method).invoke("anything")
            assert isinstance(city, City), (method, city)
    # It sends lists of tokens unless it is told not to: those are refused, with a reason.
    embeddings = OpenAIEmbeddings(model="auto", check_embedding_ctx_length=False)
    vectors = embeddings.embed_documents(["tea", "coffee"])
    assert len(vectors) == 2 and vectors[0] == embeddings.embed_query("tea")


def llm():
    """The command line `llm`: a model that its configuration names, plain, streamed, with a tool."""
    with tempfile.TemporaryDirectory() as folder:
        base = os.environ["OPENAI_BASE_URL"]
        said = f"- model_id: rapport\n  model_name: mock\n  api_base: {base}\n  api_key_name: rapport\n  supports_tools: true\n"
        Path(folder, "extra-openai-models.yaml").write_text(said)
        command = Path(sys.executable).parent / "llm"

        def run(*arguments):
            known = {**os.environ, "LLM_USER_PATH": folder}
            ran = subprocess.run(
                [command, "-m", "rapport", "--key", os.environ["OPENAI_API_KEY"], *arguments],
                env=known, capture_output=True, text=True, timeout=60,
            )
            assert ran.returncode == 0, ran.stderr
            return ran.stdout.strip()

        assert run("/system", "-s", "Be kind.", "--no-stream") == "Be kind."
        assert run("-c", "/tokens 3") == "w1 w2 w3"
        assert "utc_time" in run("-T", "llm_time", "/tool llm_time {}")


for name in sys.argv[1:]:
    globals()[name]()
    print("ok", name)
