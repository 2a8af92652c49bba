// T19: every path the pages use is in the API's description, no file is too long to read, and vendored files are what they were.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Server, UI, moduleOf } from './harness.mjs';

const files = fs.readdirSync(UI, { recursive: true }).filter((name) => fs.statSync(path.join(UI, name)).isFile());
const own = files.filter((name) => !name.startsWith('vendor/'));

test('every path of api/paths.js is in the description of the running API', async (context) => {
  const server = await new Server().start();
  context.after(() => server.stop());
  const { PATHS, at } = await moduleOf('api/paths.js', context);
  const { paths } = await (await fetch(`${server.url}openapi.json`)).json();
  const shape = (route) => route.replace(/\{\w+\}/g, '{}').replace(/\/$/, '');
  const known = new Set(Object.keys(paths).map((route) => shape(route.replace(/^\/api\/v1/, ''))));
  assert.deepEqual(Object.entries(PATHS).filter(([, route]) => !known.has(shape(route))), []);
  assert.equal(at('message', { id: 'a/b' }, { around: 2, none: null }), './api/v1/chat/messages/a%2Fb?around=2');
});

test('every path that is asked for has a name, and nobody writes an address of the API by hand', async (context) => {
  const { PATHS } = await moduleOf('api/paths.js', context);
  const faults = [];
  for (const name of own.filter((one) => one.endsWith('.js') && one !== 'api/paths.js')) {
    const text = fs.readFileSync(path.join(UI, name), 'utf8');
    if (!/api\/(client|paths)\.js'|'\.\/(client|paths)\.js'/.test(text)) continue;
    for (const [, key] of text.matchAll(/(?<![.\w])(?:get|post|patch|put|remove|at)\('(\w+)'/g)) if (!(key in PATHS)) faults.push(`${name}: ${key}`);
    for (const [, key] of text.matchAll(/\b(?:call|raw)\('[A-Z]+', '(\w+)'/g)) if (!(key in PATHS)) faults.push(`${name}: ${key}`);
    // What a person copies into a terminal is words, not a request.
    if (/fetch\((?!at\(|')/.test(text) && !['api/auth.js', 'api/client.js'].includes(name)) faults.push(`${name}: fetch outside api/`);
  }
  assert.deepEqual(faults, []);
});

test('no file of ours has over 200 lines, each opens by saying what it promises, and none makes HTML of a string', () => {
  const faults = [];
  for (const name of own) {
    const text = fs.readFileSync(path.join(UI, name), 'utf8');
    const lines = text.split('\n').length - 1;
    if (lines > 200) faults.push(`${name}: ${lines} lines`);
    if (name.endsWith('.js') && !/^\/[/*]/.test(text)) faults.push(`${name}: no opening comment`);
    const banned = text.match(/\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|eval\(|new Function|style="[^$"])/);
    if (banned) faults.push(`${name}: ${banned[0]}`);
  }
  assert.deepEqual(faults, []);
});

test('vendored files match their hashes, and all of them are listed', () => {
  const list = fs.readFileSync(path.join(UI, 'vendor/VENDORED.md'), 'utf8');
  const kept = Object.fromEntries([...list.matchAll(/^\| (\S+) \| ([0-9a-f]{64}) \|$/gm)].map(([, name, hash]) => [name, hash]));
  const vendored = files.filter((name) => /^vendor\/.*\.(js|woff2)$/.test(name)).map((name) => name.slice('vendor/'.length));
  assert.deepEqual(Object.keys(kept).sort(), vendored.sort());
  for (const name of vendored) {
    assert.equal(createHash('sha256').update(fs.readFileSync(path.join(UI, 'vendor', name))).digest('hex'), kept[name], name);
  }
  assert.ok(fs.existsSync(path.join(UI, 'vendor/LICENSES')));
});

test('everything that the page and the modules name exists', () => {
  const page = fs.readFileSync(path.join(UI, 'index.html'), 'utf8');
  for (const [, name] of page.matchAll(/\.\/ui\/\{version\}\/([^"]+)/g)) assert.ok(files.includes(name), name);
  const imports = (name) => [...fs.readFileSync(path.join(UI, name), 'utf8').matchAll(/^(?:import|export)[^'"]*from '([^']+)'|^import '([^']+)'/gm)]
    .map(([, one, two]) => path.posix.join(path.posix.dirname(name), one ?? two));
  for (const name of own.filter((one) => one.endsWith('.js'))) for (const other of imports(name)) assert.ok(files.includes(other), `${name} imports ${other}`);
});
