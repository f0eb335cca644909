"""aics-tlog, PyCA cryptography, a syslog parser and the OCSF schema on our audit log; README.md says what each must say."""

import hashlib
import json
import pathlib
import re
import sys

import jsonschema
from aics_tlog import (MerkleTree, leaf_hash, node_hash, parse_checkpoint, parse_note, parse_vkey, verify_checkpoint,
                       verify_consistency, verify_inclusion)
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from syslog_rfc5424_parser import SyslogMessage

FOLDER = pathlib.Path(sys.argv[1])
LOG = FOLDER / "log"
ORIGIN = "caxton.test/node/node-1/audit"


def must(ok, what):
    if not ok:
        sys.exit(f"WRONG: {what}")
    print("python of the audit log:", what)


def vkey(name):
    return parse_vkey((FOLDER / name).read_text())


def stored_lines():
    """All lines in the order of the segments' names, whose numbers must fit."""
    lines = []
    for path in sorted(LOG.glob("segment-*.log")):
        head, *rest = path.read_bytes().split(b"\n")
        must(head == b"# caxton-audit/1 %020d" % len(lines) and rest.pop() == b"", f"{path.name} begins where it says")
        lines += rest
    return lines


def leaf_of(line):
    return leaf_hash(line) if line.startswith(b"{") else bytes.fromhex(line.split(b" ")[1].decode())


