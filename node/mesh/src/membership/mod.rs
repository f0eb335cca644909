//! Who is in the cluster, and whether they are there: gossip spreads facts and raises suspicion, SWIM
//! gives the verdict.

mod gossip;
pub mod partition;
#[cfg(test)]
mod sim;
pub mod swim;
