//! `caxton agent new`: a project that builds, in a folder that did not exist.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use caxton_capabilities::id::Name;
use serde_json::json;

use super::{
    App,
    templates::{Content, files},
};
use crate::{
    args::{Lang, NewAgent},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

pub(super) fn new(app: &App, args: &NewAgent) -> Result<Exit, CliError> {
    let name: Name = args.name.parse().map_err(|error| {
        let what = format!("`{}` is not the name of an agent", args.name);
        CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
    })?;
    let folder = args
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(name.as_str()));
    let written = write(&folder, name.as_str(), args.lang).map_err(|error| {
        let what = format!("{} cannot be made", folder.display());
        let cannot = CliError::new(&explain::OUTPUT, Exit::Failed, what).because(&error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => CliError {
                exit: Exit::Conflict,
                ..cannot
            }
            .fix("choose another folder with --dir, or remove that one"),
            _ => cannot,
        }
    })?;
    let shown = folder.display();
    let made = json!({ "name": name.as_str(), "folder": shown.to_string(), "files": written });
    app.terminal.item_as(&shapes::OUTCOME, &made, |_| {
        format!("✓ {shown}: {} files\n", written.len())
    })?;
    app.terminal.hint(&format!(
        "  next  cd {shown} && ./build.sh && caxton agent deploy ./{name}.wasm    (README.md tells what it needs)"
    ));
    Ok(Exit::Ok)
}

/// Writes the project; what was written before a failure stays, for a person to look at.
fn write(folder: &Path, name: &str, lang: Lang) -> io::Result<Vec<String>> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().create(folder)?;
    let mut written = Vec::new();
    for file in files(lang) {
        let path = folder.join(file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match file.content {
            Content::Template(text) => fs::write(&path, text.replace("{{name}}", name))?,
            Content::Text(text) => fs::write(&path, text)?,
            Content::Bytes(bytes) => fs::write(&path, bytes)?,
        }
        if file.path.ends_with(".sh") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        written.push(file.path.to_owned());
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_filled_in_and_never_overwrites() {
        let home = tempfile::tempdir().unwrap();
        for lang in [Lang::Rust, Lang::C, Lang::Js, Lang::Python] {
            let folder = home.path().join(format!("deep/{lang:?}"));
            let written = write(&folder, "my-agent", lang).unwrap();
            assert!(written.contains(&"wit/agent.wit".to_owned()), "{lang:?}");
            for path in &written {
                let bytes = fs::read(folder.join(path)).unwrap();
                assert!(
                    !String::from_utf8_lossy(&bytes).contains("{{name}}"),
                    "{lang:?} {path}"
                );
            }
            let mode = fs::metadata(folder.join("build.sh"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o111, 0o111, "{lang:?}: build.sh can be run");
            let again = write(&folder, "my-agent", lang).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        }
    }
}
