use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use caxton_pki::{
    CertificateRequest, CertificateSummary, MlDsa87Key, P384Key, Purpose, SealCost, SpiffeId,
    TrustBundle, VerifyChainError, pem,
};
use tempfile::TempDir;

use super::{
    ca::{CaFolder, CaView, Terms},
    founding::found_with,
    issuing::{Issue, Renew},
    keys::Protection,
    looking::{look, verify},
    passphrase::{Passphrase, PassphraseError},
    refusal::{CaError, Fault},
    revoking::{REASONS, Which},
};
use crate::cluster::{home::Membership, state};

mod steps;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const WORDS: &str = "a few words for tests";

/// 2027-01-15T08:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn phrase(text: &str) -> Passphrase {
    Passphrase::read(text.as_bytes(), "a test").unwrap()
}

fn cheap() -> Protection {
    let cost = SealCost::try_new(8 * 1024, 1, 1).unwrap();
    Protection::Sealed(phrase(WORDS), cost)
}

fn made(root: &TempDir) -> PathBuf {
    let folder = root.path().join("ca");
    drop(create(&folder).unwrap());
    folder
}

fn create(folder: &Path) -> Result<CaFolder, CaError> {
    CaFolder::create(folder, "test.example", cheap(), Terms::default(), now())
}

fn open(folder: &Path) -> CaFolder {
    CaFolder::open(folder, Some(phrase(WORDS))).unwrap()
}

fn issue(ca: &mut CaFolder, node: &str, out: &Path) -> String {
    let wanted = Issue {
        node,
        hosts: &["n1.example".to_owned(), "10.0.0.7".to_owned()],
        lifetime: 90 * DAY,
        request: None,
        out: Some(out),
    };
    ca.issue(&wanted, now()).unwrap().certificate.serial
}

fn verdict(folder: &Path, out: &Path, at: SystemTime) -> Vec<String> {
    verify(Some(folder), None, &out.join("mesh.crt.pem"), at)
        .unwrap()
        .reasons
}

#[test]
fn a_new_authority_lies_under_its_passphrase_and_is_its_owners_alone() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    let keys: Vec<_> = fs::read_dir(folder.join("keys"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(keys.len(), 3);
    for key in keys {
        assert_eq!(key.metadata().unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(key.path()).unwrap();
        assert!(text.starts_with("-----BEGIN CAXTON SEALED KEY-----"));
    }
    let state = fs::read_to_string(folder.join("ca.json")).unwrap();
    assert!(!state.contains(WORDS) && !state.contains("PRIVATE KEY"));
    let report = CaView::read(&folder).unwrap().report();
    let told: Vec<_> = report
        .authorities
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.kind_of_key.as_str(),
                one.custody.as_str(),
            )
        })
        .collect();
    let sealed = "file under a passphrase";
    assert_eq!(
        told,
        [
            ("mesh-root", "post-quantum", sealed),
            ("mesh-intermediate", "post-quantum", sealed),
            ("web-root", "classical", sealed),
        ]
    );
    assert_eq!(report.lists.len(), 3);
    assert_eq!(report.authorities[0].expires_at, "2037-01-15T08:00:00Z");
    // What members are to trust is the same file for people.
    let text = fs::read_to_string(folder.join("trust.pem")).unwrap();
    let bundle = TrustBundle::from_pem(&text).unwrap();
    assert_eq!(bundle.fingerprint().to_string(), report.bundle);
    assert!(!root.path().join(".ca.draft").exists());
}

#[test]
fn an_authority_is_never_made_over_another_or_over_anything() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let before = fs::read(folder.join("ca.json")).unwrap();
    let refused = create(&folder).unwrap_err();
    assert!(matches!(refused, CaError::Exists(_)), "{refused}");
    assert_eq!(refused.fault(), Fault::Conflict);
    assert_eq!(fs::read(folder.join("ca.json")).unwrap(), before);
    // Keys alone, without the state: somebody may want to save them.
    fs::remove_file(folder.join("ca.json")).unwrap();
    assert!(matches!(create(&folder), Err(CaError::NotEmpty(_))));
    assert_eq!(fs::read_dir(folder.join("keys")).unwrap().count(), 3);
}

