//! Messages that operators signed: whose key it is, whether the signature is of this message, and that it is used once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use caxton_actors::gateway::Order;
use caxton_api::codes;
use caxton_capabilities::{
    IssuerPublic, MessageId, Moment, Principal, SPOKEN_SECONDS, Spoken, SpokenSignature,
};

use super::problem::{Answer, Failure};
use crate::access::book::Access;

/// Signatures that are remembered: for ten minutes each, some 5 MiB.
const SPENT_MAX: usize = 65_536;
/// What a client is told to wait while there is no place for one more.
const FULL_RETRY_S: u64 = 60;

/// A signature that was used: until when it could be again, and for which message.
type Spent = (u64, Option<MessageId>);

/// The signatures that were used.
#[derive(Debug, Default)]
pub(super) struct Signatures(Mutex<HashMap<[u8; 16], Spent>>);

impl Signatures {
    /// Whether the sender of an order signed it, now and for the first time. The same durable message may come again.
    ///
    /// # Errors
    /// It is no signature, of a key that is not the sender's, of something else, or was used.
    pub(super) fn check(
        &self,
        text: &str,
        order: &Order,
        (access, now): (&Access, Moment),
    ) -> Answer<()> {
        let refused = |why: &dyn std::fmt::Display| {
            Failure::new(codes::NOT_SIGNED, format!("the message: {why}"))
        };
        let signature = SpokenSignature::from_text(text)
            .map_err(|error| Failure::invalid(format!("signature: {error}")))?;
        let (Principal::Operator(sender), Principal::Agent(receiver)) =
            (&order.sender, &order.receiver)
        else {
            return Err(refused(&"operators sign what they send to agents"));
        };
        let row = access.operators.get(sender);
        let key = row.and_then(|row| row.deployers.get(&signature.key().to_string()));
        let key = key.and_then(|text| text.parse::<IssuerPublic>().ok());
        let key = key.ok_or_else(|| {
            let detail = format!("the message is signed with no key of operator `{sender}`");
            Failure::new(codes::UNKNOWN_DEPLOYER, detail)
        })?;
        let conversation = order.conversation.map(|id| id.to_string());
        let spoken = Spoken {
            sender: &order.sender,
            receiver,
            performative: order.performative.as_str(),
            conversation: conversation.as_deref(),
            content_type: &order.content_type,
            content: &order.content,
        };
        signature
            .verify(&spoken, &key, now)
            .map_err(|error| refused(&error))?;
        self.spend(signature.nonce(), order.id, now.seconds())
    }

    fn spend(&self, nonce: [u8; 16], message: Option<MessageId>, now: u64) -> Answer<()> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match spent.get(&nonce) {
            Some((_, before)) if message.is_some() && *before == message => return Ok(()),
            Some(_) => {
                let detail = "the message: its signature was used already: sign it anew";
                return Err(Failure::new(codes::NOT_SIGNED, detail));
            }
            None => {}
        }
        if spent.len() >= SPENT_MAX {
            spent.retain(|_, (until, _)| *until > now);
        }
        // SECURITY: what cannot be remembered could be said twice.
        if spent.len() >= SPENT_MAX {
            let detail = "as many signed messages came as can be remembered";
            return Err(Failure::new(codes::BUSY, detail).retry_after(FULL_RETRY_S));
        }
        // Signed up to so long ahead of our clock, it counts for twice that.
        spent.insert(nonce, (now.saturating_add(2 * SPOKEN_SECONDS + 1), message));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> Option<MessageId> {
        Some(MessageId::from_uuid(Uuid::from_u128(number)))
    }

    #[test]
    fn a_signature_is_used_once_or_for_the_same_durable_message_again() {
        let spent = Signatures::default();
        assert!(spent.spend([1; 16], None, 0).is_ok());
        assert!(spent.spend([1; 16], None, 0).is_err());
        assert!(spent.spend([1; 16], id(1), 0).is_err());
        assert!(spent.spend([2; 16], id(1), 0).is_ok());
        assert!(spent.spend([2; 16], id(1), 9).is_ok());
        assert!(spent.spend([2; 16], id(2), 9).is_err());
        assert!(spent.spend([2; 16], None, 9).is_err());
    }

    #[test]
    fn what_cannot_be_remembered_is_refused_until_there_is_room() {
        let spent = Signatures::default();
        let nonce = |number: usize| (number as u128).to_be_bytes();
        for number in 0..SPENT_MAX {
            assert!(spent.spend(nonce(number), None, 0).is_ok());
        }
        assert!(
            spent
                .spend(nonce(SPENT_MAX), None, 2 * SPOKEN_SECONDS)
                .is_err()
        );
        let later = 2 * SPOKEN_SECONDS + 1;
        assert!(spent.spend(nonce(SPENT_MAX), None, later).is_ok());
        assert_eq!(spent.0.lock().unwrap().len(), 1);
    }
}
