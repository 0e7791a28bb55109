"""A time stamping authority on loopback that does what RFC 3161 says, or gets it wrong as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SIGNED_DATA = "06092a864886f70d010702"
_TIME_STAMP_INFO = "060b2a864886f70d0109100104"
_CONTENT_TYPE, _MESSAGE_DIGEST = "06092a864886f70d010903", "06092a864886f70d010904"
_SIGNING_CERTIFICATE_V2 = "060b2a864886f70d010910022f"
_SHA256, _ECDSA_SHA256 = "0609608648016503040201", "06082a8648ce3d040302"
_POLICY = "06042a030405"


def der(tag: int, *parts: bytes | str) -> bytes:
    """One value of ASN.1 in DER: its tag, its length, what it holds (bytes, or hex)."""
    content = b"".join(part if isinstance(part, bytes) else bytes.fromhex(part) for part in parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def read_der(data: bytes) -> tuple[bytes, bytes]:
    """The content of the first value, and what follows it."""
    length, start = data[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(data[2:start], "big")
    return data[start : start + length], data[start + length :]


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, is_root: bool
) -> x509.Certificate:
    def named(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
    )
    if not is_root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


@dataclass
class Authority:
    """Answers time stamp queries. `spoil` changes what is stamped, `status` what is said of it."""

    status: int = 0
    spoil: bytes = b""
    nonce_off_by: int = 0
    answer: bytes | None = None
    asked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        root_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = certificate("Root", root_key, "Root", root_key, is_root=True)
        self._certificate = certificate("Stamps", self._key, "Root", root_key, is_root=False)

    def reply(self, query: bytes) -> bytes:
        self.asked.append(query)
        if self.answer is not None:
            return self.answer
        content, _ = read_der(query)
        _, rest = read_der(content)  # the version
        imprint_content, after_imprint = read_der(rest)
        imprint = der(0x30, imprint_content)
        if self.spoil:
            imprint = imprint.replace(imprint[-32:], sha256(self.spoil).digest())
        nonce = int.from_bytes(read_der(after_imprint)[0], "big") + self.nonce_off_by
        when = datetime.now(UTC).strftime("%Y%m%d%H%M%SZ").encode()
        info = der(0x30, integer(1), _POLICY, imprint, integer(7), der(0x18, when), integer(nonce))
        status = der(0x30, integer(self.status))
        return der(0x30, status, self._signed(info)) if self.status == 0 else der(0x30, status)

    def _signed(self, info: bytes) -> bytes:
        """RFC 5652: signed data over the info, with the signed attributes that RFC 3161 asks for."""
        encoded = self._certificate.public_bytes(Encoding.DER)
        digest_algorithm = der(0x30, _SHA256)
        attributes = sorted(
            [
                der(0x30, _CONTENT_TYPE, der(0x31, _TIME_STAMP_INFO)),
                der(0x30, _MESSAGE_DIGEST, der(0x31, der(0x04, sha256(info).digest()))),
                der(
                    0x30,
                    _SIGNING_CERTIFICATE_V2,
                    der(0x31, der(0x30, der(0x30, der(0x30, der(0x04, sha256(encoded).digest()))))),
                ),
            ]
        )
        signature = self._key.sign(der(0x31, *attributes), ec.ECDSA(hashes.SHA256()))
        signer = der(0x30, self._certificate.issuer.public_bytes(), integer(self._certificate.serial_number))
        signer_info = der(
            0x30,
            integer(1),
            signer,
            digest_algorithm,
            der(0xA0, *attributes),
            der(0x30, _ECDSA_SHA256),
            der(0x04, signature),
        )
        content = der(0x30, _TIME_STAMP_INFO, der(0xA0, der(0x04, info)))
        signed = der(0x30, integer(3), der(0x31, digest_algorithm), content, der(0xA0, encoded), der(0x31, signer_info))
        return der(0x30, _SIGNED_DATA, der(0xA0, signed))


@contextmanager
def answering(authority: Authority) -> Iterator[str]:
    """Its address, while it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            answer = authority.reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/stamp"
        server.shutdown()
        thread.join()
