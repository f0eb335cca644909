"""A second verifier of signed manifests, written from docs/manifest.md: PyCA `cryptography` and nothing of ours.

    verify_manifest.py FOLDER      the folder of the vectors, capabilities/tests/vectors

Each vector must get the verdict it names, each manifest that counts must be read as the vector has it, and of each
change the same must be said to be wider. Points, texts and rights are read as the verifier of tokens reads them.
"""

import hashlib
import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True

from verify_token import (DOMAIN, ED, NAME, PQ, No, Reader, decode64, ed25519_holds, includes, key_id, malformed,
                          ml_dsa_holds)

WORD = b"caxton-manifest-v1 "
LIMIT = re.compile(r"[a-z0-9_]{1,64}")
IMPORT = re.compile(r"[a-zA-Z0-9:/@.+_-]{1,128}")
PROTOCOL = re.compile(r"[a-z0-9-]{1,64}")


def ascending(all):
    malformed(all == sorted(set(all)))
    return all


def texts(reader, most, grammar):
    count = reader.number(1)
    malformed(count <= most)
    return ascending([reader.text(grammar) for _ in range(count)])


def limits(reader):
    count = reader.number(1)
    malformed(count <= 64)
    all = [(reader.text(LIMIT), reader.number(8)) for _ in range(count)]
    ascending([name for name, _ in all])
    malformed(len(dict(all)) == count)
    return dict(all)


def rights(reader):
    count = reader.number(1)
    malformed(count <= 32)
    all, raws = [], []
    for _ in range(count):
        begin = reader.at
        all.append(reader.right())
        raws.append(reader.raw[begin:reader.at])
    ascending(raws)
    return all


def read(raw):
    """The key, the contents, what is signed, and both signatures."""
    malformed(len(raw) <= 32768)
    reader = Reader(raw)
    malformed(reader.take(4) == b"CXM\x01")
    key = "key_" + reader.take(32).hex()
    named = reader.number(1)
    malformed(named <= 1)
    said = {"trust_domain": reader.text(DOMAIN) if named else None, "address": reader.address(),
            "program": reader.take(32).hex(), "number": reader.number(8), "signed_at": reader.moment(),
            "limits": limits(reader), "imports": texts(reader, 64, IMPORT), "protocols": texts(reader, 16, PROTOCOL),
            "services": texts(reader, 64, NAME), "rights": rights(reader)}
    malformed(said["number"] >= 1)
    body = raw[4:reader.at]
    signatures = reader.take(ED), reader.take(PQ)
    reader.end()
    return key, said, body, signatures


def verify(raw, setting):
    key, said, body, (classical, quantum) = read(raw)
    if said["trust_domain"] not in (None, setting["trust_domain"]):
        raise No("refused: trust-domain")
    known = {one["id"]: one["key"] for one in setting["deployers"]}
    if key not in known:
        raise No("refused: unknown-deployer")
    public = decode64("cxi1.", known[key])
    assert len(public) == 32 + 1952 and key_id(b"issuer", public) == key
    message = WORD + b"deploy\0" + body
    if not ed25519_holds(public[:32], classical, message) or not ml_dsa_holds(public[32:], quantum, message):
        raise No("refused: signature")
    return key, said, hashlib.sha256(WORD + b"digest\0" + body).hexdigest()


def hold(said, asked):
    """Whether what is to be deployed is what was signed."""
    tests = [("tenant", said["address"].split("/")[0] == asked["address"].split("/")[0]),
             ("name", said["address"] == asked["address"])]
    tests += [(name, said[name] == asked[name]) for name in ("program", "limits", "protocols", "services")]
    tests += [("imports", set(asked["imports"]) <= set(said["imports"]))]
    for name, ok in tests:
        if not ok:
            raise No("altered: " + name)


def verdict(setting, vector):
    try:
        key, said, digest = verify(decode64("cxm1.", vector["manifest"]), setting)
        if "deployment" in vector:
            hold(said, vector["deployment"])
        elif (key, said, digest) != (vector["key"], vector["says"], vector["digest"]):
            return "read otherwise"
    except No as no:
        return str(no)
    return "accepted"


def wider(old, new, defaults):
    """Each thing that is more, in the words of the page."""
    all = []
    if old["address"] != new["address"]:
        all.append(f"another address: `{new['address']}`, was `{old['address']}`")
    before, after = old["trust_domain"], new["trust_domain"]
    if before is not None and after != before:
        all.append(f"every trust domain, was `{before}` alone" if after is None
                   else f"another trust domain: `{after}`, was `{before}`")
    for name in sorted(set(old["limits"]) | set(new["limits"])):
        was, to = old["limits"].get(name, defaults.get(name)), new["limits"].get(name)
        if to is None:
            all.append(f"a limit that is no longer set: `{name}` was {was}")
        elif was is None:
            all.append(f"a limit that was not set: `{name}` is {to}")
        elif to > was:
            all.append(f"a higher limit: `{name}` is {to}, was {was}")
    all += [f"a new import: `{one}`" for one in new["imports"] if one not in old["imports"]]
    all += [f"a protocol that is no longer enforced: `{one}`" for one in old["protocols"]
            if one not in new["protocols"]]
    all += [f"a new service: `{one}`" for one in new["services"] if one not in old["services"]]
    all += [f"a new right: `{one}`" for one in new["rights"]
            if not any(includes(given, one) for given in old["rights"])]
    return all


def main():
    setting = json.loads((pathlib.Path(sys.argv[1]) / "manifests.json").read_text())
    for vector in setting["vectors"]:
        got = verdict(setting, vector)
        if got != vector["expect"]:
            sys.exit(f"WRONG: {vector['name']}: expected {vector['expect']}, got {got}")
        print(f"python (manifests): {vector['name']}: {got}")
    for change in setting["changes"]:
        old, new = change["old"], change["new"]
        got = wider(old, new, change["defaults"]), new["number"] <= old["number"] and old != new
        if got != (change["wider"], change["downgrade"]):
            sys.exit(f"WRONG: {change['name']}: expected {change['wider']}, {change['downgrade']}, got {got}")
        print(f"python (manifests): {change['name']}: {len(got[0])} wider")
    if len(setting["vectors"]) < 60 or len(setting["changes"]) < 10:
        sys.exit("WRONG: too few vectors")


main()
