//! Tokens to bytes. What is written was bounded when it was made; lengths that fit no field cannot occur.

use super::{MAGIC, Seal, Signed, field};
use crate::{
    caveat::Caveats,
    grant::{Grant, Pattern},
    id::{Address, Principal},
    right::Action,
    terms::{Block, Origin, Terms},
};

/// All of a token.
pub(crate) fn encode(blocks: &[Signed]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(short(blocks.len()));
    for signed in blocks {
        let body = body(&signed.block);
        let length = u16::try_from(body.len()).expect("each field of a block has its bound");
        out.extend(length.to_be_bytes());
        out.extend(body);
        match &signed.seal {
            Seal::Issued(twice) => {
                out.extend(twice.classical);
                out.extend(twice.quantum.as_slice());
            }
            Seal::Delegated(signature) => out.extend(signature),
        }
    }
    out
}

/// What is signed of a block.
pub(crate) fn body(block: &Block) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    match &block.origin {
        Some(Origin {
            issuer,
            trust_domain,
        }) => {
            out.push(0);
            out.extend(issuer.as_bytes());
            text(&mut out, trust_domain.as_str());
        }
        None => out.push(1),
    }
    out.extend(block.nonce);
    out.extend(fields(&block.terms).to_be_bytes());
    if let Some(holder) = &block.terms.holder {
        out.extend(holder.as_bytes());
    }
    if let Some(subject) = &block.terms.subject {
        principal(&mut out, subject);
    }
    caveats(&mut out, &block.terms.caveats);
    out.push(short(block.terms.rights.iter().len()));
    for grant in block.terms.rights.iter() {
        out.extend(grant_bytes(grant));
    }
    out
}

fn fields(terms: &Terms) -> u16 {
    let caveats = &terms.caveats;
    let bit = |bit: u16, is: bool| if is { bit } else { 0 };
    bit(field::HOLDER, terms.holder.is_some())
        | bit(field::SUBJECT, terms.subject.is_some())
        | bit(field::NOT_BEFORE, caveats.not_before.is_some())
        | bit(field::EXPIRES, caveats.expires.is_some())
        | bit(field::AUDIENCE, caveats.audience.is_some())
        | bit(field::TENANT, caveats.tenant.is_some())
        | bit(field::RATE, caveats.rate.is_some())
        | bit(field::BYTES_MAX, caveats.bytes_max.is_some())
        | bit(field::PERFORMATIVES, caveats.performatives.is_some())
        | bit(field::CONVERSATION, caveats.conversation.is_some())
}

fn caveats(out: &mut Vec<u8>, caveats: &Caveats) {
    for moment in [caveats.not_before, caveats.expires].into_iter().flatten() {
        out.extend(moment.seconds().to_be_bytes());
    }
    if let Some(audience) = &caveats.audience {
        out.push(short(audience.iter().len()));
        for one in audience.iter() {
            text(out, one.as_str());
        }
    }
    if let Some(tenant) = &caveats.tenant {
        text(out, tenant.as_str());
    }
    if let Some(rate) = caveats.rate {
        out.extend(rate.count().to_be_bytes());
        out.extend(rate.seconds().to_be_bytes());
    }
    if let Some(bytes_max) = caveats.bytes_max {
        out.extend(bytes_max.to_be_bytes());
    }
    if let Some(performatives) = caveats.performatives {
        out.extend(performatives.bits().to_be_bytes());
    }
    if let Some(conversation) = caveats.conversation {
        out.extend(conversation.uuid().as_bytes());
    }
}

/// One right. Their order in a block is the order of these bytes.
pub(crate) fn grant_bytes(grant: &Grant) -> Vec<u8> {
    let mut out = vec![action(grant.action)];
    match &grant.over {
        Pattern::Everything => out.push(0),
        Pattern::Cluster => out.push(1),
        Pattern::Node => out.push(2),
        Pattern::Operator(name) => {
            out.push(3);
            text(&mut out, name.as_str());
        }
        Pattern::Tenant(tenant) => {
            out.push(4);
            text(&mut out, tenant.as_str());
        }
        Pattern::Agent(address) => {
            out.push(5);
            self::address(&mut out, address);
        }
        Pattern::Thing(tenant, name) => {
            out.push(6);
            text(&mut out, tenant.as_str());
            text(&mut out, name.as_str());
        }
        Pattern::Things(tenant, prefix) => {
            out.push(7);
            text(&mut out, tenant.as_str());
            text(&mut out, prefix.as_str());
        }
    }
    out
}

const fn action(action: Action) -> u8 {
    match action {
        Action::Send => 1,
        Action::Deploy => 2,
        Action::Read => 3,
        Action::Operate => 4,
        Action::Kv => 5,
        Action::Secret => 6,
        Action::Tool => 7,
        Action::Trace => 8,
        Action::Issue => 9,
    }
}

fn principal(out: &mut Vec<u8>, principal: &Principal) {
    match principal {
        Principal::Agent(address) => {
            out.push(1);
            self::address(out, address);
        }
        Principal::Operator(name) => {
            out.push(2);
            text(out, name.as_str());
        }
        Principal::Node => out.push(3),
    }
}

fn address(out: &mut Vec<u8>, address: &Address) {
    text(out, address.tenant.as_str());
    text(out, address.agent.as_str());
}

/// A length of one byte and the text.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(short(text.len()));
    out.extend(text.as_bytes());
}

/// A count or a length in one byte.
pub(crate) fn short(length: usize) -> u8 {
    u8::try_from(length).expect("names and counts have bounds below 256")
}
