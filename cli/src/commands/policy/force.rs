//! Policies in force on a node: put there, listed, shown, taken away, asked. What a file says is read here; whether it
//! may be in force, the node decides.

use std::path::Path;

use caxton_api::{
    codes, paths,
    types::{EvaluatePolicies, Evaluated, Policy, PolicyApplied, PolicyDraft, PolicyWish},
};
use caxton_capabilities::Name;
use caxton_policy::{CASES_BYTES_MAX, TEXT_BYTES_MAX, decode_request};
use reqwest::Method;
use serde_json::Value;

use super::{
    super::{
        App, agreed, done,
        files::{read, read_text},
        suggest_named,
    },
    document, tell, wrong,
};
use crate::{
    args::{ApplyPolicy, ExplainRequest, Paging},
    client::Request,
    error::CliError,
    exit::Exit,
    explain,
    render::shapes,
    values::harmless,
};

/// Where names are to be found.
const LIST: &str = "caxton policy list";

/// A document to apply.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Draft {
    name: Name,
    text: String,
    /// The version that must be in force, where the file says which it follows.
    follows: Option<u64>,
}

/// Reads a document in YAML, or Cedar alone under its file's name.
fn draft(file: &Path) -> Result<Draft, CliError> {
    if file
        .extension()
        .is_some_and(|extension| extension == "cedar")
    {
        return Ok(Draft {
            name: stem(file)?,
            text: read_text(file, TEXT_BYTES_MAX)?,
            follows: None,
        });
    }
    let document = document(file)?;
    Ok(Draft {
        name: document.name,
        text: document.text,
        follows: document.version.checked_sub(1),
    })
}

fn stem(file: &Path) -> Result<Name, CliError> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    stem.parse().map_err(|error| {
        let what = format!("`{stem}` is no name of a policy document");
        CliError::new(&explain::INPUT, Exit::Usage, what)
            .because(&error)
            .fix("call the file NAME.cedar, or write a document in YAML, which names itself")
    })
}

pub(super) async fn apply(app: &App, args: &ApplyPolicy) -> Result<Exit, CliError> {
    let mut drafts = Vec::new();
    for file in &args.files {
        drafts.push(draft(file)?);
    }
    let client = app.client()?;
    let mut applied = Vec::new();
    let mut failed = None;
    for (file, draft) in args.files.iter().zip(drafts) {
        let path = paths::fill(paths::POLICY, &[draft.name.as_str()]);
        let wish = PolicyWish {
            text: draft.text,
            if_version: draft.follows,
            dry_run: args.dry_run,
        };
        let request = Request::new(Method::PUT, path).json(&wish)?;
        match client.call::<PolicyApplied>(request).await {
            Ok(one) => applied.push(one),
            Err(error) => {
                failed = Some(located(error, file, &draft.name));
                break;
            }
        }
    }
    // What was done is told before what was not.
    if failed.is_none() || !applied.is_empty() {
        show_applied(app, &applied)?;
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Exit::Ok),
    }
}

fn located(error: CliError, file: &Path, name: &Name) -> CliError {
    let what = format!("{}: {}", file.display(), error.what);
    let follows = error.code == codes::VERSION_MISMATCH.code;
    let error = error.about(what);
    match follows {
        true => error.fix_first(format!(
            "caxton policy show {name} -o yaml shows the version in force; the file must have the next"
        )),
        false => error,
    }
}

fn show_applied(app: &App, applied: &[PolicyApplied]) -> Result<(), CliError> {
    if !app.terminal.format.is_human() {
        return app.terminal.list(&shapes::APPLIED, applied);
    }
    for one in applied {
        app.terminal.line(&harmless(&told(one), false))?;
        for warning in &one.warnings {
            app.terminal
                .hint(&format!("  warning: {}", harmless(warning, false)));
        }
    }
    Ok(())
}

fn told(applied: &PolicyApplied) -> String {
    let (mark, would) = match applied.dry_run {
        true => ("·", "would be "),
        false => ("✓", ""),
    };
    let policy = &applied.policy;
    let rules = match policy.rules.len() {
        1 => "1 rule".to_owned(),
        several => format!("{several} rules"),
    };
    let (name, outcome, version) = (&policy.name, &applied.outcome, policy.version);
    format!("{mark} {name} {would}{outcome}: version {version}, {rules}")
}

pub(super) async fn list(app: &App, paging: Paging) -> Result<Exit, CliError> {
    let request = Request::get(paths::POLICIES);
    let policies: Vec<Policy> = app.client()?.list(request, paging.limit).await?;
    app.terminal.list(&shapes::POLICY, &policies)?;
    Ok(Exit::Ok)
}

/// People and pipes get the text, as it can be applied again; documents get all that is known of it.
pub(super) async fn show(app: &App, name: &str) -> Result<Exit, CliError> {
    let client = app.client()?;
    let path = paths::fill(paths::POLICY, &[name]);
    let policy: Policy = match client.call(Request::get(path)).await {
        Ok(policy) => policy,
        Err(error) => return Err(suggest_named(&client, paths::POLICIES, name, error, LIST).await),
    };
    if !app.terminal.format.is_human() {
        app.terminal.item(&shapes::POLICY, &policy)?;
        return Ok(Exit::Ok);
    }
    app.terminal
        .raw(policy.text.as_deref().unwrap_or_default().as_bytes())?;
    let said = format!(
        "  {} version {}, of {}, in force since {}",
        policy.name, policy.version, policy.author, policy.applied_at
    );
    app.terminal.hint(&harmless(&said, false));
    Ok(Exit::Ok)
}

