// Node's OpenSSL at the other end of the mesh's handshake.
//
//   handshake.mjs dial|answer GROUPS PAPERS PORT FOLDER
//
// What was agreed on Node tells nobody but OpenSSL's trace, which goes to standard error. So the handshake is done
// by a second process, and this one reads its trace.
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import tls from "node:tls";

const [role, groups, papers, port, folder, traced] = process.argv.slice(2);
if (!traced) {
  // A file: what is too much for a pipe OpenSSL drops.
  const trace = join(folder, "trace");
  const stdio = ["ignore", "inherit", openSync(trace, "w")];
  const { status } = spawnSync(process.execPath, [...process.argv.slice(1), "traced"], { stdio });
  agreed(readFileSync(trace, "utf8"));
  process.exit(status ?? 1);
}

/** What the trace has of the answerer's choice and of the other end's signature. */
function agreed(trace) {
  const group = trace.match(/ServerHello,[\s\S]*?NamedGroup: (\S+)/)?.[1];
  const received = trace.split(/^(?=Sent TLS|Received TLS)/m).filter((record) => record.startsWith("Received"));
  const signed = received.map((record) => record.match(/CertificateVerify,[\s\S]*?Signature Algorithm: (\S+) \(/)?.[1]);
  console.log("group", group);
  console.log("scheme", signed.find((scheme) => scheme));
}

const read = (name) => readFileSync(join(folder, name), "utf8");
const options = {
  cert: read(`mesh-${papers}.pem`),
  key: read(`mesh-${papers}.key.pem`),
  ca: read("mesh-root.pem"),
  minVersion: "TLSv1.3",
  ecdhCurve: groups,
  ALPNProtocols: ["caxton-mesh/1"],
  requestCert: true,
  rejectUnauthorized: true,
  enableTrace: true,
  servername: "mesh.caxton.internal",
  checkServerIdentity: () => undefined, // The name is in the URI.
};

function refused(error) {
  console.log("refused", error?.message?.split("\n")[0] ?? "the connection ended");
  process.exit(0);
}

function talk(socket) {
  socket.on("error", refused);
  socket.on("close", () => refused());
  socket.once("data", (word) => {
    const name = new X509Certificate(socket.getPeerX509Certificate().raw).subjectAltName;
    console.log("name", name.match(/URI:([^,]+)/)[1]);
    console.log("done");
    if (role === "dial") process.exit(word.toString() === "hello\n" ? 0 : 1);
    socket.end(word, () => process.exit(0));
  });
  if (role === "dial") socket.write("hello\n");
}

setTimeout(() => process.exit(1), 30_000);
if (role === "dial") {
  const socket = tls.connect(Number(port), "127.0.0.1", options, () => talk(socket));
  socket.on("error", refused);
} else {
  const server = tls.createServer(options, talk);
  server.on("tlsClientError", refused);
  server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));
}
