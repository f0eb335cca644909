// The word counter as an agent in JavaScript: joins in contract-net, counts the words of what it is awarded.
//
// The engine is QuickJS, put into the component by `jco componentize`. An exception that is no `agent-error` traps,
// which undoes the reaction like an error does.
//
// A word is a maximal run of ASCII letters, lower-cased. Every other byte separates, so any bytes are fine.

const HEALTH = 'application/vnd.caxton.health+json';

function reply(message, performative, contentType, text) {
  return [{
    performative,
    receiver: message.sender,
    protocol: message.protocol,
    inReplyTo: message.replyWith ?? message.id,
    contentType,
    content: ascii(text),
  }];
}

function notUnderstood(message) {
  const silent = message.sender === 'node' || ['not-understood', 'failure'].includes(message.performative);
  // Never complain about a complaint: it would not end.
  const reason = 'a word counter takes request, cfp, accept-proposal and reject-proposal';
  return silent ? [] : reply(message, 'not-understood', 'text/plain', reason);
}

function handleMessage(message) {
  if (message.contentType === HEALTH) {
    const asked = ['request', 'query'].includes(message.performative);
    return asked ? reply(message, 'inform', HEALTH, '{"status":"ok"}') : [];
  }
  switch (message.performative) {
    case 'cfp':
      // The cost is the number of jobs awarded and not done: none, a job is done in the reaction that awards it.
      return reply(message, 'propose', 'application/json', '{"cost":0}');
    case 'accept-proposal':
    case 'request':
      return reply(message, 'inform', 'text/plain', countWords(message.content));
    case 'reject-proposal':
      return [];
    default:
      return notUnderstood(message);
  }
}

// The most bytes turned into characters by one call; each is an argument on the stack.
const BLOCK = 4096;

// One character per byte (ISO 8859-1): never fails, and no byte above 127 lowers to an ASCII letter.
function latin1(bytes) {
  const blocks = [];
  for (let i = 0; i < bytes.length; i += BLOCK) {
    blocks.push(String.fromCharCode.apply(null, bytes.subarray(i, i + BLOCK)));
  }
  return blocks.join('');
}

// Lines of `%7d word`, sorted by word.
function countWords(bytes) {
  const counts = new Map();
  for (const word of latin1(bytes).toLowerCase().match(/[a-z]+/g) ?? []) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const words = [...counts.keys()].sort();
  return words.map((word) => `${String(counts.get(word)).padStart(7)} ${word}\n`).join('');
}

// The engine has no TextEncoder; what we write is ASCII.
function ascii(text) {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export const handler = { handleMessage };
