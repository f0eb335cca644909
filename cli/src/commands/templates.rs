//! The files of a new agent project, embedded when the command is compiled: the template of its
//! language, the contract, and what the language needs of the SDK. A test holds the lists against
//! the folders, so that a new file cannot be forgotten.

use crate::args::Lang;

/// One file of a project.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    /// Where in the project.
    pub(super) path: &'static str,
    /// What stands in it; `{{name}}` in a template is filled in.
    pub(super) content: Content,
}

/// What stands in a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    /// Text of a template.
    Template(&'static str),
    /// Text that is taken as it is.
    Text(&'static str),
    /// Bytes that are taken as they are.
    Bytes(&'static [u8]),
}

macro_rules! template {
    ($lang:literal: $($path:literal $(from $file:literal)?),* $(,)?) => {
        &[$(File { path: $path, content: Content::Template(template!(@file $lang $path $($file)?)) }),*]
    };
    (@file $lang:literal $path:literal $file:literal) => {
        include_str!(concat!("../../templates/", $lang, "/", $file))
    };
    (@file $lang:literal $path:literal) => {
        include_str!(concat!("../../templates/", $lang, "/", $path))
    };
}

const RUST: &[File] = template!("rust":
    "src/lib.rs", "Cargo.toml" from "Cargo.toml.template", "README.md", ".gitignore", "build.sh");
const C: &[File] = template!("c": "handler.c", "README.md", ".gitignore", "build.sh");
const JS: &[File] =
    template!("js": "agent.js", "package.json", "README.md", ".gitignore", "build.sh");
const PYTHON: &[File] = template!("python": "app.py", "README.md", ".gitignore", "build.sh");

macro_rules! text {
    ($path:literal, $file:literal) => {
        File {
            path: $path,
            content: Content::Text(include_str!(concat!("../../../sandbox/", $file))),
        }
    };
}

const CONTRACT: &[File] = &[text!("wit/agent.wit", "wit/agent.wit")];

const RUST_SDK: &[File] = &[
    text!("sdk/Cargo.toml", "sdk-rust/Cargo.toml"),
    text!("sdk/src/lib.rs", "sdk-rust/src/lib.rs"),
    text!("sdk/src/host.rs", "sdk-rust/src/host.rs"),
    text!("sdk/src/authority.rs", "sdk-rust/src/authority.rs"),
    text!("sdk/src/fake.rs", "sdk-rust/src/fake.rs"),
    text!(
        "sdk/src/fake/authority.rs",
        "sdk-rust/src/fake/authority.rs"
    ),
];

const C_BINDINGS: &[File] = &[
    text!("bindings/agent.c", "demos/counter-c/bindings/agent.c"),
    text!("bindings/agent.h", "demos/counter-c/bindings/agent.h"),
    File {
        path: "bindings/agent_component_type.o",
        content: Content::Bytes(include_bytes!(
            "../../../sandbox/demos/counter-c/bindings/agent_component_type.o"
        )),
    },
];

/// The files of a project in a language.
pub(super) fn files(lang: Lang) -> impl Iterator<Item = &'static File> {
    let (template, sdk): (&[File], &[File]) = match lang {
        Lang::Rust => (RUST, RUST_SDK),
        Lang::C => (C, C_BINDINGS),
        Lang::Js => (JS, &[]),
        Lang::Python => (PYTHON, &[]),
    };
    template.iter().chain(CONTRACT).chain(sdk)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn on_disk(folder: &Path) -> BTreeSet<String> {
        fn walk(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), &format!("{name}/"), found);
                } else {
                    found.insert(name.trim_end_matches(".template").to_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(folder, "", &mut found);
        found
    }

    fn embedded(files: &[File], strip: &str) -> BTreeSet<String> {
        files
            .iter()
            .map(|file| file.path.strip_prefix(strip).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn no_file_of_a_template_is_forgotten() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (folder, files) in [("rust", RUST), ("c", C), ("js", JS), ("python", PYTHON)] {
            let here = on_disk(&root.join("templates").join(folder));
            assert_eq!(embedded(files, ""), here, "{folder}");
        }
        let sandbox = root.join("../sandbox");
        let sdk = embedded(RUST_SDK.get(1..).unwrap(), "sdk/src/");
        assert_eq!(sdk, on_disk(&sandbox.join("sdk-rust/src")), "the SDK");
        let bindings = embedded(C_BINDINGS, "bindings/");
        assert_eq!(
            bindings,
            on_disk(&sandbox.join("demos/counter-c/bindings")),
            "the bindings"
        );
    }
}
