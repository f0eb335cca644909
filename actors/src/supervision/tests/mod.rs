//! The plan by value and by property, and the shell with real actors.

mod mailboxes;
mod plan_cases;
mod plan_properties;
mod stage;
mod trees;
mod world;
