"""The rehearsal's certificate authority: it stands where Amazon Root CA 1 stands at AWS.

Made anew for each rehearsal, its key only in memory but for the moment in which Python's `ssl`
reads it from a private file. A function trusts it only because `trust_instead_of_amazon` puts it
in the place of the genuine Amazon root, in the rehearsal's own copy of the function's code. In one
point this is stricter than AWS: a client that also trusts the system's roots finds Amazon's among
them, so at AWS it may get by without the right file.
"""

from __future__ import annotations

import re
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AMAZON_ROOT_CA_1 = "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e"
"""SHA-256 of the genuine certificate (DER), as in https://www.amazontrust.com/repository/."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----\r?\n?", re.DOTALL)
_VALID = timedelta(days=7)


class CertificateAuthority:
    """Signs a certificate for each proxy endpoint; safe to use from several threads."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Rehearsal Root CA")])
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        own = _builder(self._name, self._name, self._key.public_key(), ca=True)
        certificate = own.sign(self._key, hashes.SHA256())
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        """The root certificate, PEM."""

    def server_context(self, endpoint: str) -> ssl.SSLContext:
        """TLS settings of the proxy at this endpoint, with a wildcard certificate as RDS has it."""
        name = "*." + endpoint.split(".", 1)[1]
        with self._lock:
            if name not in self._contexts:
                self._contexts[name] = self._make_context(name)
            return self._contexts[name]

    def trust_instead_of_amazon(self, pem: bytes) -> bytes:
        """Return PEM text in which this root stands where Amazon Root CA 1 stood.

        Anything else, a wrong or damaged certificate for one, is left as it is, so that it fails
        here as it would at AWS.
        """

        def swap(found: re.Match[bytes]) -> bytes:
            return self.pem if _fingerprint(found[0]) == AMAZON_ROOT_CA_1 else found[0]

        return _PEM.sub(swap, pem)

    def _make_context(self, name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        server_auth = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = (
            _builder(subject, self._name, key.public_key(), ca=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(server_auth, critical=False)
            .add_extension(issuer_id, critical=False)
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        with tempfile.NamedTemporaryFile() as file:  # mode 0600; ssl reads only files
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
            file.write(_private_pem(key))
            file.flush()
            context.load_cert_chain(file.name)
        return context


def trust_in_folder(folder: Path, authority: CertificateAuthority) -> None:
    """Do `trust_instead_of_amazon` to each .pem file below an unpacked function's folder."""
    for path in folder.rglob("*.pem"):
        before = path.read_bytes()
        after = authority.trust_instead_of_amazon(before)
        if after != before:
            path.write_bytes(after)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _fingerprint(pem: bytes) -> str:
    try:
        return sha256(ssl.PEM_cert_to_DER_cert(pem.decode("ascii").strip())).hexdigest()
    except ValueError:  # bad base64 and text that is not ASCII are both ValueErrors
        return ""
