//! caxton-sandbox
