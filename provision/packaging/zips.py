"""Reproducible zips of the functions and of the layer, and their hashes as AWS knows them.

A zip's bytes follow from the packed bytes alone: sorted names, one date, one mode, nothing
compressed (deflate's output differs from one zlib to the next). So a hash that equals AWS's
CodeSha256 means that there is nothing to upload or publish.

The layer's hash is pinned beside the wheel's: to see that there is nothing to publish, neither has
to be read. `python -m provision.packaging.zips` builds all of them, and so fetches the wheel into
its cache; `--pin` writes the layer's hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from provision.errors import ProvisionError
from provision.packaging import wheel
from provision.packaging.sources import IN_CHECKOUT, RESTORE, ROOT
from provision.packaging.wheel import PackageError

FUNCTIONS = ROOT / "functions"
CERTIFICATE = ROOT / "certs" / "AmazonRootCA1.pem"
FINGERPRINT = ROOT / "certs" / "AmazonRootCA1.sha256"
LAYER_HASH = ROOT / "layer" / "layer.sha256"  # the wheel's (hexadecimal), and the layer's (base64)

DATE = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can hold
UNIX = 3  # zip's number for the system that made it: Windows would be another
MODE = 0o100644 << 16  # Lambda runs the code as another user, who has to be able to read it


@dataclass(frozen=True)
class Package:
    """A zip as Lambda takes it: its hash is known at once, its bytes are built on demand."""

    sha256: str  # base64, as Lambda's CodeSha256
    build: Callable[[], bytes] = field(repr=False, compare=False)

    def ensure(self) -> None:
        """Build it now unless it is built already. Raises PackageError."""
        _ = self.content

    @cached_property
    def content(self) -> bytes:
        """The zip. Raises PackageError if it cannot be built, or has another hash."""
        content = self.build()
        if (built := code_sha256(content)) != self.sha256:
            raise PackageError(
                f"{LAYER_HASH} pins the layer's zip as {self.sha256}, but it is {built}",
                next_step="Run `python -m provision.packaging.zips --pin`, which writes its hash.",
            )
        return content


def code_sha256(content: bytes) -> str:
    """Return a zip's hash as Lambda's CodeSha256."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def function_package(name: Literal["password", "iam"]) -> Package:
    """Return the zip of one function: its own code, what both share, and the root certificate.

    Raises PackageError when a source is missing or the certificate is not the pinned one.
    """
    files = {CERTIFICATE.name: certificate()}
    for folder in (FUNCTIONS / "shared", FUNCTIONS / name):
        sources = sorted(folder.glob("*.py"))
        if not sources:
            raise _missing(folder, "it has no Python file")
        files |= {source.name: _text(source) for source in sources}
    return _package(_zipped(sorted(files.items())))


def layer_package() -> Package:
    """Return the zip of the layer: the pinned wheel's files under `python/`.

    https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
    Raises PackageError when the wheel cannot be had or is not the pinned one: now, where no hash is
    pinned for this wheel, else when the content is built.
    """
    wanted = wheel.pinned()
    if pinned := _pinned_hash(wanted):
        return Package(pinned, lambda: _layer(wanted))
    return _package(_layer(wanted))


def _pinned_hash(wanted: wheel.Wheel) -> str:
    """Return the pinned hash of the layer with this wheel, or "" if none is pinned for it."""
    try:
        of_wheel, _, of_layer = LAYER_HASH.read_text(encoding="ascii").strip().partition(" ")
    except (OSError, ValueError):
        return ""
    return of_layer if of_wheel == wanted.sha256 else ""


def _layer(wanted: wheel.Wheel) -> bytes:
    """Return the layer's zip."""
    with zipfile.ZipFile(io.BytesIO(wheel.content(wanted))) as source:
        names = [name for name in source.namelist() if not name.endswith("/")]
        return _zipped((f"python/{name}", source.read(name)) for name in sorted(names))


def certificate() -> bytes:
    """Return AmazonRootCA1.pem; raises PackageError if its fingerprint is not the pinned one."""
    pem, pinned = _text(CERTIFICATE), _text(FINGERPRINT).decode("ascii", "replace").strip()
    if fingerprint(pem) != pinned:
        raise PackageError(
            f"{CERTIFICATE} is not the certificate with the fingerprint {pinned}",
            next_step=f"Restore it: git checkout -- {CERTIFICATE.parent.name}"
            if IN_CHECKOUT
            else RESTORE,
        )
    return pem


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of a PEM certificate in DER, as `8E:CD:…`; empty where it is none."""
    body = re.fullmatch(rb"\s*-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----\s*", pem)
    try:
        der = base64.b64decode(b"".join(body[1].split()), validate=True) if body else b""
    except binascii.Error:
        der = b""
    return hashlib.sha256(der).digest().hex(":").upper() if der else ""


def _text(path: Path) -> bytes:
    """Return a text file's bytes with the line ends that git stores, whatever the checkout has."""
    try:
        return path.read_bytes().replace(b"\r\n", b"\n")
    except OSError as error:
        raise _missing(path, error.strerror or "cannot be read") from error


def _missing(path: Path, problem: str) -> PackageError:
    return PackageError(f"{path}: {problem}", next_step=RESTORE)


def _package(content: bytes) -> Package:
    return Package(code_sha256(content), lambda: content)


def _zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the zip with these files, in the order of their names, and nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system = UNIX
            entry.external_attr = MODE
            archive.writestr(entry, content)
    return buffer.getvalue()


def main() -> int:
    """Build every package and print its size and hash; return the exit code."""
    packages: dict[str, Callable[[], Package]] = {
        "function password": lambda: function_package("password"),
        "function iam": lambda: function_package("iam"),
        "layer": layer_package,
    }
    try:
        if "--pin" in sys.argv[1:]:
            wanted = wheel.pinned()
            LAYER_HASH.write_text(f"{wanted.sha256} {code_sha256(_layer(wanted))}\n", "ascii")
        for name, build in packages.items():
            package = build()
            print(f"{name:18} {len(package.content):>9,} bytes  CodeSha256 {package.sha256}")
    except ProvisionError as error:
        print(f"error: {error.message}\n{error.next_step}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
