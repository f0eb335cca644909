use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use caxton_pki::{CertificateRequest, MlDsa87Key, SealCost, TrustBundle, pem};
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
fn a_certificate_is_renewed_when_it_is_due_and_not_before() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let (mut ca, out, next) = (
        open(&folder),
        root.path().join("n1"),
        root.path().join("n1b"),
    );
    issue(&mut ca, "n1", &out);
    let file = out.join("mesh.crt.pem");
    let wanted = Renew {
        certificate: &file,
        before_expiry: 30 * DAY,
        out: &next,
    };
    let early = ca.renew(&wanted, now()).unwrap();
    assert_eq!(early.outcome, "not due");
    assert!(!next.exists(), "nothing was made");
    let at = now() + 61 * DAY;
    ca.renew_lists(at).unwrap();
    let renewed = ca.renew(&wanted, at).unwrap();
    let certificate = renewed.certificate.unwrap().certificate;
    assert_eq!(renewed.outcome, "renewed");
    assert_eq!(certificate.hosts, ["n1.example", "10.0.0.7"]);
    assert_eq!(certificate.expires_at, super::rows::moment(at + 90 * DAY));
    let keys = [&out, &next].map(|out| fs::read(out.join("mesh.key.pem")).unwrap());
    assert_ne!(keys[0], keys[1]);
    assert_eq!(verdict(&folder, &next, at), Vec::<String>::new());
    // One that was taken back is not renewed.
    ca.revoke(Which::Certificate(&file), "superseded", at)
        .unwrap();
    let other = root.path().join("n1c");
    let wanted = Renew {
        out: &other,
        ..wanted
    };
    assert_eq!(ca.renew(&wanted, at).unwrap_err().fault(), Fault::Refused);
}

#[test]
fn what_is_taken_back_stays_so_however_it_is_named() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let mut ca = open(&folder);
    let outs = ["n1", "n2", "n3"].map(|name| root.path().join(name));
    let serials: Vec<_> = outs
        .iter()
        .zip(["n1", "n2", "n3"])
        .map(|(out, name)| issue(&mut ca, name, out))
        .collect();
    let file = outs[1].join("mesh.crt.pem");
    ca.revoke(
        Which::Serial(&serials[0].to_uppercase()),
        "key-compromise",
        now(),
    )
    .unwrap();
    ca.revoke(Which::Certificate(&file), "superseded", now())
        .unwrap();
    ca.revoke(Which::Node("n3"), "cessation-of-operation", now())
        .unwrap();
    drop(ca);
    let view = CaView::read(&folder).unwrap();
    for (serial, out) in serials.iter().zip(&outs) {
        assert!(view.is_revoked(serial));
        assert!(
            verdict(&folder, out, now())[0].contains("revoked"),
            "{serial}"
        );
    }
    let mut ca = open(&folder);
    let again = ca
        .revoke(Which::Node("n3"), "key-compromise", now())
        .unwrap();
    assert_eq!(again[0].outcome, "revoked before");
    for (which, word, fault) in [
        (Which::Serial("zz"), "superseded", Fault::Input),
        (Which::Serial("0102"), "superseded", Fault::NotFound),
        (Which::Node("n9"), "superseded", Fault::NotFound),
        (Which::Node("n3"), "on-hold", Fault::Input),
    ] {
        assert_eq!(
            ca.revoke(which, word, now()).unwrap_err().fault(),
            fault,
            "{which:?}"
        );
    }
    for word in REASONS {
        issue(&mut ca, word, &root.path().join(word));
        ca.revoke(Which::Node(word), word, now()).unwrap();
    }
}

#[test]
fn a_certificate_of_another_authority_is_not_taken_back() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let (other, out) = (root.path().join("other"), root.path().join("n1"));
    issue(&mut create(&other).unwrap(), "n1", &out);
    let file = out.join("mesh.crt.pem");
    let mut ca = open(&folder);
    let refused = ca
        .revoke(Which::Certificate(&file), "superseded", now())
        .unwrap_err();
    assert_eq!(refused.fault(), Fault::Refused);
    assert!(!verdict(&folder, &out, now()).is_empty());
}

#[test]
fn lists_are_renewed_once_they_are_due() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let mut ca = open(&folder);
    assert!(!ca.renew_lists(now() + DAY / 4).unwrap());
    let at = now() + DAY;
    let view = CaView::read(&folder).unwrap();
    assert_eq!(view.lists(now()).due.len(), 0);
    assert_eq!(view.lists(at).due.len(), 2, "the root's counts for 90 days");
    assert!(ca.renew_lists(at).unwrap());
    let lists = CaView::read(&folder).unwrap().lists(at);
    assert_eq!(
        (lists.due.len(), lists.der.len(), lists.rows.len()),
        (0, 3, 3)
    );
    let file = root.path().join("lists.pem");
    fs::write(&file, &lists.pem).unwrap();
    let seen = look(&file).unwrap();
    assert!(seen.iter().all(|one| one.what == "revocation list"));
    fs::write(&file, &lists.der[0].1).unwrap();
    assert_eq!(look(&file).unwrap(), seen[..1]);
}

