"""A second verifier of capability tokens, written from docs/token.md: PyCA `cryptography` and nothing of ours.

    verify_token.py FOLDER      the folder of the vectors, capabilities/tests/vectors

Each vector must get the verdict it names; of tokens that count, every field must be read as the vector has it.
"""

import base64
import hashlib
import json
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

WORD = b"caxton-token-v1 "
ACTIONS = ["send", "deploy", "read", "operate", "kv", "secret", "tool", "trace", "issue"]
ACTS = ["request", "query", "inform", "propose", "accept-proposal", "reject-proposal", "cfp", "agree", "refuse",
        "failure", "not-understood", "subscribe", "cancel"]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,62}[a-z0-9]")
DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
AUDIENCE = re.compile(r"[a-z0-9.:_/-]{1,129}")
THING = re.compile(r"[!-)+-~]{1,128}")
PREFIX = re.compile(r"[!-)+-~]{0,128}")
SECONDS_MAX = 253402300799
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ED, PQ = 64, 3309


class No(Exception):
    """The stage and class of a refusal."""


def malformed(ok):
    if not ok:
        raise No("refused: malformed")


def base32(value):
    return "".join("0123456789abcdefghjkmnpqrstvwxyz"[value >> 5 * at & 31] for at in range(25, -1, -1))


def decode64(prefix, text):
    malformed(text.startswith(prefix) and re.fullmatch(r"[A-Za-z0-9_-]*", text[len(prefix):]))
    digits = text[len(prefix):]
    malformed(len(digits) % 4 != 1)
    raw = base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
    malformed(encode64(prefix, raw) == text)
    return raw


def encode64(prefix, raw):
    return prefix + base64.urlsafe_b64encode(raw).decode().rstrip("=")


# Ed25519, strictly: what RFC 8032 leaves open is closed here, before PyCA is asked.

def times_eight(x, y):
    """The point eight times, to find those of small order; by the addition law of RFC 8032, section 5.1.4, affine."""
    for _ in range(3):
        product = D * x * x * y * y % P
        x, y = (2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P)
    return x, y


def is_sound_point(raw):
    """Canonical, on the curve, and not of small order."""
    number = int.from_bytes(raw, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= P:
        return False
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and sign):
        return False
    return times_eight(x, y) != (0, 1)


def ed25519_holds(key, signature, message):
    if not is_sound_point(signature[:32]):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


def ml_dsa_holds(key, signature, message):
    try:
        MLDSA65PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


# Bytes.

