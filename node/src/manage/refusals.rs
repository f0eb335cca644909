//! Which error of the inner parts is which code. Who is at fault decides the class: a client's mistake
//! is never a 5xx, a fault of ours never a 4xx.

use caxton_actors::{
    envelope::UnknownWord,
    gateway::{Refusal, RequestError},
    ports::LedgerError,
    registry::{PlanError, RegistryError},
    supervision::ChildError,
};
use caxton_api::codes;
use caxton_capabilities::{Denied, ParseIdError, ParseNameError};
use caxton_sandbox::{CompileError, LIMITS, LimitError, LoadError};

use super::problem::{Failure, RETRY_AFTER_S};
use crate::{
    access::{book::ChangeError, keeper::KeepError, manifests::NotSigned},
    store::ProgramError,
    wasm::{ResolveError, RunError, UploadError},
};

/// What a client is told to wait whose tenant has used up its quota: somebody has to remove something, or to raise it.
const QUOTA_RETRY_S: u64 = 60;

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::new(codes::FORBIDDEN, denied.to_string())
    }
}

impl From<ParseNameError> for Failure {
    fn from(error: ParseNameError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<ParseIdError> for Failure {
    fn from(error: ParseIdError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<UnknownWord> for Failure {
    fn from(error: UnknownWord) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Busy => {
                Self::new(codes::BUSY, error.to_string()).retry_after(RETRY_AFTER_S)
            }
            LedgerError::Unwritable(_) => {
                Self::new(codes::NOT_DURABLE, "the store cannot be written").because(&error)
            }
            LedgerError::Unreadable(_) => Self::internal("the store cannot be read", &error),
            LedgerError::Quota { .. } => Self::invalid(error.to_string()),
            LedgerError::AgentRemoved => Self::new(codes::NOT_FOUND, "the agent was removed"),
            LedgerError::Closed => Self::new(codes::NOT_READY, "the node is stopping"),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::Denied(denied) => denied.into(),
            Refusal::NotAccepted { .. } => Self::new(codes::FORBIDDEN, text),
            Refusal::UnknownReceiver(_) => Self::not_found(text),
            Refusal::Stopped(_) => Self::new(codes::CONFLICT, text),
            Refusal::Busy { .. } => Self::new(codes::BUSY, text).retry_after(RETRY_AFTER_S),
            Refusal::TooLarge { .. } => Self::new(codes::TOO_LARGE, text),
            Refusal::NotDurable(error) => error.into(),
            Refusal::Draining => Self::new(codes::NOT_READY, text),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let text = error.to_string();
        match error {
            RequestError::Refused(refusal) => refusal.into(),
            RequestError::NoAnswer { accepted, .. } => {
                Self::new(codes::NO_ANSWER, text).findings(vec![
                    format!("message {}", accepted.id),
                    format!("trace {}", accepted.trace),
                ])
            }
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let text = error.to_string();
        match error {
            RegistryError::Unknown(_) | RegistryError::Plan(PlanError::NoSuchVersion(_)) => {
                Self::not_found(text)
            }
            RegistryError::Plan(PlanError::VersionMismatch { .. }) => {
                Self::new(codes::VERSION_MISMATCH, text)
            }
            RegistryError::UnderWay(_) => Self::new(codes::CONFLICT, text),
            RegistryError::Trial(fault) if fault.kind == "at-capacity" => {
                Self::new(codes::AT_CAPACITY, fault.reason)
            }
            RegistryError::Stopped(_) => Self::new(codes::FORBIDDEN, text),
            RegistryError::OverQuota(_) => Self::new(codes::BUSY, text).retry_after(QUOTA_RETRY_S),
            RegistryError::NotIssued(_) => Self::invalid(text),
            RegistryError::Trial(_) => Self::new(codes::TRIAL_FAILED, text),
            RegistryError::Ledger(error) => error.into(),
            RegistryError::NotStarted(_) => Self::new(codes::INTERNAL, text),
            RegistryError::NotRunning => {
                Self::new(codes::NOT_READY, text).retry_after(RETRY_AFTER_S)
            }
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let text = error.to_string();
        match error {
            RunError::Load(LoadError::AtCapacity { .. }) => Self::new(codes::AT_CAPACITY, text),
            RunError::Stopping => Self::new(codes::NOT_READY, text),
            RunError::Store(_) | RunError::Compile(_) | RunError::Load(_) => {
                Self::new(codes::TRIAL_FAILED, text)
            }
        }
    }
}

impl From<NotSigned> for Failure {
    fn from(error: NotSigned) -> Self {
        let text = error.to_string();
        match error {
            NotSigned::UnknownDeployer => Self::new(codes::UNKNOWN_DEPLOYER, text),
            NotSigned::Malformed(malformed) => {
                Self::invalid(text).findings(vec![malformed.to_string()])
            }
            NotSigned::Unsigned
            | NotSigned::Refused(_)
            | NotSigned::Altered(_)
            | NotSigned::Rights
            | NotSigned::Downgrade
            | NotSigned::Keys(_) => Self::new(codes::NOT_SIGNED, text),
        }
    }
}

impl From<KeepError> for Failure {
    fn from(error: KeepError) -> Self {
        let text = error.to_string();
        match error {
            KeepError::Change(ChangeError::Unknown { .. }) => Self::not_found(text),
            KeepError::Change(ChangeError::Exists { .. })
            | KeepError::LockedOut
            | KeepError::Elsewhere(_) => Self::new(codes::CONFLICT, text),
            KeepError::Change(ChangeError::Version { .. }) => {
                Self::new(codes::VERSION_MISMATCH, text)
            }
            KeepError::Change(ChangeError::Full { .. } | ChangeError::Invalid(_)) => {
                Self::invalid(text)
            }
            KeepError::Policies(problems) => {
                let told = problems.told().iter().map(ToString::to_string);
                Self::invalid(text).findings(told.collect())
            }
            KeepError::Ledger(error) => error.into(),
            KeepError::Untold(error) => Self::internal(
                "it counts on this node and could not be told to the cluster",
                &error,
            ),
            KeepError::Stopping => Self::new(codes::NOT_READY, text),
            KeepError::Damaged(error) => {
                Self::internal("the document of who may do what is damaged", &error)
            }
        }
    }
}

impl From<ChildError> for Failure {
    fn from(error: ChildError) -> Self {
        match &error {
            ChildError::Unknown { .. } => Self::not_found(error.to_string()),
            ChildError::NotRunning => {
                Self::new(codes::NOT_READY, error.to_string()).retry_after(RETRY_AFTER_S)
            }
        }
    }
}

impl From<ProgramError> for Failure {
    fn from(error: ProgramError) -> Self {
        match &error {
            ProgramError::Unknown(_) => Self::not_found(error.to_string()),
            ProgramError::Damaged { .. } => Self::internal("the program's file is damaged", &error),
            ProgramError::Io { .. } => {
                Self::new(codes::NOT_DURABLE, "the folder of programs cannot be used")
                    .because(&error)
            }
        }
    }
}

impl From<UploadError> for Failure {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Compile(error) => of_compile(&error),
            UploadError::Store(error) => error.into(),
            UploadError::Demo(_) => {
                Self::internal("the demo inside this binary is damaged", &error)
            }
            UploadError::Stopping => Self::new(codes::NOT_READY, error.to_string()),
        }
    }
}

fn of_compile(error: &CompileError) -> Failure {
    match error {
        CompileError::Refused(refusal) => Failure::new(codes::PROGRAM_REFUSED, refusal.to_string()),
        CompileError::TooExpensive { .. } => {
            Failure::new(codes::PROGRAM_REFUSED, error.to_string())
        }
        CompileError::Busy { .. } => {
            Failure::new(codes::BUSY, error.to_string()).retry_after(RETRY_AFTER_S)
        }
        CompileError::ChildFailed { .. } | CompileError::Child { .. } => {
            Failure::internal("the compile process failed", error)
        }
        CompileError::Cache { .. } => {
            Failure::new(codes::NOT_DURABLE, "the compiled program cannot be kept").because(error)
        }
        _ => Failure::internal("the program could not be compiled", error),
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Malformed => Self::invalid(error.to_string()),
            ResolveError::UnknownDigest(_) | ResolveError::UnknownDemo { .. } => {
                Self::not_found(error.to_string())
            }
            ResolveError::Upload(error) => error.into(),
        }
    }
}

impl From<LimitError> for Failure {
    fn from(error: LimitError) -> Self {
        let failure = Self::invalid(error.to_string());
        match &error {
            LimitError::Unknown { name } => {
                let close = nearest(name, LIMITS.iter().map(|info| info.name));
                failure.findings(
                    close
                        .map(|close| format!("did you mean `{close}`?"))
                        .into_iter()
                        .collect(),
                )
            }
            LimitError::OutOfRange { .. } | LimitError::Order { .. } => failure,
        }
    }
}

/// The known name that `typed` was probably meant to be.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.map(|name| (strsim::osa_distance(typed, name), name));
    let (distance, name) = close.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2.max(typed.chars().count() / 3)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_actors::ports::Fault;

    fn check(failure: impl Into<Failure>, code: &str, status: u16) {
        let failure = failure.into();
        assert_eq!(
            (failure.code().code, failure.code().status),
            (code, status),
            "{failure:?}"
        );
    }

    #[test]
    fn each_refusal_has_its_code() {
        let receiver: caxton_capabilities::Principal = "acme/one".parse().unwrap();
        check(Refusal::UnknownReceiver(receiver.clone()), "CX0404", 404);
        check(Refusal::Stopped(receiver), "CX0409", 409);
        check(Refusal::TooLarge { bytes: 2, max: 1 }, "CX0416", 413);
        check(
            Refusal::NotDurable(LedgerError::Unwritable("full".into())),
            "CX0507",
            503,
        );
        check(Refusal::NotDurable(LedgerError::Busy), "CX0429", 429);
        check(Refusal::Draining, "CX0503", 503);
    }

    #[test]
    fn each_answer_of_the_registry_has_its_code() {
        let address: caxton_capabilities::Address = "acme/one".parse().unwrap();
        let trial = |kind| {
            RegistryError::Trial(Fault {
                kind,
                reason: "no".into(),
                own: None,
                lasting: false,
            })
        };
        check(RegistryError::Unknown(address.clone()), "CX0404", 404);
        check(RegistryError::UnderWay(address), "CX0409", 409);
        check(
            RegistryError::Plan(PlanError::VersionMismatch {
                current: 1,
                wanted: 0,
            }),
            "CX0412",
            412,
        );
        check(
            RegistryError::Plan(PlanError::NoSuchVersion(1)),
            "CX0404",
            404,
        );
        check(trial("trap"), "CX0414", 422);
        check(trial("at-capacity"), "CX0508", 503);
        check(RegistryError::NotRunning, "CX0503", 503);
    }

    #[test]
    fn a_program_that_is_at_fault_is_not_an_error_of_ours() {
        let expensive = CompileError::TooExpensive {
            limit: "cpu",
            max: "10 s".into(),
        };
        check(UploadError::Compile(expensive), "CX0413", 422);
        check(
            UploadError::Compile(CompileError::Busy { waiting: 3 }),
            "CX0429",
            429,
        );
        check(ResolveError::Malformed, "CX0422", 422);
        check(ResolveError::UnknownDemo { known: vec![] }, "CX0404", 404);
    }

    #[test]
    fn a_near_miss_is_named_and_a_far_one_is_not() {
        let known = ["memory_bytes", "cpu", "wall"];
        assert_eq!(
            nearest("memory_byte", known.into_iter()),
            Some("memory_bytes")
        );
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
