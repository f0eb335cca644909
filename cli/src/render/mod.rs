//! What people and scripts see. Standard output carries data and nothing else; progress, hints and
//! errors go to standard error.

pub mod banner;
pub mod details;
pub mod document;
pub mod error;
pub mod progress;
pub mod shapes;
pub mod table;
pub mod terminal;
pub mod waterfall;

pub use shapes::Shape;
pub use terminal::{Format, Terminal};
