//! Any bytes at all: each decoder answers, none panics, and nothing forged is believed.

use std::sync::LazyLock;

use caxton_pki::{
    CertificateDer, CertificateRequest, CertificateSummary, DevelopmentAuthority, ExportableKey,
    Fingerprint, MlDsa87Key, P384Key, Purpose, RevocationList, Revocations, Serial, SpiffeId,
    TrustDomain, pem, verify_chain,
};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use crate::fixture::{
    DAY, authority, id, lists, mesh_chain, ml_dsa, now, p384, revoked, web_chain,
};

/// Good inputs of each kind, to be damaged: random bytes alone never get past the first tag.
struct Samples {
    mesh_leaf: CertificateDer<'static>,
    mesh_rest: Vec<CertificateDer<'static>>,
    web_leaf: CertificateDer<'static>,
    mesh_root: CertificateDer<'static>,
    web_root: CertificateDer<'static>,
    lists: Revocations,
    inputs: Vec<Vec<u8>>,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let authority = authority();
    let mut mesh_rest = mesh_chain(&authority, &ml_dsa());
    let mesh_leaf = mesh_rest.remove(0);
    let web_leaf = web_chain(&authority, &p384()).remove(0);
    let text = authority.to_pem().expect("PEM");
    let inputs = vec![
        mesh_leaf.to_vec(),
        web_leaf.to_vec(),
        authority.web_root().certificate().to_vec(),
        CertificateRequest::encode(&ml_dsa()).expect("a request"),
        CertificateRequest::encode(&p384()).expect("a request"),
        ml_dsa().to_pkcs8().expect("a key").to_vec(),
        p384().to_pkcs8().expect("a key").to_vec(),
        text.web_root_certificate.clone().into_bytes(),
        text.mesh_root_key.as_bytes().to_vec(),
        text.web_root_key.as_bytes().to_vec(),
        id().to_string().into_bytes(),
        listing(&authority),
    ];
    Samples {
        mesh_leaf,
        mesh_rest,
        web_leaf,
        mesh_root: authority.mesh_root().certificate().clone(),
        web_root: authority.web_root().certificate().clone(),
        lists: lists(&authority),
        inputs,
    }
});

/// The web root's list with an entry: the one whose signature is short, so that damage hits more.
fn listing(authority: &DevelopmentAuthority) -> Vec<u8> {
    let leaf = web_chain(authority, &p384()).remove(0);
    let list = authority
        .web_root()
        .revocation_list(1, &[revoked(&leaf)], DAY, now())
        .expect("a list");
    list.der().to_vec()
}

/// One way to damage a good input.
#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len() + 1;
        match self {
            Self::Set(at, value) => {
                if let Some(byte) = bytes.get_mut(at % length) {
                    *byte = *value;
                }
            }
            Self::Cut(at) => bytes.truncate(at % length),
            Self::Insert(at, new) => {
                bytes.splice(at % length..at % length, new.iter().copied());
            }
            Self::Remove(at, count) => {
                let start = at % length;
                bytes.drain(start..(start + count).min(length - 1));
            }
        }
    }
}

/// Offsets favour the head of an input, where the structure is.
fn offset() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0_usize..400, 1 => any::<usize>()]
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        6 => (offset(), any::<u8>()).prop_map(|(at, value)| Damage::Set(at, value)),
        1 => offset().prop_map(Damage::Cut),
        1 => (offset(), vec(any::<u8>(), 1..16)).prop_map(|(at, new)| Damage::Insert(at, new)),
        1 => (offset(), 1_usize..64).prop_map(|(at, count)| Damage::Remove(at, count)),
    ]
}

fn damaged_sample() -> impl Strategy<Value = Vec<u8>> {
    let sample = select(SAMPLES.inputs.as_slice());
    (sample, vec(damage(), 1..6)).prop_map(|(mut bytes, damages)| {
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    })
}

/// Gives the bytes to everything that reads bytes or text.
fn feed(bytes: &[u8]) {
    let _ = CertificateSummary::parse(bytes);
    let _ = CertificateRequest::parse_and_verify(bytes);
    let _ = MlDsa87Key::from_pkcs8(bytes);
    let _ = P384Key::from_pkcs8(bytes);
    let text = String::from_utf8_lossy(bytes);
    let _ = pem::decode_certificates(&text);
    let _ = pem::decode_key::<MlDsa87Key>(&text);
    let _ = pem::decode_key::<P384Key>(&text);
    let _ = text.parse::<SpiffeId>();
    let _ = text.parse::<TrustDomain>();
    let _ = text.parse::<Fingerprint>();

    let _ = text.parse::<Serial>();

    let samples = &*SAMPLES;
    if let Ok(list) = RevocationList::parse_and_verify(bytes, &samples.web_root) {
        assert!(
            samples.inputs.iter().any(|input| input == list.der()),
            "a forged list: {list:?}"
        );
    }
    let foreign = CertificateDer::from(bytes.to_vec());
    let roots = [samples.mesh_root.clone(), samples.web_root.clone()];
    let verify = |leaf, rest: &[_], roots: &[_], purpose| {
        verify_chain(leaf, rest, roots, &samples.lists, now(), purpose)
    };
    let authentic = foreign == samples.mesh_leaf || foreign == samples.web_leaf;
    for purpose in [Purpose::MeshServer, Purpose::WebServer] {
        let as_leaf = verify(&foreign, &samples.mesh_rest, &roots, purpose);
        assert!(
            as_leaf.is_err() || authentic,
            "a damaged leaf was believed: {as_leaf:?}"
        );
    }
    let _ = verify(
        &samples.mesh_leaf,
        std::slice::from_ref(&foreign),
        &roots,
        Purpose::MeshServer,
    );
    let _ = verify(
        &samples.web_leaf,
        &[],
        std::slice::from_ref(&foreign),
        Purpose::WebServer,
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic_a_decoder(bytes in vec(any::<u8>(), 0..2_000)) {
        feed(&bytes);
    }

    #[test]
    fn damaged_certificates_requests_keys_and_texts_never_panic_a_decoder(
        bytes in damaged_sample(),
    ) {
        feed(&bytes);
    }

    #[test]
    fn a_parsed_identity_prints_what_was_parsed(
        text in prop_oneof![
            "spiffe://[a-z0-9._-]{0,8}/(node|agent|operator|x)?(/[a-zA-Z0-9._-]{0,6}){0,4}",
            "[ -~]{0,40}",
            Just(format!("spiffe://d/node/{}", "n".repeat(2_100))),
        ]
    ) {
        if let Ok(id) = text.parse::<SpiffeId>() {
            assert_eq!(id.to_string(), text);
            assert!(text.len() <= 2_048);
            let again = SpiffeId::try_new(id.trust_domain().clone(), id.role(), id.name());
            assert_eq!(again, Ok(id));
        }
    }
}
