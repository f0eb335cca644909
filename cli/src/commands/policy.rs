//! `caxton policy …`: the policy engine over files. It asks no node.

use std::{fs, path::Path};

use caxton_capabilities::Name;
use caxton_policy::{
    Cases, Engine, Lint, PolicyDocument, Said, Source, decode_request, import, lint, load,
};
use serde_json::{Value, json};

use super::App;
use crate::{
    args::{InForce, PolicyCommand},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
};

pub(super) fn run(app: &App, command: PolicyCommand) -> Result<Exit, CliError> {
    match command {
        PolicyCommand::Lint { files } => {
            let documents = documents(&files)?;
            let found = lint(&documents, None);
            let rows: Vec<Value> = found.iter().map(row).collect();
            app.terminal.list(&shapes::LINT, &rows)?;
            Ok(match found.is_empty() {
                true => Exit::Ok,
                false => Exit::Findings,
            })
        }
        PolicyCommand::Test { cases, force } => test(app, &cases, &force),
        PolicyCommand::Explain { request, force } => explained(app, &request, &force),
        PolicyCommand::Import { file, author } => {
            let imported =
                import(&read(&file)?, &name(&author)?).map_err(|problem| wrong(&file, &problem))?;
            for lint in &imported.lints {
                app.terminal.hint(&told(lint));
            }
            let text = serde_saphyr::to_string(&imported.document).map_err(|error| {
                CliError::new(
                    &explain::INTERNAL,
                    Exit::Failed,
                    "the document was not written",
                )
                .because(&error)
            })?;
            app.terminal.write(&text)?;
            Ok(Exit::Ok)
        }
    }
}

fn test(app: &App, cases: &Path, force: &InForce) -> Result<Exit, CliError> {
    let engine = engine(force)?;
    let cases = Cases::decode(&read(cases)?).map_err(|problem| wrong(cases, &problem))?;
    let outcomes = cases.run(&engine);
    let rows: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let state = if outcome.failure.is_none() {
                "ok"
            } else {
                "failed"
            };
            json!({
                "name": outcome.name,
                "state": state,
                "ruling": outcome.ruling.told(),
                "failure": outcome.failure,
            })
        })
        .collect();
    app.terminal.list(&shapes::CASE, &rows)?;
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.failure.is_some())
        .count();
    app.terminal
        .hint(&format!("{} cases, {failed} failed", outcomes.len()));
    Ok(match failed {
        0 => Exit::Ok,
        _ => Exit::Failed,
    })
}

fn explained(app: &App, request: &Path, force: &InForce) -> Result<Exit, CliError> {
    let engine = engine(force)?;
    let asked = decode_request(&read(request)?).map_err(|problem| wrong(request, &problem))?;
    let explanation = engine.explain(&asked);
    let considered: Vec<Value> = explanation
        .considered
        .iter()
        .map(|rule| {
            let said = match &rule.said {
                Said::Applies => "applies".to_owned(),
                Said::DoesNotApply => "does not apply".to_owned(),
                Said::Failed(why) => format!("failed: {why}"),
            };
            json!({
                "rule": &*rule.rule,
                "effect": if rule.permits { "permit" } else { "forbid" },
                "said": said,
                "decided": rule.is_determining,
            })
        })
        .collect();
    if app.terminal.format.is_human() {
        app.terminal.list(&shapes::CONSIDERED, &considered)?;
        app.terminal.line(&explanation.ruling.told())?;
    } else {
        let ruling = json!({
            "permitted": explanation.ruling.is_permit(),
            "ruling": explanation.ruling.told(),
            "considered": considered,
            "passed_over": explanation.passed_over,
        });
        app.terminal.item(&shapes::RULING, &ruling)?;
    }
    Ok(Exit::Ok)
}

fn engine(force: &InForce) -> Result<Engine, CliError> {
    let (owner, documents) = (name(&force.owner)?, documents(&force.policies)?);
    let source = Source {
        epoch: 1,
        owner: Some(&owner),
        documents: &documents,
    };
    load(&source).map_err(|problems| {
        let mut error = CliError::new(&explain::INPUT, Exit::Usage, "the policies do not load");
        for problem in problems.told() {
            error = error.why(problem.to_string());
        }
        error
    })
}

fn documents(files: &[std::path::PathBuf]) -> Result<Vec<PolicyDocument>, CliError> {
    let one = |file: &std::path::PathBuf| {
        PolicyDocument::decode(&read(file)?).map_err(|problem| wrong(file, &problem))
    };
    files.iter().map(one).collect()
}

fn row(lint: &Lint) -> Value {
    json!({
        "code": lint.code.to_string(),
        "document": lint.document.as_str(),
        "rule": lint.rule,
        "place": lint.place.map(|place| place.to_string()),
        "message": lint.message,
    })
}

fn told(lint: &Lint) -> String {
    format!(
        "{}: {}/{}: {}",
        lint.code, lint.document, lint.rule, lint.message
    )
}

fn name(text: &str) -> Result<Name, CliError> {
    text.parse().map_err(|error| {
        CliError::new(
            &explain::INPUT,
            Exit::Usage,
            format!("`{text}` is no operator's name"),
        )
        .because(&error)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|error| {
        let what = format!("`{}` cannot be read", path.display());
        CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
    })
}

fn wrong(path: &Path, problem: &caxton_policy::Problem) -> CliError {
    let what = format!("`{}` is not what is due", path.display());
    CliError::new(&explain::INPUT, Exit::Usage, what).why(problem.to_string())
}