pub(super) async fn delete(app: &App, name: &str, yes: bool) -> Result<Exit, CliError> {
    let consequence = format!("what policy `{name}` permits and forbids does not count any more");
    agreed(app, &consequence, name, yes)?;
    let client = app.client()?;
    let path = paths::fill(paths::POLICY, &[name]);
    match client
        .call_or_empty(Request::new(Method::DELETE, path))
        .await
    {
        Ok(answer) => done(
            app,
            &shapes::POLICY,
            &answer,
            &format!("{name} is out of force"),
        )?,
        Err(error) => return Err(suggest_named(&client, paths::POLICIES, name, error, LIST).await),
    }
    Ok(Exit::Ok)
}

pub(super) async fn explain(app: &App, args: &ExplainRequest) -> Result<Exit, CliError> {
    let with = match args.force.policies.as_slice() {
        [] => None,
        [file] => {
            let draft = draft(file)?;
            Some(PolicyDraft {
                name: draft.name.to_string(),
                text: draft.text,
            })
        }
        _ => {
            let what = "a node looks at one document beside those in force";
            return Err(CliError::new(&explain::INPUT, Exit::Usage, what)
                .fix("give --policy once, or leave --node out"));
        }
    };
    let asked = EvaluatePolicies {
        request: request(&args.request)?,
        with,
    };
    let order = Request::new(Method::POST, paths::POLICIES_EVALUATE).json(&asked)?;
    let evaluated: Evaluated = app.client()?.call(order).await?;
    tell(app, &evaluated)
}

/// The request of a file, in the form of the API. It is held to its form here, where its lines have numbers.
fn request(file: &Path) -> Result<Value, CliError> {
    let bytes = read(file, CASES_BYTES_MAX)?;
    decode_request(&bytes).map_err(|problem| wrong(file, &problem))?;
    // The bounds of nesting and size were held to just now, by the same library.
    serde_saphyr::from_slice(&bytes).map_err(|error| {
        let what = format!("`{}` is not what is due", file.display());
        CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn cedar_alone_goes_by_the_name_of_its_file() {
        let (_folder, path) = file(
            "orders-to-billing.cedar",
            "permit (principal, action, resource);",
        );
        let read = draft(&path).unwrap();
        assert_eq!(read.name.as_str(), "orders-to-billing");
        assert_eq!(read.text, "permit (principal, action, resource);");
        assert_eq!(read.follows, None, "a file without a version follows any");
        for name in ["Orders.cedar", "a b.cedar", "orders.policy.cedar", ".cedar"] {
            let (_folder, path) = file(name, "");
            assert_eq!(draft(&path).unwrap_err().exit, Exit::Usage, "{name}");
        }
    }

    #[test]
    fn a_document_follows_the_version_before_its_own() {
        let text = |version: u64| {
            format!(
                "name: messages\nversion: {version}\nauthor: ada\ntext: |\n  forbid (principal, action, resource);\n"
            )
        };
        for (version, follows) in [(0, None), (1, Some(0)), (7, Some(6))] {
            let (_folder, path) = file("any.policy.yaml", &text(version));
            let read = draft(&path).unwrap();
            assert_eq!((read.name.as_str(), read.follows), ("messages", follows));
            assert_eq!(read.text, "forbid (principal, action, resource);\n");
        }
    }

    #[test]
    fn text_that_no_node_takes_is_not_read_to_its_end() {
        let (_folder, path) = file("long.cedar", &" ".repeat(TEXT_BYTES_MAX + 1));
        assert_eq!(draft(&path).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn an_application_says_what_it_did_or_would_do() {
        let mut applied = PolicyApplied {
            outcome: "updated".to_owned(),
            dry_run: false,
            policy: Policy {
                name: "messages".to_owned(),
                version: 2,
                author: "ada".to_owned(),
                applied_at: "2026-11-22T00:00:00Z".to_owned(),
                digest: "00".to_owned(),
                rules: vec!["orders-to-billing".to_owned()],
                text: None,
            },
            warnings: Vec::new(),
        };
        assert_eq!(told(&applied), "✓ messages updated: version 2, 1 rule");
        applied.dry_run = true;
        applied.policy.rules.clear();
        assert_eq!(
            told(&applied),
            "· messages would be updated: version 2, 0 rules"
        );
    }

    #[test]
    fn a_request_reaches_the_node_as_it_was_written() {
        let (_folder, path) = file(
            "request.yaml",
            "principal: acme/orders\naction: send\nresource: agent:acme/billing\ncontext: {size: 12, time: 2026-11-22T22:30:00Z}\n",
        );
        assert_eq!(
            request(&path).unwrap(),
            json!({
                "principal": "acme/orders",
                "action": "send",
                "resource": "agent:acme/billing",
                "context": { "size": 12, "time": "2026-11-22T22:30:00Z" },
            })
        );
        let (_folder, path) = file("request.yaml", "principal: acme/orders\nwish: send\n");
        assert_eq!(request(&path).unwrap_err().exit, Exit::Usage);
    }
}
