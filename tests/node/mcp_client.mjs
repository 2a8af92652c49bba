// What programs do with the TypeScript MCP client, unmodified, against /mcp and against `rapport mcp`: mcp_client.mjs URL KEY BINARY.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, key, binary] = process.argv.slice(2);
const overHttp = (key) => {
  const headers = { authorization: `Bearer ${key}` };
  return new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
};
const overStdio = (key, at = url.replace("/mcp", "")) =>
  new StdioClientTransport({ command: binary, args: ["mcp", "--url", at], env: { RAPPORT_API_KEY: key } });
const connect = async (transport) => {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(transport);
  return client;
};

const works = async (client) => {
  const call = async (name, args) => {
    const result = await client.callTool({ name, arguments: args });
    return { failed: result.isError === true, said: JSON.parse(result.content[0].text) };
  };
  assert.equal(client.getServerVersion().name, "rapport");
  await client.ping();
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  assert.ok(names.includes("add_memory") && names.includes("send_message"), names.join());
  const { said: added } = await call("add_memory", { content: "Plays the sarod" });
  assert.equal(added.status, "confirmed");
  const { said: found } = await call("search_memory", { query: "sarod" });
  assert.equal(found.results[0].memory.id, added.id);
  // A slow call keeps no other waiting.
  const slow = call("send_message", { message: "/delay 200 /tokens 5" });
  const { said: answer } = await call("send_message", { message: "/echo hello" });
  assert.equal(answer.reply, "hello");
  assert.equal((await slow).said.reply, "w1 w2 w3 w4 w5");
  // One that is looked at instead of being waited for; its progress is told with its result.
  const told = [];
  const onprogress = ({ progress, message }) => told.push([progress, message]);
  const first = await client.callTool({ name: "send_message", arguments: { message: "/delay 1 /tokens 5" } }, undefined, { onprogress });
  assert.equal(JSON.parse(first.content[0].text).reply, "w1 w2 w3 w4 w5");
  assert.ok(told.length > 1 && told.every(([count], at) => at === 0 || count > told[at - 1][0]), JSON.stringify(told));
  const seen = [];
  for await (const message of client.experimental.tasks.callToolStream({ name: "send_message", arguments: { message: "/echo as a task" } })) seen.push(message);
  assert.equal(seen[0].type, "taskCreated");
  const { taskId } = seen[0].task;
  assert.match(taskId, /^job_/);
  assert.equal(JSON.parse(seen.at(-1).result.content[0].text).reply, "as a task");
  assert.equal((await client.experimental.tasks.getTask(taskId)).status, "completed");
  await assert.rejects(client.experimental.tasks.cancelTask(taskId), /already/);
  const long = client.experimental.tasks.callToolStream({ name: "send_message", arguments: { message: "/delay 500 /tokens 1000" } });
  const { value: begun } = await long.next();
  assert.equal((await client.experimental.tasks.cancelTask(begun.task.taskId)).status, "cancelled");
  await assert.rejects(client.experimental.tasks.getTask("job_x"), /no such task/);
  await assert.rejects(client.callTool({ name: "search_memory", arguments: { query: "x" } }, undefined, { task: {} }), /no task/);
  const { failed, said: wrong } = await call("add_memory", { content: "" });
  assert.ok(failed && wrong.code === "validation_failed");
  const uri = `memory://${added.id}`;
  assert.ok((await client.listResources()).resources.some((one) => one.uri === uri && one.name === "Plays the sarod"));
  assert.equal(JSON.parse((await client.readResource({ uri })).contents[0].text).id, added.id);
  const prompt = await client.getPrompt({ name: "about_me", arguments: {} });
  assert.match(prompt.messages[0].content.text, /Plays the sarod/);
  await call("forget_memory", { id: added.id });
  await assert.rejects(client.readResource({ uri }), /no such resource/);
  await assert.rejects(client.callTool({ name: "nothing", arguments: {} }), /no such tool/);
  await client.close();
};

await works(await connect(overHttp(key)));
await works(await connect(overStdio(key)));
await assert.rejects(connect(overHttp("rk_wrong")), (error) => error.code === 401 || /401|Unauthorized|auth/i.test(String(error)));
await assert.rejects(connect(overStdio("rk_wrong")), /access token|API key|valid/i);
await assert.rejects(connect(overStdio(key, "http://127.0.0.1:9")), /cannot be reached/);
process.exit(0);
