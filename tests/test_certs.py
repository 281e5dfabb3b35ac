"""The root certificate that both functions trust is Amazon's, and nothing else is packed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import botocore
import pytest

from provision.packaging import zips
from provision.packaging.wheel import PackageError
from provision.packaging.zips import certificate, fingerprint, function_package

# As Amazon Trust Services publishes it for "Amazon Root CA 1".
AMAZON_ROOT_CA_1 = (
    "8E:CD:E6:88:4F:3D:87:B1:12:5B:A3:1A:C3:FC:B1:3D:"
    "70:16:DE:7F:57:CC:90:4F:E1:CB:97:C6:AE:98:19:6E"
)
BEGIN, END = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the certificate, from which the functions are then packed."""
    copy = tmp_path / "AmazonRootCA1.pem"
    copy.write_bytes(zips.CERTIFICATE.read_bytes())
    monkeypatch.setattr(zips, "CERTIFICATE", copy)
    return copy


def test_it_has_the_published_fingerprint() -> None:
    assert fingerprint(certificate()) == AMAZON_ROOT_CA_1
    assert zips.FINGERPRINT.read_text() == AMAZON_ROOT_CA_1 + "\n"


def test_it_is_byte_for_byte_the_one_in_botocore() -> None:
    bundle = Path(str(botocore.__file__)).with_name("cacert.pem").read_bytes()
    assert certificate() in bundle


def test_it_is_a_root_of_amazon_that_openssl_takes() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=str(zips.CERTIFICATE))
    (root,) = context.get_ca_certs()
    assert root["subject"] == root["issuer"]
    assert (("commonName", "Amazon Root CA 1"),) in root["subject"]
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(root["notAfter"])), UTC)
    assert expires.year == 2038


def test_another_certificate_is_not_packed(copied: Path) -> None:
    copied.write_bytes(BEGIN + b"bm90IGEgY2VydGlmaWNhdGU=\n" + END)
    with pytest.raises(PackageError, match="is not the certificate with the fingerprint 8E:CD"):
        function_package("iam")


@pytest.mark.parametrize(
    "content",
    [b"", b"AmazonRootCA1", BEGIN, BEGIN + b"\n" + END, BEGIN + b"no base64!\n" + END],
    ids=["empty", "text", "cut off", "nothing inside", "not base64"],
)
def test_what_is_no_certificate_is_not_packed(copied: Path, content: bytes) -> None:
    assert fingerprint(content) == ""
    copied.write_bytes(content)
    with pytest.raises(PackageError, match="is not the certificate"):
        function_package("password")


def test_a_second_certificate_behind_it_is_not_packed(copied: Path) -> None:
    copied.write_bytes(copied.read_bytes() * 2)
    with pytest.raises(PackageError):
        function_package("iam")


def test_line_ends_do_not_matter(copied: Path) -> None:
    expected = function_package("iam").sha256
    copied.write_bytes(copied.read_bytes().replace(b"\n", b"\r\n"))
    assert function_package("iam").sha256 == expected
