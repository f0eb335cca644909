//! caxton-api
