"""Tokens and key sets by PyJWT and joserfc, and bad twins of them; README.md says what our verifier must say of each.

    make_tokens.py FOLDER       writes FOLDER/tokens.json for examples/tokens_of_strangers.rs
"""

import base64
import hmac
import json
import pathlib
import sys
import warnings

import jwt as pyjwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from joserfc import jwe
from joserfc import jwt as joserfc
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

NOW = 1_790_000_000
ISSUER, AUDIENCE, KID = "https://login.example/acme", "caxton.example", "key-1"
CLAIMS = {"iss": ISSUER, "sub": "ada", "aud": [AUDIENCE, "other"], "iat": NOW - 5, "nbf": NOW - 5, "exp": NOW + 600,
          "jti": "t-1", "groups": ["operators", "büro"]}
RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
ALGORITHMS = RSA_ALGORITHMS + ["ES256", "ES384", "EdDSA", "Ed25519"]

cases = []
warnings.simplefilter("ignore")  # EdDSA and weak keys, which are meant.


def b64(raw):
    return base64.urlsafe_b64encode(raw if isinstance(raw, bytes) else raw.encode()).decode().rstrip("=")


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8))


def case(what, token, keys, verdict):
    """`verdict` is the subject, or the name of our refusal."""
    keys = keys if isinstance(keys, list) else [keys]
    cases.append({"what": what, "token": token, "keys": {"keys": keys}, "verdict": verdict})


def private_key(algorithm):
    """A new key of PyCA's, of the smallest size that the algorithm may have."""
    if algorithm in RSA_ALGORITHMS:
        return rsa.generate_private_key(65537, 2048)
    if algorithm in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1,
                                    "ES256K": ec.SECP256K1}[algorithm]())


def public_jwk(key, **more):
    """The key set's entry, as PyJWT writes it."""
    maker = {rsa.RSAPrivateKey: pyjwt.algorithms.RSAAlgorithm, ed25519.Ed25519PrivateKey: pyjwt.algorithms.OKPAlgorithm}
    kind = next((made for kind, made in maker.items() if isinstance(key, kind)), pyjwt.algorithms.ECAlgorithm)
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": KID, **more}


def joserfc_key(algorithm):
    more = {"kid": KID, "use": "sig", "alg": algorithm}
    if algorithm in RSA_ALGORITHMS:
        return RSAKey.generate_key(3072, more)
    if algorithm in ("EdDSA", "Ed25519"):
        return OKPKey.generate_key("Ed25519", more)
    return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[algorithm], more)


def by_pyjwt(key, algorithm, header=None, **claims):
    if algorithm == "Ed25519":  # PyJWT has the older name alone.
        return by_hand({"alg": algorithm, "kid": KID, **(header or {})}, key.sign, {**CLAIMS, **claims})
    return pyjwt.encode({**CLAIMS, **claims}, key, algorithm=algorithm, headers={"kid": KID, **(header or {})})


def by_hand(header, sign, claims=CLAIMS):
    signed = f"{b64(json.dumps(header))}.{b64(json.dumps(claims))}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def each_algorithm():
    for algorithm in ALGORITHMS:
        key, other = private_key(algorithm), private_key(algorithm)
        jwk, maker = public_jwk(key), "PyCA" if algorithm == "Ed25519" else "PyJWT"
        case(f"{algorithm} of {maker} counts", by_pyjwt(key, algorithm), jwk, "ada")
        case(f"{algorithm} of {maker} as at+jwt counts", by_pyjwt(key, algorithm, {"typ": "at+jwt"}), jwk, "ada")
        case(f"{algorithm} of {maker} by another key", by_pyjwt(other, algorithm), jwk, "Signature")
        good = by_pyjwt(key, algorithm).split(".")
        changed = b64(json.dumps({**CLAIMS, "sub": "root"}))
        case(f"{algorithm} of {maker} with another subject", f"{good[0]}.{changed}.{good[2]}", jwk, "Signature")
        case(f"{algorithm} of {maker} without its signature", f"{good[0]}.{good[1]}.", jwk, "Signature")

        key = joserfc_key(algorithm)
        entry = KeySet([key]).as_dict(private=False)["keys"]
        header = {"alg": algorithm, "kid": KID, "typ": "JWT"}
        token = joserfc.encode(header, CLAIMS, key, algorithms=[algorithm])
        case(f"{algorithm} of joserfc counts", token, entry, "ada")
        nameless = {"alg": algorithm}
        token = joserfc.encode(nameless, CLAIMS, key, algorithms=[algorithm])
        case(f"{algorithm} of joserfc without kid counts", token, entry, "ada")
        case(f"{algorithm} of joserfc with its private key published", token, key.as_dict(private=True), "NoKey")


