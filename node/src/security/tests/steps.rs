//! What an authority does once it is there: renew, take back, rotate; and a cluster that is founded.

use super::*;

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
    assert_eq!(
        certificate.expires_at,
        crate::security::rows::moment(at + 90 * DAY)
    );
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
fn a_founded_cluster_has_its_authority_and_its_first_member() {
    let root = TempDir::new().unwrap();
    let data = root.path().join("data");
    let found = |node: &str, cluster: &str| {
        found_with(
            (&data, cluster, node),
            &[],
            cheap(),
            Terms::default(),
            90 * DAY,
            now(),
        )
    };
    assert_eq!(
        found("Node One", "test.example").unwrap_err().fault(),
        Fault::Input
    );
    let founded = found("node-1", "test.example").unwrap();
    assert_eq!(founded.spiffe_id, "spiffe://test.example/node/node-1");
    let member = Membership::read(&data, now()).unwrap().unwrap();
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
    let purpose = Purpose::MeshServer;
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
    let roots = |one: &crate::security::Founded| one.authority.authorities[0].fingerprint.clone();
    assert_eq!(roots(&founded), roots(&second));
}

#[test]
fn an_emergency_on_a_running_cluster_ends_when_the_older_authorities_are_taken_back() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let (old, new) = (root.path().join("n1"), root.path().join("n1b"));
    let mut ca = open(&folder);
    issue(&mut ca, "n1", &old);
    for reason in ["", " ", "two\nlines", &"x".repeat(501)] {
        let refused = ca.begin_emergency(reason, now()).unwrap_err();
        assert_eq!(refused.fault(), Fault::Input, "{reason:?}");
    }
    ca.begin_emergency("a laptop is lost", now()).unwrap();
    assert!(ca.begin_emergency("again", now()).is_err());
    let behind = |ca: &CaFolder| ca.behind(now()).into_iter().collect::<Vec<_>>();
    assert_eq!(behind(&ca), ["spiffe://test.example/node/n1"]);
    assert_eq!(verdict(&folder, &old, now()), Vec::<String>::new());
    drop(ca);

    // That the other half is due outlives the process.
    let mut ca = open(&folder);
    assert!(ca.is_emergency() && ca.is_between());
    issue(&mut ca, "n1", &new);
    assert_eq!(behind(&ca), Vec::<String>::new());
    ca.disown_former(now()).unwrap();
    assert!(!ca.is_emergency() && !ca.is_between());
    drop(ca);
    assert!(verdict(&folder, &old, now())[0].contains("revoked"));
    assert_eq!(verdict(&folder, &new, now()), Vec::<String>::new());
}

#[test]
fn an_intermediate_is_due_when_half_of_its_life_is_over() {
    let root = TempDir::new().unwrap();
    let mut ca = create(&root.path().join("ca")).unwrap();
    let half = now() + 366 * DAY;
    assert!(!ca.is_intermediate_due(now() + 365 * DAY));
    assert!(ca.is_intermediate_due(half));
    ca.rotate_intermediate(half).unwrap();
    assert!(!ca.is_intermediate_due(half));
}

#[test]
fn one_whose_certificate_was_taken_back_is_waited_for_by_nobody() {
    let root = TempDir::new().unwrap();
    let mut ca = create(&root.path().join("ca")).unwrap();
    issue(&mut ca, "n1", &root.path().join("n1"));
    ca.rotate_intermediate(now()).unwrap();
    assert_eq!(ca.behind(now()).len(), 1);
    ca.revoke(Which::Node("n1"), "superseded", now()).unwrap();
    assert_eq!(ca.behind(now()).len(), 0);
}

#[test]
fn an_emergency_does_not_begin_without_the_key_of_the_root() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let is_root =
        |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("mesh-root");
    for key in fs::read_dir(folder.join("keys"))
        .unwrap()
        .flatten()
        .filter(is_root)
    {
        fs::rename(key.path(), root.path().join("elsewhere")).unwrap();
    }
    let mut ca = open(&folder);
    let refused = ca.begin_emergency("a laptop is lost", now()).unwrap_err();
    assert_eq!(refused.fault(), Fault::Refused);
    assert!(!ca.is_between());
}

#[test]
fn an_operator_gets_a_chain_of_either_side_which_is_taken_back_by_its_serial_number() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let mut ca = open(&folder);
    let requests = [
        CertificateRequest::of_own(&MlDsa87Key::generate().unwrap()),
        CertificateRequest::of_own(&P384Key::generate().unwrap()),
    ];
    for request in &requests {
        let chain = ca.issue_operator(request, "n1", 30 * DAY, now()).unwrap();
        let verdict = |ca: &CaFolder| {
            let verified = ca
                .bundle()
                .unwrap()
                .verify_caller(&chain[0], &chain[1..], now());
            verified.map(|chain| chain.id().to_string())
        };
        let id = format!("spiffe://{}/operator/n1", ca.trust_domain());
        assert_eq!(verdict(&ca), Ok(id));
        let serial = CertificateSummary::parse(&chain[0]).unwrap().serial;
        assert_eq!(ca.whose(&serial), None, "the member `n1` is somebody else");
        ca.revoke(Which::Serial(&serial), "key-compromise", now())
            .unwrap();
        let verdict = verdict(&ca);
        assert!(
            matches!(verdict, Err(VerifyChainError::Revoked { .. })),
            "{verdict:?}"
        );
    }
}

#[test]
fn an_operators_certificates_are_bounded_in_number_and_time() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let mut ca = open(&folder);
    let request = CertificateRequest::of_own(&P384Key::generate().unwrap());
    let long = ca.issue_operator(&request, "ada", 101 * DAY, now());
    assert_eq!(long.unwrap_err().fault(), Fault::Input);
    for _ in 0..16 {
        ca.issue_operator(&request, "ada", DAY, now()).unwrap();
    }
    let full = ca.issue_operator(&request, "ada", DAY, now()).unwrap_err();
    assert_eq!(full.fault(), Fault::Refused);
    ca.issue_operator(&request, "bob", DAY, now()).unwrap();
    ca.issue_operator(&request, "ada", DAY, now() + 2 * DAY)
        .unwrap();
}

#[test]
fn a_member_gets_both_chains_in_one_step_and_loses_both() {
    let root = TempDir::new().unwrap();
    let folder = made(&root);
    let mut ca = open(&folder);
    let id = SpiffeId::node(ca.trust_domain().clone(), "n1").unwrap();
    let mesh = CertificateRequest::of_own(&MlDsa87Key::generate().unwrap());
    let web = CertificateRequest::of_own(&P384Key::generate().unwrap());
    let chains = ca
        .issue_member((&mesh, &web), &id, &[], 90 * DAY, now())
        .unwrap();
    ca.revoke_member("n1", now()).unwrap();
    ca.revoke_member("nobody", now()).unwrap();
    let bundle = ca.bundle().unwrap();
    for (chain, purpose) in [
        (&chains.mesh, Purpose::MeshClient),
        (&chains.web, Purpose::WebServer),
    ] {
        let verdict = bundle.verify(&chain[0], &chain[1..], now(), purpose);
        assert!(
            matches!(verdict, Err(VerifyChainError::Revoked { .. })),
            "{verdict:?}"
        );
    }
}
