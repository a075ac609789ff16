"""The clients of docs/guides/clients.md: what the test adds to the block that stands there."""

from __future__ import annotations

from typing import NamedTuple


class Client(NamedTuple):
    """A client. `stream` and `tool` are run after its block: guide_driver.py tells what they find and set."""

    heading: str
    """Of its section in the guide."""
    environment: str
    answer: str
    """An expression for the text of the answer."""
    unauthorized: str
    not_found: str
    busy: str
    """Of the error for 401, 404 and 429: package and class, or the status; nothing if it is not tried."""
    stream: str = ""
    tool: str = ""
    provider: str = "open_ai"
    behaviour: str = "good"
    """Of the model that answers: see tests/upstream."""
    streamed: bool = False
    """Whether what stands in the guide is streamed."""
    node: bool = False
    """Whether it is one of Node: `stream` and `tool` then export `streamed` and `called`."""
    quick: bool = False
    """Whether `make test` runs it."""


OPENAI_ERRORS = {
    "unauthorized": "openai.AuthenticationError",
    "not_found": "openai.NotFoundError",
    "busy": "openai.RateLimitError",
}
ANTHROPIC_ERRORS = {name: error.replace("openai", "anthropic") for name, error in OPENAI_ERRORS.items()}
LITELLM_ERRORS = {name: error.replace("openai", "litellm") for name, error in OPENAI_ERRORS.items()}
DSPY_ERRORS = {
    "unauthorized": "dspy.LMAuthError",
    "not_found": "dspy.LMUnsupportedModelError",
    "busy": "dspy.LMRateLimitError",
}
OPENAI_JS_ERRORS = {name: error.partition(".")[2] for name, error in OPENAI_ERRORS.items()}
STATUSES = {"unauthorized": "401", "not_found": "404", "busy": "429"}
AI_SNIPPETS = {
    "answer": "text",
    "stream": """
import { streamText } from "ai";

const stream = streamText({ model: afterword(good), prompt: "Good day" });
let streamedText = "";
for await (const delta of stream.textStream) streamedText += delta;
export const streamed = [(await stream.response).id, streamedText];
""",
    "tool": """
import { jsonSchema, tool } from "ai";

const inputSchema = jsonSchema({ type: "object", properties: { city: { type: "string" } } });
const calling = await generateText({
  model: afterword(tools), prompt: "Weather?", tools: { get_weather: tool({ inputSchema }) }
});
const [call] = calling.toolCalls;
export const called = [calling.response.id, call.toolName, call.input];
""",
}
LANGCHAIN_TOOL = """
from langchain_core.tools import tool

@tool
def get_weather(city: str) -> str:
    "Tell the weather of a city."
    return "Rain"

message = of_tools.bind_tools([get_weather]).invoke("Weather?")
call, completion_id = [message.tool_calls[0]["name"], message.tool_calls[0]["args"]], message.response_metadata["id"]
"""

