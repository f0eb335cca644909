//! One rule of the YAML form as a Cedar policy. What every rule of the form means is in docs/policy.md.

use std::fmt::Write as _;

use caxton_capabilities::PolicyAction;

use super::raw::{
    Conditions, Device, Effect, Hours, Network, Ports, Resources, Rule, Subjects, Time, Word,
};

/// Appends the policy to `text`.
pub(super) fn write(text: &mut String, rule: &Rule) {
    let effect = match rule.action {
        Effect::Allow => "permit",
        Effect::Deny => "forbid",
    };
    let mut actions: Vec<PolicyAction> = rule.operations.iter().map(|word| word.0.0).collect();
    if actions.is_empty() {
        actions.push(PolicyAction::Connect);
    }
    actions.sort();
    actions.dedup();
    let actions = list(actions.iter().map(|action| format!("Action::\"{action}\"")));
    let mut parts = Vec::new();
    subjects(&mut parts, &rule.subjects);
    resources(&mut parts, &rule.resources);
    conditions(&mut parts, &rule.conditions);
    // INVARIANT: writing into a `String` cannot fail.
    let _ = write!(
        text,
        "@id({:?})\n{effect} (principal, action in {actions}, resource)",
        rule.name.as_str()
    );
    if !parts.is_empty() {
        let _ = write!(text, "\nwhen {{\n  {}\n}}", parts.join(" &&\n  "));
    }
    text.push_str(";\n\n");
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn quoted(text: impl AsRef<str>) -> String {
    let mut quoted = String::from("\"");
    for character in text.as_ref().chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // A line break or worse in a policy would be read by people as something else.
            _ if character.is_control() => {
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

fn subjects(parts: &mut Vec<String>, subjects: &Subjects) {
    let mut anyone = Vec::new();
    if !subjects.groups.is_empty() {
        let groups = subjects
            .groups
            .iter()
            .map(|group| format!("Group::{}", quoted(group)));
        anyone.push(format!("principal in {}", list(groups)));
    }
    if !subjects.operators.is_empty() {
        let names = subjects
            .operators
            .iter()
            .map(|name| format!("Operator::\"{name}\""));
        anyone.push(format!("principal in {}", list(names)));
    }
    if !subjects.agents.is_empty() {
        let names = subjects
            .agents
            .iter()
            .map(|name| format!("Agent::\"{name}\""));
        anyone.push(format!("principal in {}", list(names)));
    }
    either(parts, anyone);
    for (name, value) in &subjects.attributes {
        let (name, value) = (quoted(name), quoted(value));
        parts.push(format!(
            "principal.hasTag({name}) && principal.getTag({name}) == {value}"
        ));
    }
}

fn resources(parts: &mut Vec<String>, resources: &Resources) {
    if !resources.tenants.is_empty() {
        let tenants = resources
            .tenants
            .iter()
            .map(|tenant| format!("Tenant::\"{tenant}\""));
        let tenants = list(tenants);
        parts.push(format!(
            "resource has tenant && {tenants}.contains(resource.tenant)"
        ));
    }
    if !resources.agents.is_empty() {
        let agents = resources
            .agents
            .iter()
            .map(|agent| format!("Agent::\"{agent}\""));
        parts.push(format!("resource in {}", list(agents)));
    }
    networks(parts, "dst_ip", &resources.networks);
    if !resources.ports.is_empty() {
        parts.push("context has dst_port".to_owned());
        either(parts, ports(&resources.ports));
    }
    words(parts, "protocol", &resources.protocols);
}

fn ports(ports: &[Word<Ports>]) -> Vec<String> {
    let single = |ports: &Ports| ports.0 == ports.1;
    let listed: Vec<_> = ports
        .iter()
        .map(|word| &word.0)
        .filter(|ports| single(ports))
        .collect();
    let mut any = Vec::new();
    if !listed.is_empty() {
        let listed = list(listed.iter().map(|ports| ports.0.to_string()));
        any.push(format!("{listed}.contains(context.dst_port)"));
    }
    for Ports(first, last) in ports
        .iter()
        .map(|word| &word.0)
        .filter(|ports| !single(ports))
    {
        any.push(format!(
            "(context.dst_port >= {first} && context.dst_port <= {last})"
        ));
    }
    any
}

fn conditions(parts: &mut Vec<String>, conditions: &Conditions) {
    if let Some(time) = &conditions.time {
        self::time(parts, time);
    }
    if let Some(device) = &conditions.device {
        self::device(parts, device);
    }
    networks(parts, "address", &conditions.addresses);
    if let Some(most) = conditions.risk_max {
        parts.push(format!("context has risk && context.risk <= {most}"));
    }
    words(parts, "classification", &conditions.classification);
}

fn time(parts: &mut Vec<String>, time: &Time) {
    let clock = format!("context.clock[{}]", quoted(&time.timezone.0.0));
    if !time.days.is_empty() {
        let days = list(time.days.iter().map(|day| quoted(day.0.0)));
        parts.push(format!("{days}.contains({clock}.weekday)"));
    }
    if let Some(Word(Hours(start, end))) = &time.hours {
        let join = if start < end { "&&" } else { "||" };
        parts.push(format!(
            "({clock}.minute >= {start} {join} {clock}.minute < {end})"
        ));
    }
}

fn device(parts: &mut Vec<String>, device: &Device) {
    parts.push("context has device".to_owned());
    if !device.os.is_empty() {
        let systems = list(device.os.iter().map(quoted));
        parts.push(format!("{systems}.contains(context.device.os)"));
    }
    if let Some(posture) = &device.posture {
        parts.push(format!("context.device.posture == {}", quoted(posture)));
    }
}

fn networks(parts: &mut Vec<String>, attribute: &str, networks: &[Word<Network>]) {
    if networks.is_empty() {
        return;
    }
    parts.push(format!("context has {attribute}"));
    let ranges = networks.iter().map(|network| {
        let network = quoted(&network.0.0);
        format!("context.{attribute}.isInRange(ip({network}))")
    });
    either(parts, ranges.collect());
}

fn words(parts: &mut Vec<String>, attribute: &str, words: &[String]) {
    if !words.is_empty() {
        let words = list(words.iter().map(quoted));
        parts.push(format!(
            "context has {attribute} && {words}.contains(context.{attribute})"
        ));
    }
}

/// One of them, in brackets where there are more.
fn either(parts: &mut Vec<String>, any: Vec<String>) {
    match any.as_slice() {
        [] => {}
        [one] => parts.push(one.clone()),
        more => parts.push(format!("({})", more.join(" || "))),
    }
}
