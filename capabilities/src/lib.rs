//! Who may do what: names and ids that are parsed once and then trusted, rights, policies, the permit that only
//! [`authorize`](Trust::authorize) can make, and capability tokens.
//!
//! Pure: no clock, no socket, no file and no random number is read here, so that authority can be
//! proven in a unit test. (aws-lc hedges ML-DSA signatures with randomness of its own: see [`key`].)
//!
//! Tokens: [`token`] makes, reads and narrows them, [`verify`](verify::verify) says which count for whom, and
//! [`Verified::authorize`] what they allow. docs/token.md has all of it for strangers. Deployments: [`manifest`] signs
//! what one is and asks for (docs/manifest.md). The seam to policies is [`Trust`].
#![forbid(unsafe_code)]

#[cfg(any(test, fuzzing))]
extern crate self as caxton_capabilities; // `cast` is a file of the tests, too.

pub mod allow;
pub mod authorize;
pub mod cache;
#[cfg(any(test, fuzzing))]
#[path = "../tests/tokens/cast.rs"]
mod cast;
pub mod caveat;
pub mod deployed;
pub mod extend;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
pub mod grant;
pub mod id;
pub mod issuers;
pub mod key;
pub mod manifest;
#[cfg(any(test, fuzzing))]
#[path = "../tests/manifests/cast.rs"]
mod manifest_cast;
pub mod moment;
mod narrow;
pub mod present;
pub mod recent;
pub mod request;
pub mod right;
pub mod scope;
pub mod spoken;
pub mod standing;
pub mod terms;
mod text;
pub mod token;
mod transcript;
pub mod verify;
mod wire;

pub use allow::{Allowed, DeniedReason, Limit, Request, TokenDenied};
pub use authorize::{Denied, Permit, Refusal, Said, Speech, Trust};
pub use cache::{TokenCache, TokenDigest};
pub use caveat::{Audience, Audiences, CaveatError, Caveats, Performative, Performatives, Rate};
pub use deployed::{AgentKeys, CHANCE_BYTES, Deployed};
pub use extend::{ExtendError, Narrowing, Next};
pub use grant::{Grant, Pattern, Prefix};
pub use id::{
    Address, AgentId, ConversationId, MessageId, Name, ParseIdError, ParseNameError, Principal,
    TenantId, TokenId, TraceId,
};
pub use issuers::{Issuer, Issuers, IssuersError, Revoked};
pub use key::{HolderKey, HolderPublic, IssuerKey, IssuerPublic, KeyError, KeyId, SignError};
pub use manifest::{
    Altered, Contents, Deployer, Deployers, DeployersError, Deployment, MANIFEST_BYTES_MAX,
    MANIFEST_PREFIX, MalformedManifest, Manifest, ManifestError, ManifestRefused, SignedManifest,
    VerifiedManifest, Widened, is_downgrade, widening,
};
pub use moment::Moment;
pub use narrow::{ChainError, LIFETIME_SECONDS_MAX, Widening};
pub use present::{Context, Presentation, PresentationError};
pub use recent::Recent;
pub use request::{
    Destination, Device, Policies, PolicyAction, PolicyContext, PolicyPrincipal, PolicyRequest,
    PolicyResource, PrincipalFacts, PrincipalId, ResourceId, Role, RuleName, Ruling,
};
pub use right::{Action, ParseRightError, Resource, Right, ThingName};
pub use scope::{SCOPES_MAX, Scope, ScopeActions, ScopeError, Scopes};
pub use spoken::{SPOKEN_SECONDS, Spoken, SpokenRefused, SpokenSignature};
pub use standing::{Quota, Standing};
pub use terms::{Block, Origin, Rights, Terms, TermsError, TrustDomain};
pub use text::TextError;
pub use token::{MakeError, Token};
pub use verify::{Proof, ProofRefused, TokenRefused, Verified};
pub use wire::{BLOCKS_MAX, TOKEN_BYTES_MAX, TOKEN_PREFIX, WireError};
