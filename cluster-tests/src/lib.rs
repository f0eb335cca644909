//! caxton-cluster-tests
