//! Client certificates of operators, who call this API with them. They are taken back by serial number, as all that the
//! authority issued (`manage::authority`), or with the operator.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use caxton_actors::ports::unix_ms;
use caxton_api::{
    codes, paths,
    types::{NewOperatorCertificate, OperatorCertificate, Problem},
};
use caxton_audit::EventType;
use caxton_capabilities::{Name, PolicyAction, Principal, Refusal, ResourceId};
use caxton_pki::{Artefact, CertificateRequest, CertificateSummary, pem};

use super::missing;
use crate::manage::{
    authority::failed,
    convert::rfc3339_ms,
    extract::{Caller, Given, Method, NoQuery, Part, name},
    join_tokens::ca,
    plane::{Permitted, Shared, Wish},
    problem::{Answer, Failure},
};

const DAY_S: u64 = 86_400;
/// How long one holds unless it is said, and bounds of it: the authority remembers for 100 days what it took back.
const TTL_S: u64 = 30 * DAY_S;
const TTL_BOUNDS_S: std::ops::RangeInclusive<u64> = 3_600..=100 * DAY_S;

/// Issues a certificate with which an operator calls this API in place of a key. It has all of their authority, and only
/// the holder of the private key, which stays where the request was made, can use it.
#[utoipa::path(post, path = paths::OPERATOR_CERTIFICATES, tag = "access", request_body = NewOperatorCertificate,
    params(("operator" = String, Path, description = "Their name")),
    responses((status = 201, description = "The certificate", body = OperatorCertificate),
        (status = 409, description = "This node is not the CA, the operator was revoked or has as many as may be, or the key of the web root is elsewhere", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no certificate request, or a value is out of bounds", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn make_operator_certificate(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
    Given(new): Given<NewOperatorCertificate>,
) -> Answer<(StatusCode, Json<OperatorCertificate>)> {
    let wanted: Name = name("operator", &text)?;
    let ttl_s = new.ttl_s.unwrap_or(TTL_S);
    if !TTL_BOUNDS_S.contains(&ttl_s) {
        return Err(Failure::invalid("`ttl_s` is 3600 to 8640000"));
    }
    // One's own gives nothing new; somebody else's acts in their name.
    let is_own = caller.principal == Principal::Operator(wanted.clone());
    let (action, id) = match is_own {
        true => (
            PolicyAction::TokenCreate,
            ResourceId::ApiKey(wanted.clone()),
        ),
        false => (
            PolicyAction::OperatorAdmin,
            ResourceId::Operator(wanted.clone()),
        ),
    };
    let mut wish = Wish::new(action, id);
    wish.resource.owner = is_own.then(|| wanted.clone());
    // SECURITY: a key with less than its operator's authority would otherwise get a certificate with all of it, and a
    // token of a quarter of an hour one for months.
    if !caller.known.scopes.is_everything() || caller.method == Method::ServiceToken {
        return Err(plane.refuse(&caller, &wish, Refusal::Scope).await);
    }
    let node = plane.permit_wish(&caller, wish).await?;
    counts(&node, &wanted)?;
    let request = request(&new.request)?;
    let lifetime = Duration::from_secs(ttl_s);
    let issued = ca(&node)?.issue_operator(request, wanted.to_string(), lifetime);
    let chain = issued.await.map_err(|error| failed(&error))?;
    let leaf = chain.first().map(|leaf| CertificateSummary::parse(leaf));
    let leaf = leaf.and_then(Result::ok);
    let leaf = leaf.ok_or_else(|| Failure::new(codes::INTERNAL, "nothing was issued"))?;
    let made = OperatorCertificate {
        operator: wanted.to_string(),
        serial: leaf.serial,
        algorithm: leaf.key_algorithm,
        expires_at: rfc3339_ms(unix_ms(leaf.not_after)),
        certificate: pem::encode_certificates(&chain),
    };
    let (serial, until) = (&made.serial, &made.expires_at);
    let words = format!("for operator:{wanted}, serial {serial}, until {until}");
    node.told(&caller, EventType::CertificateIssued, &words)
        .await;
    Ok((StatusCode::CREATED, Json(made)))
}

/// There is such an operator, who was not revoked.
fn counts(node: &Permitted<'_>, wanted: &Name) -> Answer<()> {
    match node.keeper.in_force().access.operators.get(wanted) {
        Some(row) if row.revoked.is_some() => {
            let detail = format!("operator `{wanted}` was revoked");
            Err(Failure::new(codes::CONFLICT, detail))
        }
        None if wanted != node.keeper.owner() => Err(missing("operator", wanted.as_str())),
        Some(_) | None => Ok(()),
    }
}

/// The one request that the text holds, signed by the key that it names.
fn request(text: &str) -> Answer<CertificateRequest> {
    let found = caxton_pki::inspect(text.as_bytes());
    let found = found.map_err(|error| Failure::invalid(format!("`request`: {error}")))?;
    match <[Artefact; 1]>::try_from(found) {
        Ok([Artefact::Request(request)]) => Ok(request),
        Ok(_) | Err(_) => Err(Failure::invalid(
            "`request` is one certificate request (PKCS #10) in PEM form, for an ML-DSA-87 or P-384 key",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_pki::P384Key;

    #[test]
    fn a_request_is_one_that_its_own_key_has_signed_and_nothing_else() {
        let key = P384Key::generate().unwrap();
        let der = CertificateRequest::encode(&key).unwrap();
        let text = |der: &[u8]| pem::encode_section("CERTIFICATE REQUEST", der);
        let read = request(&text(&der)).unwrap();
        assert_eq!(read, CertificateRequest::of_own(&key));
        let mut forged = der.clone();
        *forged.last_mut().unwrap() ^= 1;
        let twice = text(&der) + &text(&der);
        let other = pem::encode_section("CERTIFICATE", &der);
        for text in ["", "text", &twice, &text(&forged), &other] {
            let failure = request(text).unwrap_err();
            assert_eq!(failure.code(), codes::INVALID_VALUE, "{text:?}");
        }
    }
}
