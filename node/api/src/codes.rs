//! The error codes: what `caxton explain CODE` prints and what a problem's title and remedy are.
//! A code is never given another meaning; one that is no longer used stays reserved.

/// What is known about one code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code {
    /// `CX` and four digits; the first two are those of the HTTP status class it goes with.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What it means, in a few words.
    pub title: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// More, for `caxton explain`.
    pub more: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = ($code:literal, $status:literal, $title:literal, $remedy:literal, $more:literal);)*) => {
        $($(#[$doc])* pub const $name: Code = Code { code: $code, status: $status, title: $title, remedy: $remedy, more: $more };)*
        /// Every code, in order.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    /// The request does not parse.
    BAD_REQUEST = ("CX0400", 400, "bad request", "correct the request as the detail says; the shapes are in /api/v1/openapi.json",
        "A body, a parameter or a header does not parse or has an unknown field. Nothing was done.");
    /// A name, id or value is outside its grammar.
    INVALID_VALUE = ("CX0422", 422, "invalid value", "give a value within the bounds that the detail names",
        "The request parses, but a value in it is outside its grammar or bounds: a name is 3 to 64 characters of a-z, 0-9 and hyphen; limits are listed by `caxton node limits`.");
    /// No or a wrong credential.
    UNAUTHENTICATED = ("CX0401", 401, "not authenticated", "select a context that has a credential for this node: caxton context ls",
        "The request carries no API key, or one that this node does not know. A development node writes its key into the context `dev`; another HOME has no such context.");
    /// The policy does not permit it.
    FORBIDDEN = ("CX0403", 403, "not permitted", "ask the owner of the node for a rule that permits it",
        "The caller is known, but no policy rule permits the action. A deny is not an error of the node.");
    /// A deployment or a message that is not as it was signed, or a deployment that is not signed.
    NOT_SIGNED = ("CX0419", 403, "it is not as it was signed", "sign it anew: caxton agent deploy signs deployments, caxton message send --sign messages",
        "A deployment carries a manifest that a deployer signed (docs/manifest.md): agent, program, limits, protocols, services, rights and imports. One without (unless security.require_signed_deployment is off), one that differs from it, and one that is older than what runs are refused. The signature of a message (docs/messages.md) counts for that message alone, for five minutes and once.");
    /// The key of a manifest is nobody's.
    UNKNOWN_DEPLOYER = ("CX0420", 403, "nobody here knows the deployer's key", "have it added: caxton operator key NAME --add FILE.pub",
        "The manifest of a deployment is signed with a key that no operator of this cluster has, or whose operator was revoked.");
    /// There is no such thing.
    NOT_FOUND = ("CX0404", 404, "not found", "list what exists, then use one of those names",
        "No agent, message, trace, program or path of that name exists, or the caller may not know of it.");
    /// Wrong method.
    METHOD_NOT_ALLOWED = ("CX0405", 405, "method not allowed", "use a method that /api/v1/openapi.json lists for this path",
        "The path exists, the method does not.");
    /// State does not allow it.
    CONFLICT = ("CX0409", 409, "conflict", "look at the current state, then decide again",
        "The thing is not in a state in which this can be done: another deployment is under way, or the agent is stopped.");
    /// `if_version` did not match.
    VERSION_MISMATCH = ("CX0412", 412, "version mismatch", "inspect the agent and repeat with the version that it has now",
        "Somebody deployed in between. Nothing was changed.");
    /// The program was refused.
    PROGRAM_REFUSED = ("CX0413", 422, "the program cannot run here", "build it against the world caxton:agent: caxton agent new --lang rust|c|js|python NAME writes a working project",
        "A program is a WebAssembly component of the world `caxton:agent`, or a core module that embeds that component type. It may import only `caxton:agent/*`, must export `caxton:agent/handler`, and must compile within the limits of the compile process.");
    /// The new version failed its trial.
    TRIAL_FAILED = ("CX0414", 422, "the new version failed its trial", "read the reason and the agent's log; the version before goes on running",
        "Before a version takes over, an instance is started and handed a health message (content type application/vnd.caxton.health+json). A trap, a timeout or an answer of `failure` keeps the version before in place.");
    /// A body is too large.
    TOO_LARGE = ("CX0416", 413, "too large", "send less; the limit is in the detail",
        "Bodies are bounded before they are read into memory.");
    /// An illegal speech act.
    ILLEGAL_ACT = ("CX0418", 409, "illegal speech act", "send an act that the protocol allows in that state",
        "The receiver declares an interaction protocol, and the act is not one that the conversation's state allows. The detail names the state.");
    /// Bad content type.
    UNSUPPORTED_MEDIA = ("CX0415", 415, "unsupported media type", "send application/json, or application/wasm for a program",
        "The content type of the body is not one that this path takes.");
    /// Full.
    BUSY = ("CX0429", 429, "busy", "try again after the time in Retry-After; raise the limit if it lasts",
        "A bound was reached: the agent's mailbox, the tenant's messages under way, the compile queue or the store. Nothing was accepted, nothing is lost.");
    /// Inside.
    INTERNAL = ("CX0500", 500, "internal error", "look for the trace id in the node's log and report it",
        "Something that must hold did not. The inside story is in the node's log under the trace id.");
    /// No answer in time.
    NO_ANSWER = ("CX0504", 504, "no answer in time", "look where the message is: caxton message trace ID; wait longer with --timeout",
        "The message was accepted, but no answer came within the time given. It may still be handled.");
    /// Not writable.
    NOT_DURABLE = ("CX0507", 503, "the store takes no writes", "free space on the data disk or mend it, then try again",
        "What cannot be made durable is refused. Reading goes on.");
    /// Draining or starting.
    NOT_READY = ("CX0503", 503, "the node is not ready", "try again later, or another node",
        "The node is starting or draining.");
    /// No room for another agent.
    AT_CAPACITY = ("CX0508", 503, "no room for another agent", "stop an agent, or raise vm.max_map_count: sysctl vm.max_map_count=1048576",
        "A running agent takes about six memory mappings; the kernel's vm.max_map_count bounds them. The node sized its pool by it at start.");
}

/// Finds a code, in any case.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    ALL.iter()
        .find(|known| known.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_complete() {
        let mut seen = std::collections::BTreeSet::new();
        for code in ALL {
            assert!(seen.insert(code.code), "{} stands twice", code.code);
            assert!(
                code.code.len() == 6 && code.code.starts_with("CX"),
                "{}",
                code.code
            );
            assert!(
                (400..600).contains(&code.status)
                    && !code.remedy.is_empty()
                    && !code.more.is_empty()
            );
        }
        assert_eq!(find("cx0413"), Some(&PROGRAM_REFUSED));
    }
}
