// Node's OpenSSL on our certificates. Node reads no lists by itself, so what is revoked is tried in a handshake
// between two of its own sockets on the loopback interface.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import tls from "node:tls";

const folder = process.argv[2];
const read = (name) => readFileSync(join(folder, name), "utf8");
const certificates = (name) =>
  read(name).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g).map((pem) => new X509Certificate(pem));

function must(ok, what) {
  if (!ok) {
    console.log("WRONG:", what);
    process.exit(1);
  }
  console.log("node:", what);
}

/** The code with which a client refuses a server of this chain, or nothing. */
function refusal(name, root) {
  return new Promise((resolve, reject) => {
    const server = tls.createServer({ cert: read(`${name}.pem`), key: read(`${name}.key.pem`) });
    const finish = (code) => server.close(() => resolve(code));
    server.on("tlsClientError", () => {});
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const options = { ca: read(root), crl: read("crls.pem"), servername: "localhost", minVersion: "TLSv1.3" };
      const client = tls.connect(server.address().port, "127.0.0.1", options, () => {
        client.end();
        finish(undefined);
      });
      client.on("error", (error) => finish(error.code));
    });
  });
}

const [leaf, cross, intermediate] = certificates("good.pem");
const [root] = certificates("root.pem");
const [oldRoot] = certificates("old-root.pem");
const [stranger] = certificates("stranger-root.pem");
must(leaf.checkIssued(intermediate) && leaf.verify(intermediate.publicKey), "the leaf is the intermediate's");
must(intermediate.checkIssued(root) && intermediate.verify(root.publicKey), "the intermediate is the root's");
must(cross.checkIssued(oldRoot) && cross.verify(oldRoot.publicKey), "the cross-signed one is the old root's");
must(cross.publicKey.equals(intermediate.publicKey) && leaf.checkIssued(cross), "both are one authority");
must(!intermediate.verify(oldRoot.publicKey) && !intermediate.verify(stranger.publicKey), "and nobody else's");
must(root.ca && intermediate.ca && !leaf.ca, "authorities and the leaf are what they say");
must(leaf.publicKey.asymmetricKeyType === "ml-dsa-87", "ML-DSA-87");
must(leaf.checkHost("localhost") && leaf.checkIP("127.0.0.1"), "host names");

const domain = (certificate) => certificate.subjectAltName.match(/URI:spiffe:\/\/([^/,]+)/)[1];
must(domain(leaf) === domain(root), "the identity is of the root's trust domain");
must(domain(certificates("wrong-domain.pem")[0]) !== domain(root), "another trust domain is seen");

for (const [name, under, expected] of [
  ["good", "old-root.pem", undefined],
  ["good-after", "root.pem", undefined],
  ["good", "stranger-root.pem", "UNABLE_TO_GET"],
  ["stranger", "root.pem", "UNABLE_TO_GET"],
  ["expired", "old-root.pem", "CERT_HAS_EXPIRED"],
  ["revoked", "old-root.pem", "CERT_REVOKED"],
  ["web", "web-root.pem", undefined],
  ["web-revoked", "web-root.pem", "CERT_REVOKED"],
]) {
  const code = await refusal(name, under);
  const same = expected === undefined ? code === undefined : code?.startsWith(expected);
  must(same, `${name} under ${under}: ${code ?? "believed"}`);
}
