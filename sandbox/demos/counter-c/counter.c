// The word counter as an agent in C: joins in contract-net, counts the words of what it is awarded.
//
// The contract's types and calls are in bindings/agent.h, made from wit/agent.wit by `wit-bindgen c`. A program owns
// the message it is given: it is freed on every path. The counting itself is in words.h and knows no agent.

#include <string.h>

#include "bindings/agent.h"
#include "words.h"

#define HEALTH "application/vnd.caxton.health+json"

typedef exports_caxton_agent_handler_message_t message_t;
typedef exports_caxton_agent_handler_list_outgoing_t outgoing_list_t;

static bool is(const agent_string_t *text, const char *word) {
  return text->len == strlen(word) && memcmp(text->ptr, word, text->len) == 0;
}

static agent_string_t copy_of(const agent_string_t *text) {
  agent_string_t copy;
  agent_string_dup_n(&copy, (const char *)text->ptr, text->len);
  return copy;
}

// An answer to the sender. Takes the content over; the node frees what is returned.
static void reply(outgoing_list_t *out, const message_t *m, uint8_t performative, const char *type, uint8_t *content,
                  size_t len) {
  exports_caxton_agent_handler_outgoing_t *answer = calloc(1, sizeof *answer);
  if (answer == NULL) __builtin_trap();
  answer->performative = performative;
  answer->receiver = copy_of(&m->sender);
  if (m->protocol.is_some) {
    answer->protocol.is_some = true;
    answer->protocol.val = copy_of(&m->protocol.val);
  }
  answer->in_reply_to.is_some = true;
  answer->in_reply_to.val = copy_of(m->reply_with.is_some ? &m->reply_with.val : &m->id);
  agent_string_dup(&answer->content_type, type);
  answer->content.ptr = content;
  answer->content.len = len;
  out->ptr = answer;
  out->len = 1;
}

static void reply_text(outgoing_list_t *out, const message_t *m, uint8_t performative, const char *type,
                       const char *text) {
  agent_string_t content;
  agent_string_dup(&content, text);
  reply(out, m, performative, type, content.ptr, content.len);
}

static void reply_counts(outgoing_list_t *out, const message_t *m) {
  size_t len = 0;
  uint8_t *counts = count_words(m->content.ptr, m->content.len, &len);
  reply(out, m, CAXTON_AGENT_TYPES_PERFORMATIVE_INFORM, "text/plain", counts, len);
}

bool exports_caxton_agent_handler_handle_message(message_t *message, outgoing_list_t *ret,
                                                 exports_caxton_agent_handler_agent_error_t *err) {
  (void)err;
  ret->ptr = NULL;
  ret->len = 0;
  if (is(&message->content_type, HEALTH)) {
    // A health message that is an answer is not answered, or two agents would greet each other for ever.
    if (message->performative == CAXTON_AGENT_TYPES_PERFORMATIVE_REQUEST ||
        message->performative == CAXTON_AGENT_TYPES_PERFORMATIVE_QUERY)
      reply_text(ret, message, CAXTON_AGENT_TYPES_PERFORMATIVE_INFORM, HEALTH, "{\"status\":\"ok\"}");
  } else {
    switch (message->performative) {
    case CAXTON_AGENT_TYPES_PERFORMATIVE_CFP:
      // The cost is the number of jobs awarded and not done: none, a job is done in the reaction that awards it.
      reply_text(ret, message, CAXTON_AGENT_TYPES_PERFORMATIVE_PROPOSE, "application/json", "{\"cost\":0}");
      break;
    case CAXTON_AGENT_TYPES_PERFORMATIVE_ACCEPT_PROPOSAL:
    case CAXTON_AGENT_TYPES_PERFORMATIVE_REQUEST:
      reply_counts(ret, message);
      break;
    case CAXTON_AGENT_TYPES_PERFORMATIVE_REJECT_PROPOSAL:
    case CAXTON_AGENT_TYPES_PERFORMATIVE_NOT_UNDERSTOOD: // Never complain about a complaint: it would not end.
    case CAXTON_AGENT_TYPES_PERFORMATIVE_FAILURE:
      break;
    default:
      if (!is(&message->sender, "node"))
        reply_text(ret, message, CAXTON_AGENT_TYPES_PERFORMATIVE_NOT_UNDERSTOOD, "text/plain",
                   "a word counter takes request, cfp, accept-proposal and reject-proposal");
    }
  }
  exports_caxton_agent_handler_message_free(message);
  return true;
}