CLIENTS = [
    Client(
        "openai",
        "openai",
        answer="response.choices[0].message.content",
        stream="""
with client.chat.completions.stream(model=good, messages=[{"role": "user", "content": "Good day"}]) as stream:
    text = "".join(event.delta for event in stream if event.type == "content.delta")
    completion_id = stream.get_final_completion().id
""",
        tool="""
from openai import pydantic_function_tool
from pydantic import BaseModel

class get_weather(BaseModel):
    city: str

messages = [{"role": "user", "content": "Weather?"}]
response = client.chat.completions.parse(model=tools, messages=messages, tools=[pydantic_function_tool(get_weather)])
function = response.choices[0].message.tool_calls[0].function
call, completion_id = [function.name, function.parsed_arguments.model_dump()], response.id
""",
        quick=True,
        **OPENAI_ERRORS,
    ),
    Client(
        "openai, Responses",
        "openai",
        answer="response.output_text",
        stream="""
with client.responses.stream(model=good, input="Good day") as stream:
    text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    completion_id = stream.get_final_response().id
""",
        tool="""
from openai import pydantic_function_tool
from pydantic import BaseModel

class get_weather(BaseModel):
    city: str

function = {"type": "function", **pydantic_function_tool(get_weather)["function"]}
response = client.responses.parse(model=tools, input="Weather?", tools=[function])
[item] = response.output
call, completion_id = [item.name, item.parsed_arguments], response.id
""",
        quick=True,
        **OPENAI_ERRORS,
    ),
    Client(
        "anthropic",
        "anthropic",
        provider="anthropic",
        answer="message.content[0].text",
        stream="""
with client.messages.stream(**call) as stream:
    text, completion_id = "".join(stream.text_stream), stream.get_final_message().id
""",
        tool="""
schema = {"type": "object", "properties": {"city": {"type": "string"}}}
message = client.messages.create(**{**call, "model": tools}, tools=[{"name": "get_weather", "input_schema": schema}])
block = next(block for block in message.content if block.type == "tool_use")
call, completion_id = [block.name, block.input], message.id
""",
        quick=True,
        **ANTHROPIC_ERRORS,
    ),
    Client(
        "google-genai",
        "google-genai",
        provider="google",
        answer="response.text",
        stream="""
chunks = list(client.models.generate_content_stream(model=good, contents="Good day"))
text, completion_id = "".join(chunk.text or "" for chunk in chunks), chunks[0].response_id
""",
        tool="""
schema = {"type": "object", "properties": {"city": {"type": "string"}}}
functions = [{"name": "get_weather", "parameters_json_schema": schema}]
config = {"tools": [{"function_declarations": functions}]}
response = client.models.generate_content(model=tools, contents="Weather?", config=config)
[function_call] = response.function_calls
call, completion_id = [function_call.name, function_call.args], response.response_id
""",
        **STATUSES,
    ),
    Client(
        "openai-agents",
        "agents",
        answer="result.final_output",
        stream="""
import asyncio

async def run():
    server = AsyncOpenAI(base_url=f"{url}/api/v1", api_key=key)
    set_default_openai_client(server, use_for_tracing=False)
    result = Runner.run_streamed(Agent(name="Guide", model=good.replace("/", ":")), "Good day")
    deltas = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
    text = "".join(event.delta for event in deltas if event.type == "response.output_text.delta")
    return text, result.last_response_id

text, completion_id = asyncio.run(run())
""",
        tool="""
from agents import function_tool

calls = []

@function_tool
def get_weather(city: str) -> str:
    calls.append(city)
    return "Rain"

set_default_openai_client(AsyncOpenAI(base_url=f"{url}/api/v1", api_key=key), use_for_tracing=False)
result = Runner.run_sync(Agent(name="Guide", model=tools.replace("/", ":"), tools=[get_weather]), "Weather?")
call, completion_id = ["get_weather", {"city": calls[0]}], result.raw_responses[0].response_id
""",
        **OPENAI_ERRORS,
    ),
    Client(
        "langchain-openai",
        "langchain",
        answer="message.content",
        stream="""
chunks = list(model.stream("Good day"))
text, completion_id = "".join(chunk.text for chunk in chunks), chunks[0].id
""",
        tool='of_tools = ChatOpenAI(model=tools, base_url=f"{url}/api/v1", api_key=key)\n' + LANGCHAIN_TOOL,
        **OPENAI_ERRORS,
    ),
    Client(
        "langchain-openai, reasoning",
        "langchain",
        behaviour="reasoning",
        answer="message.text",
        stream="""
chunks = list(model.stream("Good day"))
text, completion_id = "".join(chunk.text for chunk in chunks), chunks[0].id
""",
        tool='of_tools = ChatOpenAI(model=tools, reasoning={"effort": "low"}, **server)\n' + LANGCHAIN_TOOL,
        **OPENAI_ERRORS,
    ),
    Client(
        "langchain-anthropic",
        "anthropic",
        provider="anthropic",
        answer="message.content",
        stream="""
text = "".join(chunk.text for chunk in chunks)
""",
        tool="of_tools = ChatAnthropic(model=tools, base_url=url, api_key=key)\n" + LANGCHAIN_TOOL,
        **ANTHROPIC_ERRORS,
    ),
    Client(
        "pydantic-ai",
        "pydantic-ai",
        answer="result.output",
        stream="""
import asyncio

async def run():
    agent = Agent(OpenAIChatModel(good, provider=OpenAIProvider(base_url=f"{url}/api/v1", api_key=key)))
    async with agent.run_stream("Good day") as result:
        return await result.get_output(), result.response.provider_response_id

text, completion_id = asyncio.run(run())
""",
        tool="""
from pydantic_ai import DeferredToolRequests
from pydantic_ai.toolsets import ExternalToolset
from pydantic_ai.tools import ToolDefinition

schema = {"type": "object", "properties": {"city": {"type": "string"}}}
toolset = ExternalToolset([ToolDefinition(name="get_weather", parameters_json_schema=schema)])
agent = Agent(OpenAIChatModel(tools, provider=provider), toolsets=[toolset], output_type=[str, DeferredToolRequests])
result = agent.run_sync("Weather?")
[part] = result.output.calls
call, completion_id = [part.tool_name, part.args_as_dict()], result.response.provider_response_id
""",
        **STATUSES,
    ),
    Client(
        "litellm",
        "litellm-client",
        answer="response.choices[0].message.content",
        stream="""
chunks = list(litellm.completion(**server, messages=[{"role": "user", "content": "Good day"}], stream=True))
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
completion_id = chunks[0].id
""",
        tool="""
import json

schema = {"type": "object", "properties": {"city": {"type": "string"}}}
function = {"type": "function", "function": {"name": "get_weather", "parameters": schema}}
messages = [{"role": "user", "content": "Weather?"}]
response = litellm.completion(**{**server, "model": f"openai/{tools}"}, messages=messages, tools=[function])
function = response.choices[0].message.tool_calls[0].function
call, completion_id = [function.name, json.loads(function.arguments)], response.id
""",
        **LITELLM_ERRORS,
    ),
    Client(
        "llama-index",
        "llama-index",
        answer="response.text",
        stream="""
chunks = list(llm.stream_complete("Good day"))
text, completion_id = chunks[-1].text, chunks[-1].raw.id
""",
        tool="""
from llama_index.core.tools import FunctionTool

def get_weather(city: str) -> str:
    "Tell the weather of a city."
    return "Rain"

llm = OpenAILike(model=tools, is_chat_model=True, is_function_calling_model=True, **server)
response = llm.chat_with_tools([FunctionTool.from_defaults(get_weather)], "Weather?")
[selection] = llm.get_tool_calls_from_response(response)
call, completion_id = [selection.tool_name, selection.tool_kwargs], response.raw.id
""",
        **OPENAI_ERRORS,
    ),
    Client("dspy", "dspy", answer="text", **DSPY_ERRORS),
    Client("dspy, Responses", "dspy", answer="answer['text']", **DSPY_ERRORS),
    Client(
        "semantic-kernel",
        "semantic-kernel",
        answer="message.content",
        stream="""
async def run():
    service = OpenAIChatCompletion(ai_model_id=good, async_client=AsyncOpenAI(base_url=f"{url}/api/v1", api_key=key))
    settings = OpenAIChatPromptExecutionSettings()
    return [chunk async for chunk in service.get_streaming_chat_message_content(history, settings)]

chunks = asyncio.run(run())
text, completion_id = "".join(chunk.content for chunk in chunks), chunks[0].metadata["id"]
""",
        **OPENAI_ERRORS,
    ),
    # smolagents and strands wait for minutes where a provider is busy.
    Client("smolagents", "smolagents", answer="message.content", **OPENAI_ERRORS | {"busy": ""}),
    Client(
        "openai, JavaScript",
        "openai",
        node=True,
        answer="response.choices[0].message.content",
        stream="""
const runner = client.chat.completions.stream({ model: good, messages });
let text = "";
runner.on("content", (delta) => (text += delta));
const { id } = await runner.finalChatCompletion();
export const streamed = [id, text];
""",
        tool="""
const parameters = { type: "object", properties: { city: { type: "string" } } };
const functions = [{ type: "function", function: { name: "get_weather", parameters } }];
const calling = await client.chat.completions.create({ model: tools, messages, tools: functions });
const call = calling.choices[0].message.tool_calls[0].function;
export const called = [calling.id, call.name, JSON.parse(call.arguments)];
""",
        **OPENAI_JS_ERRORS,
    ),
    Client(
        "@anthropic-ai/sdk",
        "anthropic",
        node=True,
        provider="anthropic",
        answer="message.content[0].text",
        stream="""
const stream = client.messages.stream(call);
let text = "";
stream.on("text", (delta) => (text += delta));
const final = await stream.finalMessage();
export const streamed = [final.id, text];
""",
        tool="""
const input_schema = { type: "object", properties: { city: { type: "string" } } };
const calling = await client.messages.create({ ...call, model: tools, tools: [{ name: "get_weather", input_schema }] });
const block = calling.content.find((block) => block.type === "tool_use");
export const called = [calling.id, block.name, block.input];
""",
        **OPENAI_JS_ERRORS,
    ),
    Client("ai, openai", "ai", node=True, **AI_SNIPPETS, **STATUSES),
    Client("ai, openai-compatible", "ai", node=True, **AI_SNIPPETS, **STATUSES),
    Client("ai, anthropic", "ai", node=True, provider="anthropic", **AI_SNIPPETS, **STATUSES),
    Client(
        "@google/genai",
        "google-genai",
        node=True,
        provider="google",
        answer="response.text",
        stream="""
let text = "", id;
for await (const chunk of await client.models.generateContentStream({ ...call, model: good })) {
  text += chunk.text ?? "";
  id = chunk.responseId;
}
export const streamed = [id, text];
""",
        tool="""
const parametersJsonSchema = { type: "object", properties: { city: { type: "string" } } };
const functionDeclarations = [{ name: "get_weather", parametersJsonSchema }];
const config = { tools: [{ functionDeclarations }] };
const calling = await client.models.generateContent({ ...call, model: tools, config });
const [functionCall] = calling.functionCalls;
export const called = [calling.responseId, functionCall.name, functionCall.args];
""",
        **STATUSES,
    ),
    Client(
        "@langchain/openai",
        "langchain",
        node=True,
        answer="message.text",
        stream="""
let text = "", id;
for await (const chunk of await model.stream("Good day")) {
  text += chunk.text;
  id ??= chunk.id;
}
export const streamed = [id, text];
""",
        tool="""
const parameters = { type: "object", properties: { city: { type: "string" } } };
const functions = [{ type: "function", function: { name: "get_weather", parameters } }];
const calling = await new ChatOpenAI({ model: tools, ...server }).bindTools(functions).invoke("Weather?");
const [call] = calling.tool_calls;
export const called = [calling.id, call.name, call.args];
""",
        **STATUSES,
    ),
    Client(
        "@openai/agents",
        "agents",
        node=True,
        answer="result.finalOutput",
        stream="""
const run = await runner.run(new Agent({ name: "Guide", model: good }), "Good day", { stream: true });
let text = "";
for await (const delta of run.toTextStream()) text += delta;
await run.completed;
export const streamed = [run.lastResponseId, text];
""",
        **OPENAI_JS_ERRORS,
    ),
    Client("haystack", "haystack", answer="result['replies'][0].text", **OPENAI_ERRORS),
    Client("strands", "strands", answer="str(result)", streamed=True, **OPENAI_ERRORS | {"busy": ""}),
]
