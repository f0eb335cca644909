//! caxton-cli
