// What programs do with the TypeScript MCP client, unmodified, against /mcp: mcp_client.mjs URL KEY.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, key] = process.argv.slice(2);
const connect = async (key) => {
  const client = new Client({ name: "test", version: "1" });
  const headers = { authorization: `Bearer ${key}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return client;
};
const client = await connect(key);
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
const { said: answer } = await call("send_message", { message: "/echo hello" });
assert.equal(answer.reply, "hello");
const { failed, said: wrong } = await call("add_memory", { content: "" });
assert.ok(failed && wrong.code === "validation_failed");
await call("forget_memory", { id: added.id });
await assert.rejects(client.callTool({ name: "nothing", arguments: {} }), /no such tool/);
await client.close();
await assert.rejects(connect("rk_wrong"), (error) => error.code === 401 || /401|Unauthorized|auth/i.test(String(error)));
process.exit(0);
