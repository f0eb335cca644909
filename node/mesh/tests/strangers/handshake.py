"""PyCA's OpenSSL at the other end of the mesh's handshake, through pyOpenSSL.

    handshake.py dial|answer GROUPS PAPERS PORT FOLDER

pyOpenSSL cannot say which groups are offered: `OPENSSL_CONF` does, which whoever starts this has set.
"""

import socket
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mldsa
from OpenSSL import SSL

role, groups, papers, port, folder = sys.argv[1:]
folder = Path(folder)
PROTOCOL = b"caxton-mesh/1"


def context():
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(SSL.TLS1_3_VERSION)
    made.use_certificate_chain_file(str(folder / f"mesh-{papers}.pem"))
    made.use_privatekey_file(str(folder / f"mesh-{papers}.key.pem"))
    made.load_verify_locations(str(folder / "mesh-root.pem"))
    made.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *seen: bool(seen[-1]))
    made.set_alpn_protos([PROTOCOL])
    made.set_alpn_select_callback(lambda _connection, offered: PROTOCOL if PROTOCOL in offered else b"")
    return made


def connect():
    if role == "dial":
        stream = socket.create_connection(("127.0.0.1", int(port)))
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        print("port", listener.getsockname()[1], flush=True)
        stream, _ = listener.accept()
    connection = SSL.Connection(context(), stream)
    if role == "dial":
        connection.set_tlsext_host_name(b"mesh.caxton.internal")
        connection.set_connect_state()
    else:
        connection.set_accept_state()
    return connection


def talk(connection):
    connection.do_handshake()
    if role == "dial":
        connection.sendall(b"hello\n")
    word = connection.recv(6)
    if role == "answer":
        connection.sendall(word)
    return word


connection = connect()
try:
    word = talk(connection)
except (SSL.Error, OSError) as error:
    print("refused", repr(error))
    sys.exit(0)
assert word == b"hello\n", word
leaf = connection.get_peer_certificate(as_cryptography=True)
# In TLS 1.3 a key of this kind signs in one way alone (draft-ietf-tls-mldsa).
kind = leaf.public_key()
print("group", connection.get_group_name())
print("scheme", "mldsa87" if isinstance(kind, mldsa.MLDSA87PublicKey) else type(kind).__name__)
names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
print("name", *names.get_values_for_type(x509.UniformResourceIdentifier))
print("done")
connection.shutdown()