def root_of(leaves):
    """RFC 6962, section 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:k]), root_of(leaves[k:]))


def checkpoints():
    """Notes, each followed by an empty line."""
    parts = (LOG / "checkpoints").read_text().split("\n\n")
    must(parts.pop() == "", "the file of checkpoints is whole")
    return [f"{text}\n\n{signatures}\n" for text, signatures in zip(parts[::2], parts[1::2])]


def judge_tree(lines, leaves):
    key = vkey("log.vkey")
    notes = checkpoints()
    sizes = {}
    for note in notes:
        verified = verify_checkpoint(parse_note(note), key, [], quorum=0)
        checkpoint = parse_checkpoint(parse_note(note).text)
        must(verified.ok and checkpoint.origin == ORIGIN, f"the checkpoint of {checkpoint.size} lines is signed")
        must(root_of(leaves[:checkpoint.size]) == checkpoint.root, f"the first {checkpoint.size} lines come to its root")
        sizes[checkpoint.size] = checkpoint.root
    must(max(sizes) == len(lines), "the last checkpoint covers the last line")
    forged = notes[-1].replace(f"\n{len(lines)}\n", f"\n{len(lines) - 1}\n")
    must(not verify_checkpoint(parse_note(forged), key, [], quorum=0).ok, "a checkpoint of another size is not signed")
    changed = leaves[:40] + [leaf_hash(b"{}")] + leaves[41:]
    must(root_of(changed) != sizes[len(lines)], "another line comes to another root")

    must(MerkleTree(lines[-20:]).root() == root_of(leaves[-20:]), "aics-tlog's own tree of the last lines has the root that the RFC gives")
    witnesses = [vkey("witness-1.vkey"), vkey("witness-2.vkey")]
    cosigned = parse_note((FOLDER / "cosigned.note").read_bytes())
    must(verify_checkpoint(cosigned, key, witnesses, quorum=2).ok, "two witnesses cosigned it")
    must(not verify_checkpoint(parse_note(notes[-1]), key, witnesses, quorum=1).ok, "nobody cosigned what is only signed")
    must(parse_checkpoint(cosigned.text).root == sizes[len(lines)], "they cosigned the last root")
    return sizes


def judge_proofs(leaves, sizes):
    counted = {"inclusion": 0, "consistency": 0}
    for proof in json.loads((FOLDER / "proofs.json").read_text()):
        new = proof["new"]
        if "inclusion" in proof:
            path, index = [bytes.fromhex(step) for step in proof["inclusion"]], proof["index"]
            ok = verify_inclusion(leaves[index], index, new, path, sizes[new])
            other = verify_inclusion(leaves[index], index + 1, new, path, sizes[new]) if index + 1 < new else False
            counted["inclusion"] += 1
        else:
            path, old = [bytes.fromhex(step) for step in proof["consistency"]], proof["old"]
            ok = verify_consistency(old, new, sizes[old], sizes[new], path)
            other = old not in (0, new) and verify_consistency(old, new, sizes[new], sizes[new], path)
            counted["consistency"] += 1
        if not ok or other:
            must(False, f"proof {proof}")
    must(min(counted.values()) > 40, f"{counted['inclusion']} proofs of inclusion and {counted['consistency']} of consistency hold")


def judge_retention(lines):
    """What a run says of the lines that it erased, counted again."""
    runs = {}
    for sequence, line in enumerate(lines):
        if not line.startswith(b"{"):
            _, leaf, run = line.decode().split(" ")
            count, digest = runs.setdefault(int(run), [0, hashlib.sha256()])
            runs[int(run)][0] = count + 1
            digest.update(sequence.to_bytes(8, "big") + bytes.fromhex(leaf))
    must(len(runs) == 1, "text was erased by one run")
    for run, (count, digest) in runs.items():
        event = json.loads(lines[run])
        said = f"erased={count} sha256={digest.hexdigest()}"
        must(event["event_type"] == "administration.audit_retention" and event["outcome"]["reason"] == said,
             f"line {run} says which {count} lines it erased")


def judge_export(lines):
    exported = [json.loads(line) for line in (FOLDER / "export.ndjson").read_text().splitlines()]
    must([one["sequence"] for one in exported] == list(range(len(lines))), "the export has each line once, in order")
    must(all(bytes.fromhex(one["leaf"]) == leaf_of(line) for one, line in zip(exported, lines)), "and the hash of each")
    must(all(one["line"].encode() == line for one, line in zip(exported, lines) if "line" in one), "and its text")


def judge_syslog(lines):
    data, count, kinds = (FOLDER / "syslog").read_bytes(), 0, set()
    while data:
        length, _, data = data.partition(b" ")
        frame, data = data[:int(length)], data[int(length):]
        message = SyslogMessage.parse(frame.decode())
        params = message.sd["caxton@32473"]
        line = lines[int(params["sequence"])].decode()
        event = json.loads(line)
        if (message.msg.removeprefix("\ufeff") != line or params["leaf"] != leaf_hash(line.encode()).hex()
                or params["origin"] != ORIGIN or message.facility != 13 or message.hostname != "node-1"
                or message.msgid != event["event_type"] or message.appname != "caxton"):
            must(False, f"syslog {frame}")
        count += 1
        kinds.add(message.msgid)
    must(count == sum(line.startswith(b"{") for line in lines), f"{count} syslog frames of {len(kinds)} kinds hold their lines")


def judge_ocsf(lines):
    """The newest schema that a registry has is 1.8.0: what 1.9.0 added is looked at here and taken out before."""
    schema, validators, classes = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0")), {}, set()
    for document in map(json.loads, (FOLDER / "ocsf.ndjson").read_text().splitlines()):
        line = document["unmapped"]["line"].encode()
        [attestation] = document.pop("attestation_list")
        fingerprint = attestation["fingerprint"]
        if (lines[document["metadata"]["sequence"]] != line or fingerprint["value"] != leaf_hash(line).hex()
                or (fingerprint["algorithm_id"], fingerprint["encoding_id"], fingerprint["serialization_id"]) != (3, 1, 99)
                or set(attestation) != {"uid", "authority_uid", "chain_uid", "fingerprint"}
                or document["metadata"]["version"] != "1.9.0"):
            must(False, f"attestation of {document}")
        uid = document["class_uid"]
        document["metadata"]["profiles"].remove("record_integrity")
        document["metadata"]["version"] = "1.8.0"
        if uid == 3005:  # Activities 3 and 4, roles, came with 1.9.0; 1 and 2 are those of privileges.
            document["activity_id"] -= 2
            document["type_uid"] -= 2
        profiles = tuple(document["metadata"]["profiles"])
        if (uid, profiles) not in validators:
            made = schema.get_class_schema(class_name=schema.lookup_class_name_from_uid(uid), profiles=list(profiles))
            validators[uid, profiles] = jsonschema.Draft202012Validator(made)
        for error in validators[uid, profiles].iter_errors(document):
            must(False, f"OCSF: {error.json_path}: {error.message[:300]} in {json.dumps(document)[:600]}")
        classes.add(uid)
    must(len(classes) == 7, f"documents of the classes {sorted(classes)} follow the schema")
    broken = dict(document, severity_id=77)
    must(any(validators[uid, profiles].iter_errors(broken)), "and one that does not is seen")


def main():
    lines = stored_lines()
    leaves = [leaf_of(line) for line in lines]
    must(all(re.fullmatch(rb"x [0-9a-f]{64} \d+", line) or json.loads(line) for line in lines), "each line is an event or a tombstone")
    sizes = judge_tree(lines, leaves)
    judge_proofs(leaves, sizes)
    judge_retention(lines)
    judge_export(lines)
    judge_syslog(lines)
    judge_ocsf(lines)


main()
