// The TypeScript MCP client signs in from nothing: mcp_oauth.mjs URL NAME PASSWORD. The script is the user and their browser.
import assert from "node:assert/strict";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, name, password] = process.argv.slice(2);
const base = url.replace("/mcp", "");
const redirectUrl = "http://localhost:33419/callback";

/** What the program keeps, and how it sends its user's browser away. */
class Provider {
  redirectUrl = redirectUrl;
  clientMetadata = { client_name: "The sitar's tuner", redirect_uris: [redirectUrl], grant_types: ["authorization_code", "refresh_token"], response_types: ["code"] };
  state = () => "a state & more";
  clientInformation = () => this.client;
  saveClientInformation = (client) => { this.client = client; };
  tokens = () => this.kept;
  saveTokens = (tokens) => { this.kept = tokens; };
  redirectToAuthorization = (address) => { this.address = address; };
  saveCodeVerifier = (verifier) => { this.verifier = verifier; };
  codeVerifier = () => this.verifier;
}

const json = async (response) => { assert.ok(response.ok, `${response.status} ${await response.clone().text()}`); return response.json(); };
const headers = { "content-type": "application/json" };

/** Follows the program's address to the page, signs in there, and lets the program in. */
async function browser(address) {
  const sent = await fetch(address, { redirect: "manual" });
  const [page, query] = sent.headers.get("location").split("?");
  assert.equal(page, "./#/connect");
  const asked = Object.fromEntries(new URLSearchParams(query));
  const login = await json(await fetch(`${base}/api/v1/auth/login`, { method: "POST", headers, body: JSON.stringify({ username: name, password }) }));
  const authorization = `Bearer ${login.access_token}`;
  const place = `${base}/api/v1/oauth/authorization`;
  const shown = await json(await fetch(`${place}?${query}`, { headers: { authorization } }));
  assert.equal(shown.client_name, "The sitar's tuner");
  assert.match(shown.refuse_at, /error=access_denied/);
  const { go_to } = await json(await fetch(place, { method: "POST", headers: { ...headers, authorization }, body: JSON.stringify(asked) }));
  const back = new URL(go_to);
  assert.equal(back.searchParams.get("state"), "a state & more");
  assert.equal(back.searchParams.get("iss"), base);
  return back.searchParams.get("code");
}

const provider = new Provider();
const connect = async () => {
  const client = new Client({ name: "test", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  return { client, transport, connected: client.connect(transport) };
};
const first = await connect();
await assert.rejects(first.connected, UnauthorizedError);
await first.transport.finishAuth(await browser(provider.address));
const answers = async (words) => {
  const { client, connected } = await connect();
  await connected;
  const result = await client.callTool({ name: "send_message", arguments: { message: `/echo ${words}` } });
  assert.equal(result.structuredContent.reply, words);
  await client.close();
};
await answers("hello");
// A token that has ended: the client gets another one by itself, and nobody is asked.
const { refresh_token } = provider.kept;
provider.address = null;
provider.kept = { ...provider.kept, access_token: "rm_ended" };
await answers("again");
assert.equal(provider.address, null);
assert.notEqual(provider.kept.refresh_token, refresh_token);
console.log(JSON.stringify({ access: provider.kept.access_token, refresh: provider.kept.refresh_token, client: provider.client.client_id }));
process.exit(0);