#[test]
fn a_making_that_was_cut_off_leaves_no_half_and_is_begun_again() {
    let root = TempDir::new().unwrap();
    let draft = root.path().join(".ca.draft");
    fs::create_dir_all(draft.join("keys")).unwrap();
    fs::write(draft.join("keys/mesh-root-0.key.pem"), "half").unwrap();
    let folder = root.path().join("ca");
    assert!(matches!(CaView::read(&folder), Err(CaError::NoCa(_))));
    fs::create_dir(&folder).unwrap();
    drop(create(&folder).unwrap());
    assert_eq!(fs::read_dir(folder.join("keys")).unwrap().count(), 3);
    assert!(!draft.exists());
    assert_eq!(open(&folder).report().unwrap().authorities.len(), 3);
}

#[test]
fn a_folder_opens_with_its_passphrase_for_one_process_and_closed_to_others() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let wrong = CaFolder::open(&folder, Some(phrase("some other words"))).unwrap_err();
    assert!(matches!(wrong, CaError::OpenKey { .. }), "{wrong}");
    let none = CaFolder::open(&folder, None).unwrap_err();
    assert!(matches!(none, CaError::PassphraseNeeded), "{none}");
    let first = open(&folder);
    let second = CaFolder::open(&folder, Some(phrase(WORDS))).unwrap_err();
    assert!(matches!(second, CaError::Busy(_)), "{second}");
    drop(first);
    let key = fs::read_dir(folder.join("keys"))
        .unwrap()
        .flatten()
        .next()
        .unwrap();
    fs::set_permissions(key.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = CaFolder::open(&folder, Some(phrase(WORDS))).unwrap_err();
    assert!(matches!(exposed, CaError::Exposed(_)), "{exposed}");
    fs::set_permissions(key.path(), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
    let exposed = CaFolder::open(&folder, Some(phrase(WORDS))).unwrap_err();
    assert!(matches!(exposed, CaError::Exposed(_)), "{exposed}");
}

#[test]
fn a_key_in_the_place_of_another_is_refused() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let keys: Vec<_> = fs::read_dir(folder.join("keys"))
        .unwrap()
        .flatten()
        .map(|key| key.path())
        .filter(|path| path.to_string_lossy().contains("/mesh-"))
        .collect();
    let texts = [&keys[0], &keys[1]].map(|path| fs::read(path).unwrap());
    fs::write(&keys[0], &texts[1]).unwrap();
    fs::write(&keys[1], &texts[0]).unwrap();
    let refused = CaFolder::open(&folder, Some(phrase(WORDS))).unwrap_err();
    assert!(matches!(refused, CaError::WrongKey(_)), "{refused}");
}

#[test]
fn a_root_may_be_elsewhere_and_an_intermediate_may_not() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let key_of = |place: &str| {
        let mut keys = fs::read_dir(folder.join("keys")).unwrap().flatten();
        let found = keys.find(|key| key.file_name().to_string_lossy().starts_with(place));
        found.unwrap().path()
    };
    let (there, away) = (key_of("mesh-root"), root.path().join("safe.pem"));
    fs::rename(&there, &away).unwrap();
    let mut ca = open(&folder);
    assert!(
        ca.report().unwrap().authorities[0]
            .custody
            .starts_with("elsewhere")
    );
    issue(&mut ca, "n1", &root.path().join("n1"));
    let refused = ca.rotate_intermediate(now()).unwrap_err();
    assert!(matches!(refused, CaError::Cluster(_)), "{refused}");
    assert_eq!(
        fs::read_dir(folder.join("keys")).unwrap().count(),
        2,
        "no key is left over"
    );
    drop(ca);
    fs::rename(&away, &there).unwrap();
    open(&folder).rotate_intermediate(now()).unwrap();
    fs::rename(key_of("mesh-intermediate"), &away).unwrap();
    let gone = CaFolder::open(&folder, Some(phrase(WORDS))).unwrap_err();
    assert!(matches!(gone, CaError::KeyGone(_)), "{gone}");
}

#[test]
fn an_issued_certificate_is_noted_believed_and_never_written_over() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let (mut ca, out) = (open(&folder), root.path().join("n1"));
    let serial = issue(&mut ca, "n1", &out);
    drop(ca);
    assert_eq!(
        fs::metadata(out.join("mesh.key.pem")).unwrap().mode() & 0o777,
        0o600
    );
    let seen = look(&out.join("mesh.crt.pem")).unwrap();
    assert_eq!(seen.len(), 2, "leaf and intermediate");
    assert_eq!(
        seen[0].spiffe_id.as_deref(),
        Some("spiffe://test.example/node/n1")
    );
    assert_eq!(seen[0].hosts, ["n1.example", "10.0.0.7"]);
    assert_eq!(
        (seen[0].serial.clone(), seen[0].kind_of_key.as_str()),
        (serial, "post-quantum")
    );
    assert!(look(&out.join("mesh.key.pem")).is_err(), "no key is shown");
    assert_eq!(verdict(&folder, &out, now()), Vec::<String>::new());
    // By what members are given, too.
    let trust = folder.join("trust.pem");
    let by_bundle = verify(None, Some(&trust), &out.join("mesh.crt.pem"), now()).unwrap();
    assert!(by_bundle.is_trusted());
    assert_eq!(
        by_bundle.id.as_deref(),
        Some("spiffe://test.example/node/n1")
    );
    let again = open(&folder).issue(
        &Issue {
            node: "n1",
            hosts: &[],
            lifetime: DAY,
            request: None,
            out: Some(&out),
        },
        now(),
    );
    assert_eq!(again.unwrap_err().fault(), Fault::Input);
}

