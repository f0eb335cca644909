"""A member of the mesh that was written from docs/wire.md: aioquic's QUIC and TLS, PyCA's algorithms.

    member.py dial|answer GROUP PAPERS PORT FOLDER

aioquic knows neither ML-DSA nor the hybrids. Both are put in here, from their drafts and PyCA's parts: the group
takes the place that X25519 has in aioquic. It sends no HelloRetryRequest, so when it answers it can only take the
group whose share we send first.
"""

import asyncio
import hashlib
import secrets
import socket
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

from aioquic import tls
from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic import connection, events
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import crypto

role, group, papers, port, folder = sys.argv[1:]
folder = Path(folder)
MLDSA87 = 0x0906


class P384:
    """ECDH on P-384: shares are uncompressed points."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.share = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def secret(self, share):
        return self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), share))


class X25519:
    def __init__(self):
        self.key = x25519.X25519PrivateKey.generate()
        self.share = self.key.public_key().public_bytes_raw()

    def secret(self, share):
        return self.key.exchange(x25519.X25519PublicKey.from_public_bytes(share))


# Number, ECDH, ML-KEM, and whether ECDH comes first (draft-ietf-tls-ecdhe-mlkem, section 4).
NUMBER, Ecdh, Kem, EkFromBytes, EK_BYTES, ECDH_BYTES, ECDH_FIRST = {
    "SecP384r1MLKEM1024": (
        0x11ED, P384, mlkem.MLKEM1024PrivateKey, mlkem.MLKEM1024PublicKey.from_public_bytes, 1568, 97, True,
    ),
    "X25519MLKEM768": (
        0x11EC, X25519, mlkem.MLKEM768PrivateKey, mlkem.MLKEM768PublicKey.from_public_bytes, 1184, 32, False,
    ),
}[group]


def joined(ecdh, kem):
    return ecdh + kem if ECDH_FIRST else kem + ecdh


def parted(share):
    at = ECDH_BYTES if ECDH_FIRST else len(share) - ECDH_BYTES
    return (share[:at], share[at:]) if ECDH_FIRST else (share[at:], share[:at])


class Share:
    """In the place of a public key of X25519."""

    # What a dialler sent, for the answer that is made to it.
    latest = None

    def __init__(self, share):
        self.share = share

    @classmethod
    def from_public_bytes(cls, share):
        Share.latest = share
        return cls(share)


class Hybrid:
    """In the place of a private key of X25519."""

    def __init__(self):
        self.ecdh = Ecdh()
        if role == "dial":
            self.kem = Kem.generate()
            mine = self.kem.public_key().public_bytes_raw()
        else:
            _, key = parted(Share.latest)
            assert len(key) == EK_BYTES
            self.kem_secret, mine = EkFromBytes(key).encapsulate()
        self.share = joined(self.ecdh.share, mine)

    generate = classmethod(lambda cls: cls())

    def public_key(self):
        return Share(self.share)

    def exchange(self, theirs):
        ecdh, kem = parted(theirs.share)
        kem_secret = self.kem.decapsulate(kem) if role == "dial" else self.kem_secret
        return joined(self.ecdh.secret(ecdh), kem_secret)


class Context(tls.Context):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self._supported_groups = [NUMBER]
        self._signature_algorithms = [MLDSA87]
        self._cipher_suites = [tls.CipherSuite.AES_256_GCM_SHA384]
        self._request_client_certificate = role == "answer"

    def _signature_algorithms_for_private_key(self):
        return [MLDSA87]

    def _check_certificate_verify_signature(self, verify):
        super()._check_certificate_verify_signature(verify)
        global signed
        signed = verify.algorithm


signed = None
tls.x25519 = SimpleNamespace(X25519PrivateKey=Hybrid, X25519PublicKey=Share)
tls.Group = SimpleNamespace(**{each.name: int(each) for each in tls.Group} | {"X25519": NUMBER})
tls.decode_public_key = lambda share: Share.from_public_bytes(share[1]) if share[0] == NUMBER else None
tls.encode_public_key = lambda key: (NUMBER, key.share)
tls.signature_algorithm_key_type = lambda algorithm: mldsa.MLDSA87PublicKey
tls.signature_algorithm_params = lambda algorithm: ()
tls.Context = Context
connection.CRYPTO_BUFFER_SIZE = 1 << 16  # A flight has 21 KB.


# docs/wire.md, section 4.
def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def framed(contents):
    return struct.pack(">I", len(contents)) + contents


def hello(own_port):
    cluster = hashlib.sha256(b"caxton mesh cluster 1\0strangers").digest()
    address = b"\0" + socket.inet_aton("127.0.0.1") + varint(own_port)
    return varint(1) + cluster + varint(1) + secrets.token_bytes(16) + address


PING, ALIVE, WELCOME = b"\0\0", b"\0\x01\0", b"\0"


class Member(QuicConnectionProtocol):
    """Greets, answers pings, and asks one itself."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.heard, self.ended = {}, asyncio.get_running_loop().create_future()
        self.asked, self.greeting = None, None

    def own_port(self):
        return self._transport.get_extra_info("sockname")[1]

    def say(self, stream, contents):
        self._quic.send_stream_data(stream, contents, end_stream=True)
        self.transmit()

    def greet(self):
        self.greeting = self._quic.get_next_available_stream_id()
        self.say(self.greeting, b"\x01" + framed(hello(self.own_port())))

    def ask(self):
        self.asked = self._quic.get_next_available_stream_id()
        self.say(self.asked, b"\x03" + framed(PING))

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            verify(self._quic.tls)
            if role == "dial":
                self.greet()
        elif isinstance(event, events.StreamDataReceived):
            self.heard[event.stream_id] = self.heard.get(event.stream_id, b"") + event.data
            if event.end_stream:
                self.hear(event.stream_id, self.heard.pop(event.stream_id))
        elif isinstance(event, events.ConnectionTerminated) and not self.ended.done():
            self.ended.set_result(f"refused {event.error_code:#x} {event.reason_phrase}")

    def hear(self, stream, said):
        if stream == self.greeting:
            assert said[4:5] == WELCOME, said
            self.ask()
        elif stream == self.asked:
            assert said[4:5] == ALIVE[:1], said
            if not self.ended.done():
                self.ended.set_result("done")
        elif said[:1] == b"\x01":
            self.say(stream, framed(WELCOME + hello(self.own_port())))
            self.ask()
        elif said[:1] == b"\x03" and said[5:6] == PING[:1]:
            self.say(stream, framed(ALIVE))


