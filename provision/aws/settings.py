"""AWS's own settings (variables, keys of a profile), checked before any call.

botocore takes a mistyped one in silence, or fails on it when it makes a client, with words that do
not say which variable it was. Source: AWS SDKs and Tools Reference Guide, "Settings reference".
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions as boto_errors
from botocore.session import Session

from provision.errors import UsageError, shown

MODES = ("auto", "cross-region", "in-region", "legacy", "mobile", "standard")
MOST_COMPRESSED = 1_048_576  # bytes, as botocore has it
Check = Callable[[str], str]  # what would be right, or ""


def one_of(*choices: str) -> Check:
    """One of some words, in any case."""
    return lambda text: "" if text.lower() in choices else f"one of {', '.join(choices)}"


def whole(low: int, high: int) -> Check:
    """A whole number within bounds."""

    def check(text: str) -> str:
        good = re.fullmatch(r"[0-9]{1,10}", text.strip()) and low <= int(text) <= high
        return "" if good else f"a whole number from {low} to {high}"

    return check


def url(text: str) -> str:
    """A URL of HTTP or HTTPS."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        good = False
    plain = good and not re.search(r"[\s\x00-\x1f]", text)
    return "" if plain else "a URL such as https://example.com:8443"


def proxy(text: str) -> str:
    """The URL of an HTTP proxy; without a scheme, HTTP is meant."""
    wrong = url(text if "://" in text else f"http://{text}")
    return wrong and "the URL of an HTTP proxy, such as http://proxy.example.com:3128"


def certificates(text: str) -> str:
    """A file of certificates."""
    if not Path(text).is_file():
        return "a file with certificates (PEM)"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=text)
    except (OSError, ValueError) as error:
        return f"a file with certificates in PEM ({error})"
    return ""


TRUTH = one_of("true", "false")
# Keys of a profile; the variable of each is its name in capitals, behind AWS_.
KEYS: Mapping[str, Check] = {
    "account_id_endpoint_mode": one_of("preferred", "disabled", "required"),
    "ca_bundle": certificates,
    "defaults_mode": one_of(*MODES),
    "disable_request_compression": TRUTH,
    "ec2_metadata_service_endpoint": url,
    "ec2_metadata_service_endpoint_mode": one_of("ipv4", "ipv6"),
    "ec2_metadata_v1_disabled": TRUTH,
    "endpoint_url": url,
    "ignore_configured_endpoint_urls": TRUTH,
    "max_attempts": whole(1, 1000),
    "metadata_service_num_attempts": whole(1, 1000),
    "metadata_service_timeout": whole(1, 3600),
    "request_checksum_calculation": one_of("when_supported", "when_required"),
    "request_min_compression_size_bytes": whole(1, MOST_COMPRESSED),
    "response_checksum_validation": one_of("when_supported", "when_required"),
    "retry_mode": one_of("legacy", "standard", "adaptive"),
    "sts_regional_endpoints": one_of("legacy", "regional"),
    "use_dualstack_endpoint": TRUTH,
    "use_fips_endpoint": TRUTH,
}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
VARIABLES: Mapping[str, Check] = {
    **{f"AWS_{key.upper()}": check for key, check in KEYS.items()},
    "AWS_EC2_METADATA_DISABLED": TRUTH,
    "REQUESTS_CA_BUNDLE": certificates,
    **dict.fromkeys([*PROXIES, *map(str.lower, PROXIES)], proxy),
}


def checked_settings(session: Session, profile: str | None) -> None:
    """Check AWS's settings as the session has them. `profile` is what the flag names.

    Raises UsageError with every bad one, or for a profile or a file that cannot be had.
    """
    try:
        values: Mapping[str, Any] = session.get_scoped_config()
        whole_file: Mapping[str, Any] = session.full_config
    except boto_errors.ProfileNotFound:
        raise no_such_profile(session, profile) from None
    except boto_errors.ConfigParseError as error:
        next_step = (
            "Correct it, or name another with AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE."
        )
        raise UsageError(str(error), next_step=next_step) from None
    unreadable_files(session)
    bad = [*bad_variables(), *bad_keys(values, session.profile or "default", whole_file)]
    if bad:
        more = ["AWS's settings have bad values:"] if len(bad) > 1 else []
        raise UsageError(
            "\n  ".join([*more, *bad]), next_step="Correct it, or unset it; nothing was done."
        )


def bad_variables() -> Iterator[str]:
    """Yield what is wrong with the environment's variables."""
    for name, text in sorted(os.environ.items()):
        check = url if name.startswith("AWS_ENDPOINT_URL_") else VARIABLES.get(name)
        if check is None or not (text or check is certificates):  # botocore minds an empty bundle
            continue
        if expected := check(text):
            yield f"{name}={shown(text)[1:-1]}: must be {expected}"


def bad_keys(
    values: Mapping[str, Any], profile: str, whole_file: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what is wrong with the keys of the profile that count: no variable overrides them."""
    for key, check in KEYS.items():
        text = values.get(key)
        if text is None or os.environ.get(f"AWS_{key.upper()}"):
            continue
        if expected := check(text) if isinstance(text, str) else "a single value":
            yield f"{key} = {shown(text)} of the profile {profile}: must be {expected}"
    section = values.get("services")
    if section is None:
        return
    services = whole_file.get("services", {})
    if section not in services:
        yield f"services = {section!r} of the profile {profile}: no section [services {section}]"
    for service, keys in services.get(section, {}).items():
        text = keys.get("endpoint_url") if isinstance(keys, Mapping) else None
        if text is not None and (expected := url(text)):
            yield f"{service}: endpoint_url = {text!r} of [services {section}]: must be {expected}"


def no_such_profile(session: Session, flag: str | None) -> UsageError:
    """Return the error for a profile that does not exist, with the nearest one that does."""
    import difflib

    by = next((name for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE") if os.environ.get(name)), "")
    name = session.profile or ""
    source = f"--profile {name}" if flag else f"{by}={name}"
    known = session.available_profiles
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    listed = ", ".join(sorted(known)[:12]) or "none"
    return UsageError(
        f"{source}: The config profile ({name}) could not be found{hint}",
        next_step=f"Profiles are: {listed}. `aws configure sso --profile {name}` creates one.",
    )


def unreadable_files(session: Session) -> None:
    """Raise UsageError for a configuration or credentials file that the user may not read.

    botocore passes over one in silence, and then finds no credentials.
    """
    for variable in ("config_file", "credentials_file"):
        path = Path(session.get_config_variable(variable)).expanduser()
        try:
            readable = os.access(path, os.R_OK) if path.exists() else True
        except OSError:
            continue  # a HOME that may not be entered: as if there were none
        if not readable:
            raise UsageError(f"{path}: cannot be read", next_step="Make it readable: chmod u+r")