def claims_of_others():
    key = private_key("ES256")
    jwk = public_jwk(key, alg="ES256", use="sig", key_ops=["verify"])
    for what, change, verdict in [
        ("expired", {"exp": NOW - 31}, "Expired"), ("not yet", {"nbf": NOW + 31}, "NotYet"),
        ("issued later", {"iat": NOW + 31}, "NotYet"), ("two days long", {"exp": NOW + 172_800}, "LongLived"),
        ("for another", {"aud": "other"}, "Audience"), ("of another", {"iss": ISSUER + "/"}, "UnknownIssuer"),
        ("bound to a key", {"cnf": {"jkt": "x"}}, "Bound"), ("with half a second", {"exp": NOW + 9.5}, 'Malformed("exp")'),
        ("of nobody", {"sub": ""}, 'Malformed("sub")'),
    ]:
        case(f"a token {what}", by_pyjwt(key, "ES256", **change), jwk, verdict)
    for what, header, verdict in [
        ("an address of keys", {"jku": "https://attacker.example/jwks"}, "OwnKey"),
        ("a nested token", {"cty": "JWT"}, "Nested"), ("compression", {"zip": "DEF"}, "HeaderMember"),
        ("another kind", {"typ": "dpop+jwt"}, "Kind"), ("another key's name", {"kid": "../key-1"}, "NoKey"),
    ]:
        case(f"a header with {what}", by_pyjwt(key, "ES256", header), jwk, verdict)


def attacks():
    key, attacker = private_key("RS256"), private_key("RS256")
    jwk = public_jwk(key)
    case("a key that the token brings", by_pyjwt(attacker, "RS256", {"jwk": public_jwk(attacker)}), jwk, "OwnKey")
    case("none of PyJWT", by_pyjwt(None, "none"), jwk, "Algorithm")
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    for form, encoding in (("PEM", serialization.Encoding.PEM), ("DER", serialization.Encoding.DER)):
        secret = key.public_key().public_bytes(encoding, spki)
        for algorithm, verdict in (("HS256", "Algorithm"), ("RS256", "Signature")):
            token = by_hand({"alg": algorithm, "kid": KID}, lambda signed: hmac.digest(secret, signed, "sha256"))
            case(f"{algorithm} by HMAC under the public key in {form}", token, jwk, verdict)
    for salt in (0, 20):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
        token = by_hand({"alg": "PS256", "kid": KID}, lambda signed: key.sign(signed, pss, hashes.SHA256()))
        case(f"PS256 with a salt of {salt} bytes", token, jwk, "Signature")
    token = by_hand({"alg": "RS256", "kid": KID}, lambda signed: key.sign(signed, padding.PKCS1v15(), hashes.SHA1()))
    case("RS256 over SHA-1", token, jwk, "Signature")
    pkcs1 = padding.PKCS1v15()
    header = {"alg": "RS256", "kid": KID, "crit": ["exp"], "exp": NOW + 9}
    token = by_hand(header, lambda signed: key.sign(signed, pkcs1, hashes.SHA256()))
    case("an extension that must be understood", token, jwk, "Critical")

    for what, exponent, bits in [("1024 bits", 65537, 1024), ("exponent 3", 3, 2048)]:
        weak = rsa.generate_private_key(exponent, bits)
        numbers = weak.public_key().public_numbers()
        entry = {"kty": "RSA", "kid": KID, "n": number(numbers.n), "e": number(numbers.e)}
        token = by_hand({"alg": "RS256", "kid": KID}, lambda signed: weak.sign(signed, pkcs1, hashes.SHA256()))
        case(f"RS256 under an RSA key of {what}", token, entry, "NoKey")
    for algorithm in ("ES512", "ES256K"):
        key = private_key(algorithm)
        case(f"{algorithm} of PyJWT", by_pyjwt(key, algorithm), public_jwk(key), "Algorithm")
    key = private_key("ES256")
    der = by_hand({"alg": "ES256", "kid": KID}, lambda signed: key.sign(signed, ec.ECDSA(hashes.SHA256())))
    case("ES256 with its signature in DER", der, public_jwk(key), "Signature")


def other_envelopes():
    key = OctKey.generate_key(256, {"kid": KID})
    token = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, json.dumps(CLAIMS), key)
    case("an encrypted token of joserfc", token, key.as_dict(private=True), "Parts")
    token = joserfc.encode({"alg": "HS256", "kid": KID}, CLAIMS, key, algorithms=["HS256"])
    case("HS256 of joserfc under a secret in the set", token, key.as_dict(private=True), "Algorithm")


each_algorithm()
claims_of_others()
attacks()
other_envelopes()
setting = {"now": NOW, "issuer": ISSUER, "audience": AUDIENCE, "cases": cases}
(pathlib.Path(sys.argv[1]) / "tokens.json").write_text(json.dumps(setting))