def verify(context):
    """The chain, under the one root."""
    store = crypto.X509Store()
    store.load_locations(str(folder / "mesh-root.pem"))
    as_openssl = crypto.X509.from_cryptography
    chain = [as_openssl(each) for each in context._peer_certificate_chain]
    crypto.X509StoreContext(store, as_openssl(context._peer_certificate), chain).verify_certificate()
    names = context._peer_certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    print("group", group)
    print("scheme", {MLDSA87: "mldsa87"}.get(signed, signed))
    print("name", *names.get_values_for_type(x509.UniformResourceIdentifier), flush=True)


async def input_ends():
    """A member stays until it was seen."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def main():
    settings = QuicConfiguration(
        is_client=role == "dial", alpn_protocols=["caxton-mesh/1"], server_name="localhost", verify_mode=0,
    )
    settings.load_cert_chain(folder / f"mesh-{papers}.pem", folder / f"mesh-{papers}.key.pem")
    if role == "dial":
        try:
            async with connect("127.0.0.1", int(port), configuration=settings, create_protocol=Member) as member:
                print(await member.ended)
                await input_ends()
        except ConnectionError as error:
            print("refused", repr(error))
        return
    met = asyncio.get_running_loop().create_future()

    def create(*arguments, **named):
        member = Member(*arguments, **named)
        member.ended.add_done_callback(lambda ended: met.done() or met.set_result(ended.result()))
        return member

    server = await serve("127.0.0.1", 0, configuration=settings, create_protocol=create)
    print("port", server._transport.get_extra_info("sockname")[1], flush=True)
    print(await met)
    await input_ends()
    server.close()


asyncio.run(asyncio.wait_for(main(), 30))
