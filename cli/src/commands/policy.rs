//! `caxton policy …`: the policy engine over files, which asks no node; `force` has what is in force on one.

mod force;

use std::path::{Path, PathBuf};

use caxton_api::types::{ConsideredRule, Evaluated};
use caxton_capabilities::Name;
use caxton_policy::{
    CASES_BYTES_MAX, Cases, Considered, DOCUMENT_BYTES_MAX, Engine, Lint, PolicyDocument, Said,
    Source, decode_request, import, lint, load,
};
use serde_json::{Value, json};

use super::{App, files::read};
use crate::{
    args::{InForce, PolicyCommand},
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
    values::harmless,
};

/// Of policies in files, which change no more while they are read.
const EPOCH: u64 = 1;

pub(super) async fn run(app: &App, command: PolicyCommand) -> Result<Exit, CliError> {
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
        PolicyCommand::Explain(args) if args.node => force::explain(app, &args).await,
        PolicyCommand::Explain(args) => explained(app, &args.request, &args.force),
        PolicyCommand::Apply(args) => force::apply(app, &args).await,
        PolicyCommand::List { paging } => force::list(app, paging).await,
        PolicyCommand::Show { name } => force::show(app, &name).await,
        PolicyCommand::Delete { name, yes } => force::delete(app, &name, yes).await,
        PolicyCommand::Import { file, author } => imported(app, &file, &author),
    }
}

fn imported(app: &App, file: &Path, author: &str) -> Result<Exit, CliError> {
    let bytes = read(file, DOCUMENT_BYTES_MAX)?;
    let imported = import(&bytes, &name(author)?).map_err(|problem| wrong(file, &problem))?;
    for lint in &imported.lints {
        app.terminal.hint(&told(lint));
    }
    let text = serde_saphyr::to_string(&imported.document).map_err(|error| {
        let what = "the document was not written";
        CliError::new(&explain::INTERNAL, Exit::Failed, what).because(&error)
    })?;
    app.terminal.write(&text)?;
    Ok(Exit::Ok)
}

fn test(app: &App, cases: &Path, force: &InForce) -> Result<Exit, CliError> {
    let engine = engine(force)?;
    let bytes = read(cases, CASES_BYTES_MAX)?;
    let cases = Cases::decode(&bytes).map_err(|problem| wrong(cases, &problem))?;
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
    let bytes = read(request, CASES_BYTES_MAX)?;
    let asked = decode_request(&bytes).map_err(|problem| wrong(request, &problem))?;
    let explanation = engine.explain(&asked);
    let evaluated = Evaluated {
        permitted: explanation.ruling.is_permit(),
        ruling: explanation.ruling.told(),
        epoch: EPOCH,
        considered: explanation.considered.iter().map(considered).collect(),
        passed_over: u64::try_from(explanation.passed_over).unwrap_or(u64::MAX),
    };
    tell(app, &evaluated)
}

fn considered(rule: &Considered) -> ConsideredRule {
    ConsideredRule {
        rule: rule.rule.to_string(),
        effect: if rule.permits { "permit" } else { "forbid" }.to_owned(),
        said: match &rule.said {
            Said::Applies => "applies".to_owned(),
            Said::DoesNotApply => "does not apply".to_owned(),
            Said::Failed(why) => format!("failed: {why}"),
        },
        decided: rule.is_determining,
    }
}

/// A decision looks the same, whoever made it.
fn tell(app: &App, evaluated: &Evaluated) -> Result<Exit, CliError> {
    if app.terminal.format.is_human() {
        app.terminal
            .list(&shapes::CONSIDERED, &evaluated.considered)?;
        app.terminal.line(&harmless(&evaluated.ruling, false))?;
    } else {
        app.terminal.item(&shapes::RULING, evaluated)?;
    }
    Ok(Exit::Ok)
}

fn engine(force: &InForce) -> Result<Engine, CliError> {
    let (owner, documents) = (name(&force.owner)?, documents(&force.policies)?);
    let source = Source {
        epoch: EPOCH,
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

fn documents(files: &[PathBuf]) -> Result<Vec<PolicyDocument>, CliError> {
    files.iter().map(|file| document(file)).collect()
}

fn document(file: &Path) -> Result<PolicyDocument, CliError> {
    let bytes = read(file, DOCUMENT_BYTES_MAX)?;
    PolicyDocument::decode(&bytes).map_err(|problem| wrong(file, &problem))
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

fn wrong(path: &Path, problem: &caxton_policy::Problem) -> CliError {
    let what = format!("`{}` is not what is due", path.display());
    CliError::new(&explain::INPUT, Exit::Usage, what).why(problem.to_string())
}