class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, count):
        malformed(self.at + count <= len(self.raw))
        self.at += count
        return self.raw[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def text(self, grammar):
        raw = self.take(self.number(1))
        malformed(raw.isascii())
        malformed(grammar.fullmatch(raw.decode()))
        return raw.decode()

    def end(self):
        malformed(self.at == len(self.raw))

    def moment(self):
        seconds = self.number(8)
        malformed(seconds <= SECONDS_MAX)
        return seconds

    def address(self):
        return self.text(NAME) + "/" + self.text(NAME)

    def principal(self):
        kind = self.number(1)
        malformed(kind in (1, 2, 3))
        return self.address() if kind == 1 else "operator:" + self.text(NAME) if kind == 2 else "node"

    def ascending(self, count, most, read):
        malformed(1 <= count <= most)
        all, raws = [], []
        for _ in range(count):
            begin = self.at
            all.append(read())
            raws.append(self.raw[begin:self.at])
        return all, raws

    def audience(self):
        all, _ = self.ascending(self.number(1), 16, lambda: self.text(AUDIENCE))
        malformed(all == sorted(set(all)))
        return all

    def right(self):
        action, kind = self.number(1), self.number(1)
        malformed(1 <= action <= len(ACTIONS) and kind <= 7)
        over = ["*", "cluster", "node"][kind] if kind < 3 else None
        if kind == 3:
            over = "operator:" + self.text(NAME)
        elif kind == 4:
            over = self.text(NAME) + "/*"
        elif kind == 5:
            over = self.address()
        elif kind == 6:
            over = self.text(NAME) + "#" + self.text(THING)
        elif kind == 7:
            over = self.text(NAME) + "#" + self.text(PREFIX) + "*"
        return ACTIONS[action - 1] + " " + over

    def rights(self):
        all, raws = self.ascending(self.number(1), 32, self.right)
        malformed(raws == sorted(set(raws)))
        return all

    def rate(self):
        count, seconds = self.number(4), self.number(4)
        malformed(count >= 1 and 1 <= seconds <= 86400)
        return [count, seconds]

    def performatives(self):
        bits = self.number(2)
        malformed(bits and bits < 1 << 13)
        return [word for at, word in enumerate(ACTS) if bits >> at & 1]

    def holder(self):
        key = self.take(32)
        malformed(is_sound_point(key))
        return key


def read_block(body, first):
    reader, block = Reader(body), {}
    malformed(reader.number(1) == (0 if first else 1))
    if first:
        block["issuer"] = "key_" + reader.take(32).hex()
        block["trust_domain"] = reader.text(DOMAIN)
    reader.take(16)
    fields = reader.number(2)
    malformed(fields < 1 << 10 and (not first or fields & 12 == 12))
    readers = [("holder", reader.holder), ("subject", reader.principal), ("not_before", reader.moment),
               ("expires", reader.moment), ("audience", reader.audience), ("tenant", lambda: reader.text(NAME)),
               ("rate", reader.rate), ("bytes_max", lambda: reader.number(8)),
               ("performatives", reader.performatives),
               ("conversation", lambda: "cnv_" + base32(reader.number(16)))]
    for at, (name, read) in enumerate(readers):
        if fields >> at & 1:
            block[name] = read()
    block["rights"] = reader.rights()
    reader.end()
    return block


def read_token(raw):
    malformed(len(raw) <= 16384)
    reader = Reader(raw)
    malformed(reader.take(4) == b"CXT\x01")
    count = reader.number(1)
    malformed(1 <= count <= 8)
    blocks, chain = [], bytes(32)
    for at in range(count):
        body = reader.take(reader.number(2))
        block = read_block(body, at == 0)
        block["body"], block["before"] = body, chain
        block["signature"] = reader.take(ED)
        block["quantum"] = reader.take(PQ) if at == 0 else b""
        chain = hashlib.sha256(WORD + b"chain\0" + chain + body).digest()
        block["chain"], block["id"] = chain, "tok_" + base32(int.from_bytes(chain[:16], "big"))
        blocks.append(block)
    reader.end()
    return blocks


# What blocks give.

def includes(one, other):
    """Whether the grant `one` gives all that `other` gives; a right that is asked for is a grant as well."""
    (action, over), (asked, inner) = one.split(" "), other.split(" ")
    if action != asked:
        return False
    if over in ("*", inner):
        return True
    if over.endswith("/*"):
        tenant = over[:-2]
        return inner.startswith((tenant + "/", tenant + "#"))
    return "#" in over and over.endswith("*") and "#" in inner and inner.startswith(over[:-1])


def all_included(rights, allowed):
    return all(any(includes(one, right) for one in allowed) for right in rights)


NO_WIDER = {
    "not_before": lambda old, new: new >= old,
    "expires": lambda old, new: new <= old,
    "audience": lambda old, new: set(new) <= set(old),
    "tenant": lambda old, new: new == old,
    "bytes_max": lambda old, new: new <= old,
    "performatives": lambda old, new: set(new) <= set(old),
    "conversation": lambda old, new: new == old,
}


def check_chain(blocks):
    first = blocks[0]
    if not 1 <= first["expires"] - first["not_before"] <= 366 * 86400:
        raise No("refused: lifetime")
    stands = dict(first)
    for before, block in zip(blocks, blocks[1:]):
        if "holder" not in before:
            raise No("refused: sealed")
        narrow = all_included(block["rights"], before["rights"])
        for name, no_wider in NO_WIDER.items():
            if name in block:
                narrow = narrow and (name not in stands or no_wider(stands[name], block[name]))
                stands[name] = block[name]
        if not narrow:
            raise No("refused: widened")


def key_id(kind, raw):
    return "key_" + hashlib.sha256(WORD + kind + b"-key\0" + raw).hexdigest()


def verify(raw, setting, revoked, now):
    blocks = read_token(raw)
    check_chain(blocks)
    first = blocks[0]
    if first["trust_domain"] != setting["trust_domain"]:
        raise No("refused: trust-domain")
    known = {one["id"]: one for one in setting["issuers"]}
    issuer = known.get(first["issuer"])
    if issuer is None:
        raise No("refused: unknown-issuer")
    if now >= issuer["valid_until"]:
        raise No("refused: issuer-expired")
    if not all_included(first["rights"], issuer["may_issue"]):
        raise No("refused: issuer-reach")
    names = {first["issuer"]} | {block["id"] for block in blocks}
    names |= {key_id(b"holder", block["holder"]) for block in blocks if "holder" in block}
    if names & set(revoked):
        raise No("refused: revoked")
    for block in blocks:
        if now < block.get("not_before", 0):
            raise No("refused: not-yet")
        if now >= block.get("expires", SECONDS_MAX + 1):
            raise No("refused: expired")
    key = decode64("cxi1.", issuer["key"])
    assert len(key) == 32 + 1952 and key_id(b"issuer", key) == issuer["id"]
    message = WORD + b"issue\0" + first["body"]
    holds = ed25519_holds(key[:32], first["signature"], message) and ml_dsa_holds(key[32:], first["quantum"], message)
    for before, block in zip(blocks, blocks[1:]):
        message = WORD + b"delegate\0" + block["before"] + block["body"]
        holds = holds and ed25519_holds(before["holder"], block["signature"], message)
    if not holds:
        raise No("refused: signature")
    return blocks, issuer["valid_until"]


def prove(blocks, shown):
    last = blocks[-1]
    if "holder" not in last:
        raise No("unproven: sealed")
    raw = decode64("cxp1.", shown["presentation"])
    assert len(raw) == 72
    at, audience = int.from_bytes(raw[:8], "big"), shown["audience"].encode()
    if abs(at - shown["now"]) > 60:
        raise No("unproven: stale")
    message = (WORD + b"present\0" + last["chain"] + raw[:8] + len(audience).to_bytes(8, "big") + audience
               + bytes.fromhex(shown["digest"]))
    if not ed25519_holds(last["holder"], raw[8:], message):
        raise No("unproven: signature")
    return {"audience": shown["audience"], "until": at + 60}


def authorize(blocks, issuer_until, proof, asked):
    now, names = asked["now"], asked.get("audience", [])
    if now >= issuer_until:
        raise No("denied: issuer-expired")
    if "holder" in blocks[-1] and not (proof and now < proof["until"] and proof["audience"] in names):
        raise No("denied: proof")
    for block in blocks:
        tests = [
            ("right", any(includes(right, asked["right"]) for right in block["rights"])),
            ("not-yet", now >= block.get("not_before", 0)),
            ("expired", now < block.get("expires", SECONDS_MAX + 1)),
            ("audience", "audience" not in block or set(names) & set(block["audience"])),
            ("tenant", "tenant" not in block or asked.get("tenant") == block["tenant"]),
            ("bytes", "bytes_max" not in block or asked.get("bytes", 2**64) <= block["bytes_max"]),
            ("performative", "performatives" not in block or asked.get("performative") in block["performatives"]),
            ("conversation", "conversation" not in block or asked.get("conversation") == block["conversation"]),
        ]
        for name, ok in tests:
            if not ok:
                raise No("denied: " + name)
    if "subject" in blocks[-1] and asked.get("presenter") != blocks[-1]["subject"]:
        raise No("denied: subject")


def read_out(block):
    """The fields of a block as a vector shows them."""
    hidden = ("trust_domain", "body", "before", "signature", "quantum", "chain", "holder")
    said = {name: value for name, value in block.items() if name not in hidden}
    if "holder" in block:
        said["holder"] = encode64("cxh1.", block["holder"])
        said["holder_id"] = key_id(b"holder", block["holder"])
    return said


def verdict(setting, vector):
    try:
        raw = decode64("cxt1.", vector["token"])
        blocks, until = verify(raw, setting, vector.get("revoked", []), vector["now"])
        proof = prove(blocks, vector["shown"]) if "shown" in vector else None
        authorize(blocks, until, proof, {name: value for name, value in vector["request"].items() if value is not None})
    except No as no:
        return str(no)
    if [read_out(block) for block in blocks] != vector["blocks"]:
        return "read otherwise"
    return "allowed"


def main():
    folder, found = pathlib.Path(sys.argv[1]), 0
    for name in ("valid", "refused", "denied"):
        setting = json.loads((folder / f"{name}.json").read_text())
        for vector in setting["vectors"]:
            got = verdict(setting, vector)
            if got != vector["expect"]:
                sys.exit(f"WRONG: {name}: {vector['name']}: expected {vector['expect']}, got {got}")
            print(f"python (tokens): {vector['name']}: {got}")
            found += 1
    if found < 80:
        sys.exit(f"WRONG: only {found} vectors")


if __name__ == "__main__":
    main()
