//! caxton-node
