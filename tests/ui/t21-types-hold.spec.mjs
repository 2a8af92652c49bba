// T21: what the modules ask of each other is there: TypeScript reads them with their JSDoc and finds no error.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const here = path.dirname(fileURLToPath(import.meta.url));
const tsc = path.resolve(process.env.NODE_TOOLS ?? path.join(here, '../../target/nodetools'), 'node_modules/typescript/bin/tsc');

test('tsc --checkJs finds no error in the files of the UI', () => {
  const { stdout, stderr, error } = spawnSync(process.execPath, [tsc, '-p', path.join(here, 'tsconfig.json'), '--pretty', 'false'], { encoding: 'utf8', cwd: path.join(here, '../..') });
  assert.ok(!error && !stderr, `${error ?? stderr}`);
  // What others wrote is read for its shapes only. Every line of an error begins with its file; what follows it is indented.
  const ours = stdout.split('\n').filter((line) => /^\S/.test(line) && !/^api\/assets\/ui\/vendor\//.test(line));
  assert.deepEqual(ours, []);
});
