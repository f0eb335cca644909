//! ML-DSA-87 keys that live in a token.

use std::time::{Duration, UNIX_EPOCH};

use caxton_pkcs11::{Pkcs11Key, TokenError};
use caxton_pki::{
    AuthorityLifetimes, CertificateRequest, ClusterAuthority, Custody, ListTerms, MlDsa87Key,
    P384Key, Purpose, Signer, SpiffeId,
};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, MlDsaParameterSetType};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use rcgen::SigningKey;

use crate::fixture::{Library, PIN, open, raw, with_token};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn a_root_in_a_token_signs_what_members_believe() {
    with_token(
        Library::Kryoptic,
        "key::a_root_in_a_token_signs_what_members_believe",
        |config| {
            type AnyKey = Box<dyn Signer + Send + Sync>;
            let token = open(config);
            let root = Pkcs11Key::generate(&token, "root").unwrap();
            assert_eq!(root.custody(), Custody::Token);
            assert!(format!("{root:?}").starts_with("Pkcs11Key { public: PublicKey"));
            let public = root.public_key();
            // As after a restart.
            let root = Pkcs11Key::open(&open(config), "root").unwrap();
            assert_eq!(root.public_key(), public);

            let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let keys: [AnyKey; 2] = [Box::new(root), Box::new(MlDsa87Key::generate().unwrap())];
            let lifetimes = AuthorityLifetimes {
                root: 100 * DAY,
                intermediate: 50 * DAY,
            };
            let mut cluster = ClusterAuthority::generate(
                &"test.example".parse().unwrap(),
                keys,
                P384Key::generate().unwrap(),
                lifetimes,
                ListTerms::default(),
                now,
            )
            .unwrap();
            let next = Pkcs11Key::generate(&token, "next").unwrap();
            cluster
                .next_intermediate(Box::new(next), 50 * DAY, now)
                .unwrap();
            let custody = cluster.mesh_intermediate().signer().custody();
            assert_eq!(custody.to_string(), "token");

            let id: SpiffeId = "spiffe://test.example/node/n1".parse().unwrap();
            let request = CertificateRequest::of_own(&MlDsa87Key::generate().unwrap());
            let chain = cluster
                .issue_mesh_node(&request, &id, &[], DAY, now)
                .unwrap();
            let bundle = cluster.bundle().unwrap();
            let verified = bundle.verify(&chain[0], &chain[1..], now, Purpose::MeshServer);
            assert_eq!(verified.unwrap().id(), &id);
        },
    );
}

#[test]
fn only_an_ml_dsa_87_pair_that_the_token_keeps_is_taken() {
    with_token(
        Library::Kryoptic,
        "key::only_an_ml_dsa_87_pair_that_the_token_keeps_is_taken",
        |config| {
            let token = open(config);
            let module = raw(&config.module);
            let slot = module.get_slots_with_initialized_token().unwrap()[0];
            let session = module.open_rw_session(slot).unwrap();
            let pin = AuthPin::new(std::str::from_utf8(PIN).unwrap().into());
            let _already = session.login(UserType::User, Some(&pin));
            let make = |public: &str, private: &str, set: MlDsaParameterSetType, kept: bool| {
                let name = |label: &str| Attribute::Label(label.as_bytes().to_vec());
                let public = [
                    Attribute::Token(true),
                    Attribute::ParameterSet(set.into()),
                    name(public),
                ];
                let private = [
                    Attribute::Token(true),
                    Attribute::Private(true),
                    Attribute::Sensitive(kept),
                    Attribute::Extractable(!kept),
                    Attribute::Sign(true),
                    name(private),
                ];
                session
                    .generate_key_pair(&Mechanism::MlDsaKeyPairGen, &public, &private)
                    .unwrap();
            };
            let (set, other) = (
                MlDsaParameterSetType::ML_DSA_87,
                MlDsaParameterSetType::ML_DSA_65,
            );
            make("good", "good", set, true);
            make("smaller", "smaller", other, true);
            make("leaves", "leaves", set, false);
            // The public half of one pair and the private half of another under one label.
            make("mixed", "rest-1", set, true);
            make("rest-2", "mixed", set, true);
            make("half", "rest-3", set, true);
            let open = |label| Pkcs11Key::open(&token, label).map(|_key| ());
            assert!(matches!(open("good"), Ok(())));
            assert!(matches!(open("smaller"), Err(TokenError::WrongKind { .. })));
            assert!(matches!(open("leaves"), Err(TokenError::MayLeave { .. })));
            assert!(matches!(open("mixed"), Err(TokenError::WrongKind { .. })));
            assert!(matches!(open("half"), Err(TokenError::NoKey { .. })));
            let taken = Pkcs11Key::generate(&token, "good");
            assert!(matches!(taken, Err(TokenError::LabelTaken { .. })));
            make("good", "good", set, true);
            assert!(matches!(open("good"), Err(TokenError::LabelTaken { .. })));
        },
    );
}

#[test]
fn a_token_without_ml_dsa_says_that_it_is_not_for_this() {
    with_token(
        Library::SoftHsm,
        "key::a_token_without_ml_dsa_says_that_it_is_not_for_this",
        |config| {
            let token = open(config);
            let answer = Pkcs11Key::generate(&token, "root");
            assert!(
                matches!(answer, Err(TokenError::Unsupported(_))),
                "{answer:?}"
            );
            let answer = Pkcs11Key::open(&token, "root");
            assert!(
                matches!(answer, Err(TokenError::NoKey { .. })),
                "{answer:?}"
            );
        },
    );
}

#[test]
fn a_key_whose_login_is_over_signs_nothing() {
    with_token(
        Library::Kryoptic,
        "key::a_key_whose_login_is_over_signs_nothing",
        |config| {
            let token = open(config);
            let key = Pkcs11Key::generate(&token, "root").unwrap();
            assert!(key.sign(b"message").is_ok());
            let module = raw(&config.module);
            let slot = module.get_slots_with_initialized_token().unwrap()[0];
            let session = module.open_rw_session(slot).unwrap();
            session.logout().unwrap();
            assert_eq!(key.sign(b"message"), Err(rcgen::Error::RemoteKeyError));
            let again = Pkcs11Key::open(&open(config), "root").unwrap();
            assert!(again.sign(b"message").is_ok());
        },
    );
}
