//! Other people's X.509: OpenSSL on the P-384 side, Python's `cryptography` on the ML-DSA side.
//!
//! A tool that is not installed is no failure: the test says `skipped:` and what to install.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use caxton_pki::{CertificateDer, CertificateRequest, pem};

use crate::fixture::{authority, mesh_chain, ml_dsa, now, p384, web_chain};

/// Checks one mesh chain, one request and one key. Exit code 77 means that there is no such
/// library here, or one that knows no ML-DSA.
const PYTHON: &str = r#"
import datetime, sys
try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
    from cryptography.hazmat.primitives.asymmetric import mldsa
    import cryptography
except ImportError as missing:
    print(missing)
    sys.exit(77)
if int(cryptography.__version__.split(".")[0]) < 50:
    print("cryptography", cryptography.__version__, "verifies no ML-DSA certificates")
    sys.exit(77)
directory, now = sys.argv[1], datetime.datetime.fromtimestamp(int(sys.argv[2]), datetime.timezone.utc)
read = lambda name: open(directory + "/" + name, "rb").read()
root, other = [x509.load_pem_x509_certificate(read(n)) for n in ("root.pem", "other.pem")]
leaf, intermediate = x509.load_pem_x509_certificates(read("chain.pem"))
leaf.verify_directly_issued_by(intermediate)
intermediate.verify_directly_issued_by(root)
names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://test.example/node/n1"]
key = load_pem_private_key(read("leaf.key.pem"), None)
assert key.public_key() == leaf.public_key(), "the key in the file is the key in the leaf"
assert x509.load_der_x509_csr(read("request.der")).is_signature_valid
try:
    leaf.verify_directly_issued_by(other)
    sys.exit("another root was taken for the issuer")
except (InvalidSignature, ValueError):
    pass
def verify(anchor):
    policy = PolicyBuilder().store(Store([anchor])).time(now)
    return policy.build_server_verifier(x509.DNSName("localhost")).verify(leaf, [intermediate])
assert len(verify(root)) == 3
try:
    verify(other)
    sys.exit("a chain to another root was accepted")
except VerificationError:
    pass
print("verified", leaf.signature_algorithm_oid.dotted_string)
"#;

fn text(output: &Output) -> String {
    let bytes = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn unix_now() -> String {
    now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
        .to_string()
}

fn write(directory: &Path, name: &str, contents: impl AsRef<[u8]>) {
    fs::write(directory.join(name), contents).expect("a writable temporary directory");
}

fn openssl_verify(directory: &Path, root: &str) -> Option<Output> {
    Command::new("openssl")
        .current_dir(directory)
        .args([
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            "localhost",
        ])
        .args(["-attime", &unix_now(), "-CAfile", root, "leaf.pem"])
        .output()
        .ok()
}

#[test]
fn openssl_verifies_the_web_chain_strictly() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority();
    let other = crate::fixture::authority();
    let encode = |certificate: &CertificateDer<'_>| pem::encode_certificate(certificate);
    write(
        directory.path(),
        "root.pem",
        encode(authority.web_root().certificate()),
    );
    write(
        directory.path(),
        "other.pem",
        encode(other.web_root().certificate()),
    );
    write(
        directory.path(),
        "leaf.pem",
        pem::encode_certificates(&web_chain(&authority, &p384())),
    );

    let Some(good) = openssl_verify(directory.path(), "root.pem") else {
        println!("skipped: no `openssl` on the path (apt-get install openssl)");
        return;
    };
    assert!(good.status.success(), "{}", text(&good));
    let bad = openssl_verify(directory.path(), "other.pem").unwrap();
    assert!(
        !bad.status.success(),
        "a stranger's root was accepted: {}",
        text(&bad)
    );
}

#[test]
fn python_cryptography_verifies_the_mesh_chain() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority();
    let other = crate::fixture::authority();
    let key = ml_dsa();
    let root = pem::encode_certificate(authority.mesh_root().certificate());
    write(directory.path(), "root.pem", root);
    write(
        directory.path(),
        "other.pem",
        pem::encode_certificate(other.mesh_root().certificate()),
    );
    write(
        directory.path(),
        "chain.pem",
        pem::encode_certificates(&mesh_chain(&authority, &key)),
    );
    write(
        directory.path(),
        "leaf.key.pem",
        &*pem::encode_key(&key).unwrap(),
    );
    write(
        directory.path(),
        "request.der",
        CertificateRequest::encode(&key).unwrap(),
    );

    let run = Command::new("python3")
        .args(["-c", PYTHON])
        .arg(directory.path())
        .arg(unix_now())
        .output();
    match run {
        Err(_) => println!("skipped: no `python3` on the path"),
        Ok(output) if output.status.code() == Some(77) => {
            println!(
                "skipped: {} (pip install 'cryptography>=50')",
                text(&output).trim()
            );
        }
        Ok(output) => {
            assert!(output.status.success(), "{}", text(&output));
            assert_eq!(text(&output).trim(), "verified 2.16.840.1.101.3.4.3.19");
        }
    }
}