#[test]
fn rotation_keeps_old_leaves_until_they_retire_and_an_emergency_does_not() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let [old, new, newest] = ["n1", "n2", "n3"].map(|name| root.path().join(name));
    let mut ca = open(&folder);
    issue(&mut ca, "n1", &old);
    assert_eq!(ca.rotate_intermediate(now()).unwrap().authorities.len(), 4);
    drop(ca);
    // Each step comes back from the disk.
    let mut ca = open(&folder);
    issue(&mut ca, "n2", &new);
    let holds = |out: &Path| verdict(&folder, out, now()).is_empty();
    assert!(holds(&old) && holds(&new));
    let report = ca.retire(now()).unwrap();
    assert_eq!(report.authorities.len(), 3);
    assert!(!holds(&old) && holds(&new));
    drop(ca);
    assert_eq!(
        fs::read_dir(folder.join("keys")).unwrap().count(),
        3,
        "the old key is removed"
    );
    let mut ca = open(&folder);
    ca.rotate_root(now()).unwrap();
    drop(ca);
    let mut ca = open(&folder);
    issue(&mut ca, "n3", &newest);
    assert!(holds(&new) && holds(&newest));
    assert!(ca.emergency(" ", now()).is_err(), "without a reason");
    ca.emergency("the laptop is gone", now()).unwrap();
    assert!(!holds(&new) && !holds(&newest));
    drop(ca);
    let mut ca = open(&folder);
    ca.retire(now()).unwrap();
    let last = root.path().join("n4");
    issue(&mut ca, "n4", &last);
    assert!(holds(&last));
    let state = fs::read_to_string(folder.join("ca.json")).unwrap();
    assert!(state.contains("the laptop is gone"));
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

#[test]
fn a_founded_cluster_has_its_authority_and_its_first_member() {
    let root = TempDir::new().unwrap();
    let data = root.path().join("data");
    let found = |node: &str, cluster: &str| {
        found_with(&data, cluster, node, cheap(), Terms::default(), now())
    };
    assert_eq!(
        found("Node One", "test.example").unwrap_err().fault(),
        Fault::Input
    );
    let founded = found("node-1", "test.example").unwrap();
    assert_eq!(founded.spiffe_id, "spiffe://test.example/node/node-1");
    let member = Membership::read(&data).unwrap().unwrap();
    assert_eq!(member.held.state.cluster, "test.example");
    assert_eq!(member.held.state.members, ["node-1"]);
    assert_eq!((member.mesh_chain.len(), member.web_chain.len()), (2, 1));
    assert_eq!(
        member.credentials().unwrap().id().to_string(),
        founded.spiffe_id
    );
    let bundle = open(&data.join("pki/ca")).bundle().unwrap();
    assert_eq!(member.held.bundle, bundle);
    // A node that joins knows the root's SHA-256 alone, and believes what is said.
    let root = *caxton_pki::fingerprint(&bundle.mesh_roots()[0]).as_bytes();
    assert_eq!(
        state::first(&member.held.bytes, &root, now()),
        Ok(member.held.clone())
    );
    let (leaf, above) = member.mesh_chain.split_first().unwrap();
    let purpose = caxton_pki::Purpose::MeshServer;
    assert!(bundle.verify(leaf, above, now(), purpose).is_ok());
    let again = found("node-1", "test.example").unwrap_err();
    assert_eq!(again.fault(), Fault::Conflict, "{again}");
    // Cut off before the membership was written: the same authority goes on.
    fs::remove_file(data.join("pki/member")).unwrap();
    assert_eq!(
        found("node-1", "other.example").unwrap_err().fault(),
        Fault::Input
    );
    let second = found("node-1", "test.example").unwrap();
    let roots = |one: &super::Founded| one.authority.authorities[0].fingerprint.clone();
    assert_eq!(roots(&founded), roots(&second));
}

#[test]
fn a_development_nodes_folder_founds_no_cluster() {
    let root = TempDir::new().unwrap();
    let pki = root.path().join("pki");
    fs::create_dir(&pki).unwrap();
    fs::write(pki.join(caxton_pki::AuthorityPem::FILE_NAMES[0]), "x").unwrap();
    let refused = found_with(
        root.path(),
        "test.example",
        "node-1",
        cheap(),
        Terms::default(),
        now(),
    );
    assert_eq!(refused.unwrap_err().fault(), Fault::Conflict);
}
