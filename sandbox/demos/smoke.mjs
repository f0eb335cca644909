// Runs built agents in Node.js against a stand-in for the node: `build.sh --smoke`.
//
// Each component is transpiled by jco. Counters are compared with the shell's own counting, on bytes that are no text.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [jco, out, ...agents] = process.argv.slice(2);
const HEALTH = 'application/vnd.caxton.health+json';

const STUBS = `
const kv = new Map();
export const keys = () => [...kv.keys()];
export const log = { write: (level, text) => console.error(level + ': ' + text) };
export const messaging = { send: () => 'msg_1', find: () => globalThis.found };
export const kvStore = { get: (k) => kv.get(k), set: (k, v) => kv.set(k, v), delete: (k) => kv.delete(k),
  listKeys: (prefix) => [...kv.keys()].filter((k) => k.startsWith(prefix)).sort() };
export const secrets = { get: () => { throw { payload: { tag: 'not-found', val: '' } }; } };
const denied = () => { throw { payload: { tag: 'denied', val: '' } }; };
export const authority = { narrow: denied, delegate: denied, actForSender: denied };
export const tools = { call: () => { throw { payload: { tag: 'not-found', val: '' } }; } };
`;

async function load(agent) {
  const dir = join(out, `${agent}.smoke`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir, 'stubs.js'), STUBS);
  const maps = ['log', 'messaging', 'secrets', 'tools', 'kv', 'authority'].flatMap((name) =>
    ['--map', `caxton:agent/${name}=./stubs.js#${name === 'kv' ? 'kvStore' : name}`]);
  const args = ['transpile', join(out, `${agent}.component`), '--name', 'agent', '-o', dir, ...maps];
  const done = spawnSync(jco, args, { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr + done.stdout);
  const { handler } = await import(pathToFileURL(join(dir, 'agent.js')));
  const { keys } = await import(pathToFileURL(join(dir, 'stubs.js')));
  return { handle: (incoming) => handler.handleMessage(incoming), keys };
}

function message(performative, content, more = {}) {
  return {
    id: 'msg_7', performative, sender: 'acme/tester', receiver: 'acme/agent', conversationId: 'cnv_1',
    protocol: 'contract-net', replyWith: 'mark', inReplyTo: undefined, replyBy: undefined,
    contentType: 'text/plain', content, delivery: 'at-most-once', ...more,
  };
}

function shellCounts(bytes) {
  const pipeline = "tr -cs A-Za-z '\\n' | tr A-Z a-z | grep . | sort | uniq -c";
  return spawnSync('bash', ['-c', pipeline], { input: bytes, env: { ...process.env, LC_ALL: 'C' }, maxBuffer: 1 << 28 }).stdout;
}

function noise(length) {
  const bytes = new Uint8Array(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

const text = (bytes) => Buffer.from(bytes).toString('latin1');

function checkCounter(handle) {
  const proposal = handle(message('cfp', Buffer.from('{}')))[0];
  assert.deepEqual([proposal.performative, JSON.parse(text(proposal.content))], ['propose', { cost: 0 }]);
  assert.deepEqual([proposal.inReplyTo, proposal.protocol], ['mark', 'contract-net']);
  const prose = Buffer.from("The cat -- the DOG's cat\xff\0x\n".repeat(20000), 'latin1');
  for (const bytes of [noise(1 << 20), prose, Buffer.from(''), Buffer.from('123 \xe9', 'latin1'), Buffer.from('a')]) {
    for (const act of ['accept-proposal', 'request']) {
      const started = performance.now();
      const counts = handle(message(act, bytes))[0];
      const ms = (performance.now() - started).toFixed(0);
      assert.deepEqual([counts.performative, counts.contentType], ['inform', 'text/plain']);
      assert.equal(text(counts.content), text(shellCounts(bytes)));
      if (bytes.length > 1 << 16) console.log(`  ${bytes.length} bytes counted in ${ms} ms`);
    }
  }
  assert.deepEqual(handle(message('reject-proposal', Buffer.from(''))), []);
  assert.equal(handle(message('subscribe', Buffer.from('')))[0].performative, 'not-understood');
  assert.deepEqual(handle(message('not-understood', Buffer.from(''))), []);
}

function checkEcho(handle) {
  const bytes = noise(5000);
  const answer = handle(message('request', bytes, { contentType: 'application/x-noise', replyWith: undefined }))[0];
  assert.deepEqual([answer.performative, answer.contentType, answer.inReplyTo], ['inform', 'application/x-noise', 'msg_7']);
  assert.deepEqual(Buffer.from(answer.content), Buffer.from(bytes));
}

// What `caxton agent new` writes: says what it heard, and survives text that is none.
function checkTemplate(handle) {
  const answer = handle(message('request', Buffer.from('héllo')))[0];
  assert.deepEqual([answer.performative, answer.inReplyTo], ['inform', 'mark']);
  assert.match(Buffer.from(answer.content).toString(), /^[a-z0-9-]+ heard: héllo$/);
  assert.equal(handle(message('request', noise(100)))[0].performative, 'inform');
  assert.equal(handle(message('cfp', Buffer.from('')))[0].performative, 'not-understood');
  assert.deepEqual(handle(message('failure', Buffer.from(''))), []);
}

// One job through the dispatcher and all counters that were built, whatever they are written in.
function checkJob(loaded) {
  const counters = [...loaded.keys()].filter((agent) => agent.startsWith('counter-'));
  globalThis.found = counters.map((agent) => `acme/${agent}`).sort();
  const bytes = Buffer.concat([noise(700_000), Buffer.from('The quick brown fox; the LAZY dog.\n'.repeat(40_000))]);
  const due = [['acme/tester', message('request', bytes, { receiver: 'dispatcher' })]];
  const jobs = new Map();
  let answer;
  for (let id = 0; due.length > 0; id++) {
    const [sender, sent] = due.shift();
    const receiver = sent.receiver.replace(/^acme\//, '');
    if (receiver === 'tester') { answer = sent; continue; }
    if (sent.performative === 'accept-proposal') jobs.set(receiver, (jobs.get(receiver) ?? 0) + 1);
    const incoming = { ...sent, id: `msg_${id}`, sender, conversationId: sent.conversationId ?? 'cnv_1', delivery: 'at-most-once' };
    for (const out of loaded.get(receiver).handle(incoming)) due.push([`acme/${receiver}`, { ...out, conversationId: out.conversationId ?? incoming.conversationId }]);
  }
  assert.deepEqual([answer.performative, answer.inReplyTo], ['inform', 'mark']);
  assert.equal(text(answer.content), text(shellCounts(bytes)));
  assert.equal(jobs.size, counters.length, 'every counter gets work');
  assert.deepEqual(loaded.get('dispatcher').keys(), []);
  console.log(`a job of ${bytes.length} bytes:`, Object.fromEntries(jobs));
}

globalThis.found = [];
const loaded = new Map();
for (const agent of agents) {
  loaded.set(agent, await load(agent));
  const { handle } = loaded.get(agent);
  console.log(agent);
  const health = handle(message('query', Buffer.from(''), { contentType: HEALTH }))[0];
  assert.deepEqual([health.performative, health.contentType], ['inform', HEALTH]);
  if (agent.startsWith('counter-')) checkCounter(handle);
  if (['echo', 'ping', 'pong'].includes(agent)) checkEcho(handle);
  if (agent === 'template') checkTemplate(handle);
  if (agent === 'dispatcher') assert.equal(handle(message('request', Buffer.from('a b')))[0].performative, 'failure');
}
if (loaded.has('dispatcher') && loaded.size > 1) checkJob(loaded);
console.log('smoke: ok');
