// The counting behind words.h: one lower-cased copy of the text, one open hash table of slices into it, one sort.

#include "words.h"

#include <stdbool.h>
#include <string.h>

typedef struct {
  const uint8_t *at; // In the lower-cased copy of the text; NULL marks a free slot.
  size_t len;
  size_t count;
} word_t;

typedef struct {
  word_t *slots;
  size_t capacity; // A power of two.
  size_t used;
} table_t;

static void *or_trap(void *memory) {
  if (memory == NULL) __builtin_trap();
  return memory;
}

// The letter in lower case, 0 for what is no letter.
static uint8_t letter(uint8_t byte) {
  uint8_t lower = byte | 0x20;
  return lower >= 'a' && lower <= 'z' ? lower : 0;
}

// FNV-1a. A text made to collide slows down only the agent that was given it, within its time limit.
static uint32_t hash(const uint8_t *at, size_t len) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < len; i++) h = (h ^ at[i]) * 16777619u;
  return h;
}

static word_t *slot_of(const table_t *t, const uint8_t *at, size_t len) {
  size_t i = hash(at, len) & (t->capacity - 1);
  while (t->slots[i].at != NULL && (t->slots[i].len != len || memcmp(t->slots[i].at, at, len) != 0))
    i = (i + 1) & (t->capacity - 1);
  return &t->slots[i];
}

static void grow(table_t *t) {
  table_t wider = {or_trap(calloc(t->capacity * 2, sizeof(word_t))), t->capacity * 2, t->used};
  for (size_t i = 0; i < t->capacity; i++)
    if (t->slots[i].at != NULL) *slot_of(&wider, t->slots[i].at, t->slots[i].len) = t->slots[i];
  free(t->slots);
  *t = wider;
}

static void add(table_t *t, const uint8_t *at, size_t len) {
  if (t->used * 2 >= t->capacity) grow(t);
  word_t *slot = slot_of(t, at, len);
  if (slot->at == NULL) {
    slot->at = at;
    slot->len = len;
    t->used++;
  }
  slot->count++;
}

static int by_word(const void *a, const void *b) {
  const word_t *x = a, *y = b;
  int order = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);
  return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

// Writes `%7d`; gives the number of bytes, which is more than 7 from ten million on.
static size_t write_count(uint8_t *out, size_t count) {
  uint8_t digits[20];
  size_t n = 0;
  do digits[n++] = (uint8_t)('0' + count % 10);
  while ((count /= 10) != 0);
  size_t width = n < 7 ? 7 : n;
  memset(out, ' ', width - n);
  for (size_t i = 0; i < n; i++) out[width - 1 - i] = digits[i];
  return width;
}

static uint8_t *render(word_t *words, size_t n, size_t *out_len) {
  size_t bound = 0;
  for (size_t i = 0; i < n; i++) bound += 20 + 2 + words[i].len;
  uint8_t *out = or_trap(malloc(bound)), *end = out;
  for (size_t i = 0; i < n; i++) {
    end += write_count(end, words[i].count);
    *end++ = ' ';
    memcpy(end, words[i].at, words[i].len);
    end += words[i].len;
    *end++ = '\n';
  }
  *out_len = (size_t)(end - out);
  return out;
}

uint8_t *count_words(const uint8_t *text, size_t len, size_t *out_len) {
  *out_len = 0;
  if (len == 0) return NULL;
  uint8_t *lower = or_trap(malloc(len));
  table_t table = {or_trap(calloc(1024, sizeof(word_t))), 1024, 0};
  for (size_t i = 0; i < len;) {
    size_t start = i;
    while (i < len && (lower[i] = letter(text[i])) != 0) i++;
    if (i > start) add(&table, lower + start, i - start);
    else i++;
  }
  size_t n = 0; // Pack the words to the front, then sort them.
  for (size_t i = 0; i < table.capacity; i++)
    if (table.slots[i].at != NULL) table.slots[n++] = table.slots[i];
  uint8_t *out = NULL;
  if (n > 0) {
    qsort(table.slots, n, sizeof(word_t), by_word);
    out = render(table.slots, n, out_len);
  }
  free(table.slots);
  free(lower);
  return out;
}
