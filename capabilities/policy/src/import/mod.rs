//! The YAML form of earlier systems into a policy document.
//!
//! Its subjects, resources and conditions become Cedar conditions; what it leaves out it does not ask about.
//! It says that deny beats allow and then often ends with a rule that denies everything, which would deny
//! every request: such a rule says what holds anyway, so it is left out, with a warning.

mod cedar;
mod raw;

use caxton_capabilities::Name;

use crate::{
    document::{DOCUMENT_BYTES_MAX, PolicyDocument, rule_name},
    lint::{Code, Lint},
    problem::Problem,
    yaml,
};

/// Rules of one file.
pub const RULES_MAX: usize = 1_000;

/// What became of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The document. It is not loaded yet: names it uses are checked by [`load`](crate::load).
    pub document: PolicyDocument,
    /// What was left out, or looks wrong.
    pub lints: Vec<Lint>,
}

/// Makes a document of YAML; `author` is who asks for it.
///
/// # Errors
/// The bytes are no such file: an unknown key or value, with its place, or too much of it.
pub fn import(bytes: &[u8], author: &Name) -> Result<Imported, Problem> {
    let raw::File { policy } = yaml::read(bytes, DOCUMENT_BYTES_MAX)?;
    if policy.rules.len() > RULES_MAX {
        let found = policy.rules.len();
        let message = format!("there are {found} rules, {RULES_MAX} are the most");
        return Err(Problem::new(message).within(&policy.name));
    }
    let mut text = String::new();
    let mut lints = Vec::new();
    for rule in &policy.rules {
        rule_name(rule.name.as_str())
            .map_err(|message| Problem::new(message).within(&policy.name))?;
        if rule.is_default() {
            lints.push(Lint::new(
                Code::DefaultDeny,
                &policy.name,
                rule.name.as_str(),
                "an unconditional deny is the default already; taken literally it would deny every request, so it is left out",
            ));
            continue;
        }
        cedar::write(&mut text, rule);
    }
    let document = PolicyDocument {
        name: policy.name,
        version: policy.version.unwrap_or(1),
        author: author.clone(),
        text,
    };
    document.check_size()?;
    Ok(Imported { document, lints })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Place, Source, load};

    const SEED: &str = "\
policy:
  name: engineering-production
  description: who gets to production
  rules:
    - name: allow-ssh-production
      action: allow
      subjects:
        groups: [engineering]
        attributes: {role: senior-engineer}
      resources:
        networks: [10.100.0.0/16]
        ports: [22, 8000-8100]
        protocols: [tcp]
      conditions:
        time:
          days: [monday, tuesday, wednesday, thursday, friday]
          hours: \"08:00-20:00\"
          timezone: America/New_York
        device: {os: [macOS, Linux], posture: compliant}
    - name: deny-nights
      action: deny
      operations: [deploy]
      conditions:
        time: {hours: \"22:00-06:00\", timezone: Europe/Berlin}
    - name: deny-all
      action: deny
      subjects: {}
      resources: {}
";

    fn imported(text: &str) -> Result<Imported, Problem> {
        import(text.as_bytes(), &"ada".parse().unwrap())
    }

    #[test]
    fn the_form_of_earlier_systems_becomes_cedar_that_loads() {
        let imported = imported(SEED).unwrap();
        let expected = include_str!("expected.cedar");
        assert_eq!(
            imported.document.text, expected,
            "{}",
            imported.document.text
        );
        let documents = [imported.document];
        let engine = load(&Source {
            epoch: 1,
            owner: None,
            documents: &documents,
        })
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
        let ours = engine.rules().filter(|rule| !rule.starts_with("builtin/"));
        assert_eq!(ours.count(), 2);
    }

    #[test]
    fn an_unconditional_deny_is_left_out_with_a_warning() {
        let lints = imported(SEED).unwrap().lints;
        assert_eq!(lints.len(), 1);
        assert_eq!(lints[0].code.as_str(), "CX-POL-012");
        assert_eq!(lints[0].rule, "deny-all");
    }

    #[track_caller]
    fn refused(find: &str, replace: &str, line: usize, says: &str) {
        assert!(SEED.contains(find));
        let problem = imported(&SEED.replace(find, replace)).unwrap_err();
        assert_eq!(
            problem.place.map(|Place { line, .. }| line),
            Some(line),
            "{problem}"
        );
        assert!(problem.message.contains(says), "{problem}");
    }

    #[test]
    fn what_is_not_known_is_an_error_with_its_place() {
        refused("posture:", "postur:", 19, "postur");
        refused(
            "subjects:\n        groups",
            "subject:\n        groups",
            7,
            "subject",
        );
        refused("action: allow", "action: alow", 6, "alow");
        refused("America/New_York", "America/New_Yorck", 18, "time zone");
        refused("08:00-20:00", "08:00-25:00", 17, "hours");
        refused("10.100.0.0/16", "10.100.0.0/33", 11, "network");
        refused("8000-8100", "8100-8000", 12, "port");
        refused("22,", "70000,", 12, "port");
        refused("[monday,", "[moonday,", 16, "moonday");
        refused("[deploy]", "[deplo]", 22, "deplo");
    }

    #[test]
    fn text_of_others_stays_inside_its_quotes() {
        let text = SEED.replace("senior-engineer", "'\" || true || \"\\'");
        let imported = imported(&text).unwrap();
        assert!(
            imported
                .document
                .text
                .contains("\"\\\" || true || \\\"\\\\\"")
        );
        let documents = [imported.document];
        let source = Source {
            epoch: 1,
            owner: None,
            documents: &documents,
        };
        assert!(load(&source).is_ok());
    }
}
