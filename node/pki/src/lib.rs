//! caxton-pki
