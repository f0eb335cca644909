//! The codes of errors that the command line finds by itself, and the way to any code's explanation.
//! Those of a node are in `caxton-api`. `CX1…` are the command line's own; the last digits are free.

use caxton_api::codes::{self, Code};

macro_rules! own {
    ($($(#[$doc:meta])* $name:ident = ($code:literal, $title:literal, $remedy:literal, $more:literal);)*) => {
        $($(#[$doc])* pub const $name: Code = Code { code: $code, status: 0, title: $title, remedy: $remedy, more: $more };)*
        /// Every code of the command line, in order.
        pub const OWN: &[Code] = &[$($name),*];
    };
}

own! {
    /// The command does not parse.
    USAGE = ("CX1001", "usage", "see --help of the command",
        "The command, one of its flags or one of its values is not known or not complete. Nothing was done.");
    /// An input file or value is not usable.
    INPUT = ("CX1002", "bad input", "correct the value or the file that is named",
        "A file or value given to the command cannot be read or means nothing. Nothing was sent to a node.");
    /// A confirmation is needed.
    CONFIRM = ("CX1003", "confirmation needed", "repeat the command with --yes",
        "What cannot be undone, or stops the work of others, asks for the name of the thing on a terminal. In a script, where there is nobody to ask, it needs --yes.");
    /// No context.
    NO_CONTEXT = ("CX1004", "no context", "start a node here with caxton node start, or add a context: caxton context add --help",
        "A context holds a node's address, the certificate authority to trust, and the API key. A development node writes the context `dev` when it is ready. Contexts are files in ${XDG_CONFIG_HOME:-~/.config}/caxton/contexts.");
    /// A context file is damaged.
    BAD_CONTEXT = ("CX1005", "the context cannot be used", "add it again: caxton context add --help",
        "The file of the context cannot be read, or a field in it is missing or unknown.");
    /// No node there.
    NO_NODE = ("CX1006", "no node reachable", "start one: caxton node start; or select another context: caxton context ls",
        "Nothing answered at the address of the context: the node is not running, its address changed, or something between drops the packets. `caxton doctor` looks closer.");
    /// Not trusted.
    NOT_TRUSTED = ("CX1007", "the node's certificate is not trusted", "do not go on before you know why: compare the CA fingerprint in caxton context show with the one that the node printed",
        "The certificate that the node showed does not lead to the certificate authority in the context. Another node listens there, the node was set up anew (an ephemeral development node has a new authority each time), or somebody is in between. The API key was not sent.");
    /// Time ran out on our side.
    NO_ANSWER = ("CX1008", "no answer in time", "look at the node: caxton doctor; wait longer with --timeout where the command has it",
        "The node accepted the connection but did not answer in time. What was asked may still happen.");
    /// An answer that means nothing to us.
    BAD_ANSWER = ("CX1009", "the answer cannot be understood", "compare the versions: caxton version, caxton node list -o wide",
        "What listens there is not a Caxton node, or one of another version.");
    /// The output cannot be written.
    OUTPUT = ("CX1010", "output", "free some space, or write elsewhere",
        "Standard output or a file could not be written.");
    /// The node could not start.
    NODE_START = ("CX1011", "the node cannot start", "the reason names the setting; caxton config show --origin tells where its value comes from",
        "The node undid what it had started and ended. Nothing was lost.");
    /// The agent said no.
    AGENT_SAID_NO = ("CX1012", "the agent did not do it", "read the answer above and the agent's log: caxton agent logs AGENT",
        "The message was delivered and answered, but the answer is a failure, a refusal, or says that it was not understood.");
    /// A stream ended.
    STREAM_ENDED = ("CX1013", "the stream ended", "run the command again",
        "The node closed the stream: it is stopping, or this side read too slowly and would have missed events.");
    /// Several match.
    AMBIGUOUS = ("CX1014", "ambiguous", "give more of the name",
        "The beginning that was given fits more than one thing.");
    /// Checks found something.
    CHECKS_FAILED = ("CX1015", "checks failed", "follow the advice under each check that failed",
        "`caxton doctor` found something that needs attention.");
    /// The configuration was refused.
    CONFIG = ("CX1016", "the configuration is refused", "caxton config example shows every setting; caxton config show --origin tells where each value comes from",
        "A value of the configuration, a flag, a variable or a line of a file, cannot stand. Everything that was found is listed. Nothing was started or written.");
    /// The store cannot be checked.
    STORE = ("CX1017", "the store cannot be checked", "stop the node that uses it, or name another folder with --data",
        "There is no store in the folder, a running node has it open, or it cannot be read. Nothing was changed.");
    /// A certificate authority in a folder does not do it.
    AUTHORITY = ("CX1018", "the certificate authority does not do it", "the reason says what is in the way; caxton security show --dir DIR shows the authority",
        "A step of `caxton security` or `caxton cluster init` was not taken: something given is not usable, the authority refuses it, or a file is in the way. What was told before is kept; a step that was not told did not happen.");
    /// A chain is not believed.
    NOT_BELIEVED = ("CX1019", "the certificate is not believed", "renew or issue it: caxton security renew-cert, caxton security gen-cert; lists that ran out: caxton security crl",
        "The chain does not lead to a root that is trusted, has expired or was taken back, or a revocation list that counts now is missing: then nothing is believed.");
    /// Something of ours.
    INTERNAL = ("CX1099", "internal error of the command", "report it with the command that you ran and the lines above",
        "Something in the command line that must hold did not. Nothing is known of the state of what was asked; look before you repeat it.");
}

/// Finds a code, a node's or our own, in any case and with or without `CX`.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    let code = code.trim();
    let full = if code.chars().all(|c| c.is_ascii_digit()) {
        format!("CX{code:0>4}")
    } else {
        code.to_owned()
    };
    codes::find(&full).or_else(|| {
        OWN.iter()
            .find(|known| known.code.eq_ignore_ascii_case(&full))
    })
}

/// Every code, a node's before our own.
pub fn all() -> impl Iterator<Item = &'static Code> {
    codes::ALL.iter().chain(OWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_across_node_and_command_line() {
        let mut seen = std::collections::BTreeSet::new();
        for code in all() {
            assert!(seen.insert(code.code), "{} stands twice", code.code);
            assert!(
                !code.remedy.is_empty() && !code.more.is_empty(),
                "{}",
                code.code
            );
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for text in ["CX0413", "cx0413", " 0413", "413"] {
            assert_eq!(find(text).map(|code| code.code), Some("CX0413"), "{text}");
        }
        assert_eq!(find("CX1006"), Some(&NO_NODE));
        assert_eq!(find("CX9999"), None);
    }
}
