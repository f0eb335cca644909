"""PyCA cryptography and pyOpenSSL on our certificates: paths, purposes, lists, requests."""

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from OpenSSL import crypto

FOLDER = pathlib.Path(sys.argv[1])
NOW = datetime.datetime.now(datetime.timezone.utc)


def must(ok, what):
    if not ok:
        sys.exit(f"WRONG: {what}")
    print("python:", what)


def read(name):
    return (FOLDER / name).read_bytes()


def chain(name):
    return x509.load_pem_x509_certificates(read(name))


def crl(name):
    return x509.load_pem_x509_crl(read(name))


def all_lists():
    end = b"-----END X509 CRL-----\n"
    parts = [part + end for part in read("crls.pem").split(end) if part.strip()]
    return [x509.load_pem_x509_crl(part) for part in parts]


def verify(name, *roots):
    """As PyCA sees it, for a server; the names of what it found, or nothing."""
    policy = PolicyBuilder().store(Store([chain(root)[0] for root in roots])).time(NOW)
    leaf, *rest = chain(name)
    try:
        return policy.build_server_verifier(x509.DNSName("localhost")).verify(leaf, rest)
    except VerificationError:
        return None


def verify_client(name, *roots):
    policy = PolicyBuilder().store(Store([chain(root)[0] for root in roots])).time(NOW)
    leaf, *rest = chain(name)
    try:
        return policy.build_client_verifier().verify(leaf, rest)
    except VerificationError:
        return None


def openssl(name, *roots):
    """As OpenSSL sees it, strictly and with every list; its complaint, or nothing."""
    store = crypto.X509Store()
    flags = crypto.X509StoreFlags
    store.set_flags(flags.CRL_CHECK | flags.CRL_CHECK_ALL | flags.X509_STRICT)
    for root in roots:
        store.add_cert(crypto.X509.from_cryptography(chain(root)[0]))
    for found in all_lists():
        store.add_crl(found)
    leaf, *rest = (crypto.X509.from_cryptography(one) for one in chain(name))
    try:
        crypto.X509StoreContext(store, leaf, rest).verify_certificate()
    except crypto.X509StoreContextError as refused:
        return str(refused)
    return None


def domains(certificate):
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return [uri.split("/")[2] for uri in uris]


for root in ("root.pem", "old-root.pem"):
    must(verify("good.pem", root), f"good chain under {root}, as a server")
    must(verify_client("good.pem", root), f"good chain under {root}, as a client")
for name, *roots in (
    ("good.pem", "old-root.pem"),
    ("good.pem", "old-root.pem", "root.pem"),
    ("good-after.pem", "old-root.pem", "root.pem"),
    ("good-after.pem", "root.pem"),
):
    complaint = openssl(name, *roots)
    must(complaint is None, f"{name} under {roots}, strictly, by OpenSSL ({complaint})")
must(verify("good-after.pem", "root.pem"), "good chain after the change")
must(verify("web.pem", "web-root.pem"), "good web chain")
must(openssl("web.pem", "web-root.pem") is None, "good web chain, by OpenSSL")
for name, roots in (("good.pem", ["stranger-root.pem"]), ("stranger.pem", ["root.pem", "old-root.pem"])):
    must(not verify(name, *roots), f"{name} refused under {roots}")
    must("unable to get" in (openssl(name, *roots) or ""), f"{name} refused under {roots}, by OpenSSL")
must(not verify("expired.pem", "root.pem"), "expired chain refused")
must("expired" in (openssl("expired.pem", "root.pem", "old-root.pem") or ""), "expired chain refused for its time, by OpenSSL")
must("revoked" in (openssl("revoked.pem", "root.pem", "old-root.pem") or ""), "revoked chain refused as such, by OpenSSL")
must("revoked" in (openssl("web-revoked.pem", "web-root.pem") or ""), "revoked web chain refused, by OpenSSL")

must(domains(chain("good.pem")[0]) == domains(chain("root.pem")[0]), "the identity is of the root's trust domain")
must(domains(chain("wrong-domain.pem")[0]) != domains(chain("root.pem")[0]), "another trust domain is seen")

for name in ("root", "intermediate", "web-root"):
    found, signer = crl(f"{name}.crl.pem"), chain(f"{name}.pem")[0]
    must(found.is_signature_valid(signer.public_key()), f"{name}'s list is signed by its issuer")
    if name != "web-root":
        stranger = chain("stranger-root.pem")[0].public_key()
        must(not found.is_signature_valid(stranger), f"{name}'s list is signed by no stranger")
    must(found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > 0, f"{name}'s list has a number")
    must(found.last_update_utc < NOW < found.next_update_utc, f"{name}'s list counts now")
serial = lambda name: chain(name)[0].serial_number
intermediate = crl("intermediate.crl.pem")
entry = intermediate.get_revoked_certificate_by_serial_number(serial("revoked.pem"))
must(entry is not None, "the revoked leaf is listed")
reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
must(reason == x509.ReasonFlags.key_compromise, "for key compromise")
must(intermediate.get_revoked_certificate_by_serial_number(serial("good.pem")) is None, "the good one is not")

must(x509.load_der_x509_csr(read("request.der")).is_signature_valid, "the request is signed by its own key")
must(not x509.load_der_x509_csr(read("request-forged.der")).is_signature_valid, "the forged request is refused")

kinds = [line for line in read("bundle.pem").decode().splitlines() if line.startswith("-----BEGIN")]
must(kinds.count("-----BEGIN X509 CRL-----") == 5, "the bundle has a list of each of its five authorities")
must(len(chain("bundle.pem")) == 6, "the bundle has six certificates, one intermediate twice")
