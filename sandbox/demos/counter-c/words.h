// Counts words: maximal runs of ASCII letters, lower-cased. Every other byte separates, so any bytes are fine.

#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Counts the words of `text` and gives lines of `%7d word\n`, sorted by word, in memory from malloc. NULL where there
// is no word. Traps when memory runs out, which undoes the reaction.
uint8_t *count_words(const uint8_t *text, size_t len, size_t *out_len);

#endif