#[test]
fn a_request_gets_a_chain_and_nothing_else_is_taken_for_one() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let mut ca = open(&folder);
    let key = MlDsa87Key::generate().unwrap();
    let der = CertificateRequest::encode(&key).unwrap();
    let file = root.path().join("n1.csr");
    fs::write(&file, pem::encode_section("CERTIFICATE REQUEST", &der)).unwrap();
    let wanted = |lifetime| Issue {
        node: "n1",
        hosts: &[],
        lifetime,
        request: Some(&file),
        out: None,
    };
    let issued = ca.issue(&wanted(DAY), now()).unwrap();
    let chain = pem::decode_certificates(&issued.chain.unwrap()).unwrap();
    assert_eq!(chain.len(), 2);
    let refused = ca.issue(&wanted(101 * DAY), now()).unwrap_err();
    assert_eq!(
        refused.fault(),
        Fault::Input,
        "longer than its list remembers it"
    );
    fs::write(&file, pem::encode_certificates(&chain)).unwrap();
    assert_eq!(
        ca.issue(&wanted(DAY), now()).unwrap_err().fault(),
        Fault::Input
    );
    let bad = Issue {
        node: "../n1",
        ..wanted(DAY)
    };
    assert_eq!(ca.issue(&bad, now()).unwrap_err().fault(), Fault::Input);
}

#[test]
fn a_step_that_cannot_be_written_is_not_told_and_closes_the_folder() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let mut ca = open(&folder);
    // In the way of the draft of the state, for any user.
    fs::create_dir_all(folder.join("ca.json.draft/x")).unwrap();
    let out = root.path().join("n1");
    let wanted = Issue {
        node: "n1",
        hosts: &[],
        lifetime: DAY,
        request: None,
        out: Some(&out),
    };
    assert!(matches!(ca.issue(&wanted, now()), Err(CaError::File(_))));
    assert!(matches!(ca.retire(now()), Err(CaError::Broken)));
    drop(ca);
    assert!(!out.join("mesh.crt.pem").exists());
    fs::remove_dir_all(folder.join("ca.json.draft")).unwrap();
    assert_eq!(open(&folder).state.issued, []);
}

#[test]
fn a_state_of_another_version_or_damaged_is_named_and_not_used() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let path = folder.join("ca.json");
    let text = fs::read_to_string(&path).unwrap();
    for bad in [
        text.replace("\"version\": 1", "\"version\": 2"),
        text.replace("\"sealed\"", "\"open\""),
        text.replace("BEGIN X509 CRL", "BEGIN DOG"),
        String::new(),
    ] {
        fs::write(&path, bad).unwrap();
        let refused = CaView::read(&folder).unwrap_err();
        assert!(matches!(refused, CaError::State { .. }), "{refused}");
    }
}

#[test]
fn a_passphrase_comes_without_the_end_of_its_line_and_from_nobody_elses_file() {
    for text in [
        WORDS.to_owned(),
        format!("{WORDS}\n"),
        format!("{WORDS}\r\n"),
    ] {
        assert_eq!(phrase(&text).expose(), WORDS.as_bytes());
    }
    assert_eq!(format!("{:?}", phrase(WORDS)), "Passphrase(..)");
    for bad in ["short", "", &"x".repeat(1_025), &"x".repeat(5_000)] {
        let refused = Passphrase::read(bad.as_bytes(), "a test");
        assert!(
            matches!(refused, Err(PassphraseError::Length)),
            "{}",
            bad.len()
        );
    }
    let root = TempDir::new().unwrap();
    let file = root.path().join("phrase");
    fs::write(&file, WORDS).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        Passphrase::from_file(&file),
        Err(PassphraseError::Exposed { .. })
    ));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        Passphrase::from_file(&file).unwrap().expose(),
        WORDS.as_bytes()
    );
}
