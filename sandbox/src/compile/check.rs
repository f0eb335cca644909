//! Whether a program belongs to the world `caxton:agent/agent`: cheap checks of names before compiling,
//! exact checks of types after it.

use wasmparser::{ComponentExternalKind, Encoding, Instance, KnownCustom, Parser, Payload};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::refusal::{Refusal, detail};
use crate::bindings::{AgentError, HANDLE_MESSAGE, HANDLER, IMPORTS, Message, Outgoing, PACKAGE};
use crate::capacity::Needs;
use crate::limits::Limits;
use crate::state::State;

/// What a file looks like from outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A component with its imports and exports.
    Component(Outline),
    /// A core module.
    Core {
        /// It says which world it was made for.
        has_type: bool,
        /// The modules it imports from.
        imports: Vec<String>,
    },
}

/// Names at the outer edge of a component.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
    /// Places where a core module is instantiated, at any depth.
    pub(crate) core_instances: usize,
}

/// Reads the outer edge without validating what is inside.
pub(crate) fn outline(wasm: &[u8]) -> Result<Shape, Refusal> {
    if !wasm.starts_with(b"\0asm") {
        return Err(Refusal::NotWasm);
    }
    let mut outline = Outline::default();
    let mut core_imports = Vec::new();
    let (mut is_component, mut has_type, mut depth) = (false, false, 0_usize);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(Refusal::invalid)? {
            Payload::Version { encoding, .. } if depth == 0 => {
                is_component = encoding == Encoding::Component;
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import.map_err(Refusal::invalid)?;
                    outline.imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(Refusal::invalid)?;
                    if export.kind == ComponentExternalKind::Instance {
                        outline.exports.push(export.name.name.to_owned());
                    }
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    let instance = instance.map_err(Refusal::invalid)?;
                    let makes = matches!(instance, Instance::Instantiate { .. });
                    outline.core_instances += usize::from(makes);
                }
            }
            Payload::ImportSection(section) if depth == 0 => {
                for import in section.into_imports() {
                    let import = import.map_err(Refusal::invalid)?;
                    core_imports.push(import.module.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 0 => {
                has_type |= section.name().starts_with("component-type")
                    && matches!(
                        section.as_known(),
                        KnownCustom::Unknown | KnownCustom::ComponentName(_)
                    );
            }
            _ => {}
        }
    }
    if is_component {
        return Ok(Shape::Component(outline));
    }
    core_imports.dedup();
    Ok(Shape::Core {
        has_type,
        imports: core_imports,
    })
}

/// Turns a core module that carries its type into a component.
pub(crate) fn componentize(
    wasm: &[u8],
    has_type: bool,
    imports: &[String],
) -> Result<Vec<u8>, Refusal> {
    if let Some(wasi) = imports.iter().find(|name| name.starts_with("wasi")) {
        return Err(Refusal::unknown_import(wasi));
    }
    if !has_type {
        return Err(Refusal::CoreWithoutType);
    }
    let is_ours =
        |name: &String| name.starts_with(PACKAGE) || name.starts_with('$') || name.starts_with('[');
    let stranger = imports.iter().find(|name| !is_ours(name));
    let encoder = wit_component::ComponentEncoder::default().validate(true);
    let component = encoder
        .module(wasm)
        .and_then(|mut encoder| encoder.encode());
    component.map_err(|error| match stranger {
        Some(name) => Refusal::unknown_import(name),
        None => match missing_export(&format!("{error:#}")) {
            Some(name) => Refusal::MissingExport { name },
            None => Refusal::invalid(format!("{error:#}")),
        },
    })
}

/// The encoder's complaint about an export that the module's own type promises.
fn missing_export(text: &str) -> Option<String> {
    let is_about_us = text.contains(PACKAGE) && text.contains("export");
    (is_about_us && text.contains(HANDLE_MESSAGE)).then(handler_name)
}

/// Imports and exports by name: what can be said before seconds are spent on compiling.
pub(crate) fn names(outline: &Outline) -> Result<(), Refusal> {
    // By interface: whether another version fits is the linker's to say, which knows what is compatible.
    let interface = |name: &str| name.split('@').next().map(str::to_owned);
    let known: Vec<_> = IMPORTS.iter().map(|name| interface(name)).collect();
    let is_known = |name: &str| known.contains(&interface(name));
    if let Some(unknown) = outline.imports.iter().find(|name| !is_known(name)) {
        return Err(Refusal::unknown_import(unknown));
    }
    let max = Limits::largest().instances;
    at_most("core instances", outline.core_instances, max)?;
    if !outline.exports.iter().any(|name| name == HANDLER) {
        let name = handler_name();
        return Err(Refusal::MissingExport { name });
    }
    Ok(())
}

/// Imports and exports by type: what the linker will say at every load.
pub(crate) fn types(component: &Component, linker: &Linker<State>) -> Result<(), Refusal> {
    let engine = component.engine();
    let world = component.component_type();
    if let Err(error) = linker.instantiate_pre(component) {
        let names = world.imports(engine).map(|(name, _)| name.to_owned());
        let text = format!("{error:#}");
        let quoted = |name: &String| text.contains(&format!("`{name}`"));
        let name = names.into_iter().find(quoted).unwrap_or_default();
        if !IMPORTS.contains(&name.as_str()) {
            return Err(Refusal::unknown_import(&name));
        }
        let detail = detail(error.root_cause());
        return Err(Refusal::WrongImport { name, detail });
    }
    let name = handler_name();
    let missing = || Refusal::MissingExport { name: name.clone() };
    let handler = world.get_export(engine, HANDLER).ok_or_else(missing)?;
    let ComponentItem::ComponentInstance(handler) = handler.ty else {
        return Err(missing());
    };
    let function = handler
        .get_export(engine, HANDLE_MESSAGE)
        .ok_or_else(missing)?;
    let ComponentItem::ComponentFunc(function) = function.ty else {
        return Err(missing());
    };
    type Parameters = (Message,);
    type Results = (Result<Vec<Outgoing>, AgentError>,);
    let checked = function.typecheck::<Parameters, Results>(&world.instance_type());
    checked.map_err(|error| Refusal::WrongExport {
        name,
        detail: detail(format!("{error:#}")),
    })
}

/// What one instance takes, if any agent can get that much.
pub(crate) fn needs(component: &Component, core_instances: usize) -> Result<Needs, Refusal> {
    let required = component.resources_required();
    let required = required.ok_or_else(|| Refusal::invalid("it imports modules or components"))?;
    let page = 64 << 10;
    let needs = Needs {
        memories: usize::try_from(required.num_memories).unwrap_or(usize::MAX),
        core_instances,
        tables: usize::try_from(required.num_tables).unwrap_or(usize::MAX),
        memory_min_bytes: required
            .max_initial_memory_size
            .unwrap_or(0)
            .saturating_mul(page),
        table_min_elements: required.max_initial_table_size.unwrap_or(0),
    };
    let largest = Limits::largest();
    let as_count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    at_most("memories", needs.memories, largest.memories)?;
    at_most("tables", needs.tables, largest.tables)?;
    at_most(
        "bytes of memory",
        as_count(needs.memory_min_bytes),
        largest.memory_bytes,
    )?;
    at_most(
        "table elements",
        as_count(needs.table_min_elements),
        largest.table_elements,
    )?;
    Ok(needs)
}

fn at_most(what: &str, value: usize, max: usize) -> Result<(), Refusal> {
    if value <= max {
        return Ok(());
    }
    Err(Refusal::NeedsTooMuch {
        what: what.to_owned(),
        value: u64::try_from(value).unwrap_or(u64::MAX),
        max: u64::try_from(max).unwrap_or(u64::MAX),
    })
}

fn handler_name() -> String {
    format!("{HANDLER}#{HANDLE_MESSAGE}")
}
