//! Programs as tenants hand them in, as far as the compile child looks at them before it compiles.

use super::{
    check::{Shape, componentize, names, outline},
    refusal::Refusal,
};

/// The outer edge is read or refused, the same each time, and says no more than the bytes do.
pub(crate) fn outer_edge(bytes: &[u8]) -> bool {
    let read = outline(bytes);
    assert_eq!(read, outline(bytes));
    let said: usize = match &read {
        Ok(Shape::Component(outline)) => {
            bounded(names(outline));
            assert!(outline.core_instances <= bytes.len());
            outline
                .imports
                .iter()
                .chain(&outline.exports)
                .map(String::len)
                .sum()
        }
        Ok(Shape::Core { imports, .. }) => imports.iter().map(String::len).sum(),
        Err(refusal) => {
            bounded(Err(refusal.clone()));
            return false;
        }
    };
    assert!(said <= bytes.len(), "{read:?}");
    true
}

/// The world `agent`, as toolchains write it behind a core module: a whole custom section.
const TYPE: &[u8] = include_bytes!("component-type");

/// A core module becomes a component or is refused; nothing else comes out.
///
/// Its type is sound: with a hostile one the encoder may recurse without end, which ends the whole process.
/// In the compile child that is expected (`a_parser_that_runs_out_of_stack_takes_nobody_along`), here it
/// would end the test.
pub(crate) fn core_module(bytes: &[u8]) -> bool {
    let mark = b"component-type";
    if bytes.windows(mark.len()).any(|part| part == mark) {
        return false;
    }
    let bytes = &[bytes, TYPE].concat();
    let Ok(Shape::Core { has_type, imports }) = outline(bytes) else {
        return false;
    };
    match componentize(bytes, has_type, &imports) {
        Ok(component) => {
            let made = outline(&component);
            assert!(matches!(made, Ok(Shape::Component(_))), "{made:?}");
            true
        }
        Err(refusal) => {
            bounded(Err(refusal));
            false
        }
    }
}

/// What a tenant is told is bounded and one line, whatever the tenant named things.
fn bounded(verdict: Result<(), Refusal>) {
    if let Err(refusal) = verdict {
        let text = refusal.to_string();
        assert!(
            text.len() < 1_000 && !text.contains(char::is_control),
            "{text:?}"
        );
    }
}
