//! What a user sees of a panic: that it is our fault, where, and how to report it. Never its text,
//! which may hold what a tenant sent.

use std::{io::Write, panic};

/// Sets the hook. In a node a panic is its supervisor's affair, so one line is enough there.
pub fn install(in_node: bool) {
    panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(
            || "an unknown place".to_owned(),
            |at| format!("{}:{}", at.file(), at.line()),
        );
        let text = if in_node {
            in_node_text(&place)
        } else {
            text(&place)
        };
        // There is nowhere left to say that standard error is gone.
        let _shown = anstream::stderr().write_all(text.as_bytes());
    }));
}

fn in_node_text(place: &str) -> String {
    format!("caxton: a part of the node panicked at {place}; its supervisor acts\n")
}

fn text(place: &str) -> String {
    format!(
        "error[CX1099]: internal error of the command\n\
         \x20 why   a panic at {place}, in caxton {}\n\
         \x20 fix   report it at {}/issues with this line and the command that you ran\n\
         \x20 more  caxton explain CX1099\n",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_REPOSITORY"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_where_and_how_and_not_what() {
        let report = text("cli/src/x.rs:3");
        assert!(report.starts_with("error[CX1099]") && report.contains("cli/src/x.rs:3"));
        assert!(report.contains("/issues"), "{report}");
        assert_eq!(in_node_text("a:1").lines().count(), 1);
    }
}
