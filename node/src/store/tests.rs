//! Tests of the store by its words.
