//! The configuration as an operator meets it: which source wins, what an error looks like, and that
//! the files we ship are true.

mod example;
mod hostile;
mod precedence;
mod problems;
mod unit_file;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{ConfigError, Flags, Loaded, load::load_with};

/// A machine with a home folder, files and an environment of its own.
struct Machine {
    root: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home").display().to_string();
        Self {
            root,
            environment: [("HOME".to_owned(), home)].into(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn system_file(&self) -> PathBuf {
        self.path("etc/caxton/node.yaml")
    }

    fn user_file(&self) -> PathBuf {
        self.path("home/.config/caxton/node.yaml")
    }

    fn write(self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Self {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self, flags: &Flags) -> Result<Loaded, ConfigError> {
        load_with(
            flags,
            &|name| self.environment.get(name).cloned(),
            &self.system_file(),
        )
    }

    /// The error's text, with the machine's folder cut away.
    fn refused(&self, flags: &Flags) -> String {
        let error = self.load(flags).expect_err("the configuration is refused");
        error
            .to_string()
            .replace(&format!("{}/", self.root.path().display()), "")
    }
}

/// The configuration that this file alone makes.
fn of_file(text: &str) -> Result<Loaded, ConfigError> {
    let machine = Machine::new().write("node.yaml", text);
    machine.load(&Flags {
        config: Some(machine.path("node.yaml")),
        ..Flags::default()
    })
}

fn origin(loaded: &Loaded, key: &str) -> (String, String) {
    let setting = loaded.origins.iter().find(|setting| setting.key == key);
    let setting = setting.unwrap_or_else(|| panic!("no setting `{key}`"));
    (setting.value.clone(), setting.origin.to_string())
}
