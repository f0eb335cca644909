// The agent {{name}} in JavaScript: answers a request with what it heard, and counts how often it was asked.
//
// The engine is QuickJS: the language, but no TextEncoder, fetch or timers. An exception undoes the reaction.

import { write } from 'caxton:agent/log@0.1.0';
import { get, set } from 'caxton:agent/kv@0.1.0';

const HEALTH = 'application/vnd.caxton.health+json';

// One answer to the sender, in the same conversation.
function reply(message, performative, text, contentType = 'text/plain') {
  return [{
    performative,
    receiver: message.sender,
    protocol: message.protocol,
    inReplyTo: message.replyWith ?? message.id,
    contentType,
    content: encode(text),
  }];
}

// UTF-8 without TextEncoder and TextDecoder.
function encode(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (char) => char.charCodeAt(0));
}

function decode(bytes) {
  const chars = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  try {
    return decodeURIComponent(escape(chars));
  } catch {
    return chars; // No UTF-8: one character per byte.
  }
}

function handleMessage(message) {
  const { performative, sender } = message;
  if (message.contentType === HEALTH) {
    return ['request', 'query'].includes(performative) ? reply(message, 'inform', '{"status":"ok"}', HEALTH) : [];
  }
  if (performative !== 'request') {
    // Never complain about a complaint: it would not end.
    const silent = sender === 'node' || ['not-understood', 'failure'].includes(performative);
    return silent ? [] : reply(message, 'not-understood', '{{name}} takes requests');
  }
  const asked = Number(decode(get('asked') ?? [])) + 1; // Memory may be recycled between two messages; kv lasts.
  set('asked', encode(String(asked)));
  write('info', `request ${asked} from ${sender}`);
  return reply(message, 'inform', `{{name}} heard: ${decode(message.content)}`);
}

export const handler = { handleMessage };
