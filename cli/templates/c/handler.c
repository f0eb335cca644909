// The agent {{name}} in C: answers a request with what it heard.
//
// The contract is wit/agent.wit; bindings/ was made from it by `wit-bindgen c`. A program owns the message it is
// given and frees it on every path; the node frees what is returned.

#include <stdlib.h>
#include <string.h>

#include "bindings/agent.h"

#define HEALTH "application/vnd.caxton.health+json"
#define HEARD "{{name}} heard: "

typedef exports_caxton_agent_handler_message_t message_t;
typedef exports_caxton_agent_handler_outgoing_t outgoing_t;
typedef exports_caxton_agent_handler_list_outgoing_t outgoing_list_t;

static agent_string_t copy_of(const agent_string_t *text) {
  agent_string_t copy;
  agent_string_dup_n(&copy, (const char *)text->ptr, text->len);
  return copy;
}

static bool is(const agent_string_t *text, const char *word) {
  return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

// One answer to the sender, in the same conversation: `before` and then `len` bytes of `content`.
static void reply(outgoing_list_t *out, const message_t *m, uint8_t performative, const char *type, const char *before,
                  const uint8_t *content, size_t len) {
  outgoing_t *answer = calloc(1, sizeof *answer);
  size_t head = strlen(before);
  uint8_t *bytes = malloc(head + len + 1);
  if (answer == NULL || bytes == NULL) __builtin_trap(); // Out of memory: the reaction is undone.
  memcpy(bytes, before, head);
  if (len > 0) memcpy(bytes + head, content, len);
  answer->performative = performative;
  answer->receiver = copy_of(&m->sender);
  answer->protocol.is_some = m->protocol.is_some;
  if (m->protocol.is_some) answer->protocol.val = copy_of(&m->protocol.val);
  answer->in_reply_to.is_some = true;
  answer->in_reply_to.val = copy_of(m->reply_with.is_some ? &m->reply_with.val : &m->id);
  agent_string_dup(&answer->content_type, type);
  answer->content.ptr = bytes;
  answer->content.len = head + len;
  out->ptr = answer;
  out->len = 1;
}

bool exports_caxton_agent_handler_handle_message(message_t *message, outgoing_list_t *ret,
                                                 exports_caxton_agent_handler_agent_error_t *err) {
  (void)err;
  uint8_t act = message->performative;
  ret->ptr = NULL;
  ret->len = 0;
  if (is(&message->content_type, HEALTH)) {
    if (act == CAXTON_AGENT_TYPES_PERFORMATIVE_REQUEST || act == CAXTON_AGENT_TYPES_PERFORMATIVE_QUERY)
      reply(ret, message, CAXTON_AGENT_TYPES_PERFORMATIVE_INFORM, HEALTH, "{\"status\":\"ok\"}", NULL, 0);
  } else if (act == CAXTON_AGENT_TYPES_PERFORMATIVE_REQUEST) {
    agent_string_t line;
    agent_string_set(&line, "a request came in");
    caxton_agent_log_write(CAXTON_AGENT_LOG_LEVEL_INFO, &line);
    reply(ret, message, CAXTON_AGENT_TYPES_PERFORMATIVE_INFORM, "text/plain", HEARD, message->content.ptr,
          message->content.len);
  } else if (act != CAXTON_AGENT_TYPES_PERFORMATIVE_NOT_UNDERSTOOD && act != CAXTON_AGENT_TYPES_PERFORMATIVE_FAILURE &&
             !is(&message->sender, "node")) { // Never complain about a complaint: it would not end.
    reply(ret, message, CAXTON_AGENT_TYPES_PERFORMATIVE_NOT_UNDERSTOOD, "text/plain", "{{name}} takes requests", NULL, 0);
  }
  exports_caxton_agent_handler_message_free(message);
  return true;
}
