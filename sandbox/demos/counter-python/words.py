"""Counts words: maximal runs of ASCII letters, lower-cased. Every other byte separates, so any bytes are fine."""

from collections import Counter

# Each byte to its letter in lower case, or to a blank.
LETTERS = bytes(
    byte | 0x20 if chr(byte).isascii() and chr(byte).isalpha() else 0x20
    for byte in range(256)
)


def count_words(text: bytes) -> bytes:
    """Gives lines of `%7d word`, sorted by word."""
    counts = Counter(text.translate(LETTERS).split())
    return b"".join(b"%7d %s\n" % (counts[word], word) for word in sorted(counts))
