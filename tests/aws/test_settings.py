"""AWS's own settings: a mistyped one is a configuration error that names it, before any call."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from provision.rehearsal import Remote
from tests.support.commands import Commands, Result
from tests.support.refusals import plan, refused, with_environ

BAD_VARIABLES = [
    ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "perhaps", "preferred, disabled, required"),
    ("AWS_CA_BUNDLE", "/nowhere.pem", "a file with certificates"),
    ("AWS_CA_BUNDLE", "/", "a file with certificates"),
    ("AWS_CA_BUNDLE", "", "a file with certificates"),
    ("AWS_DEFAULTS_MODE", "bogus", "auto, cross-region, in-region, legacy, mobile, standard"),
    ("AWS_DISABLE_REQUEST_COMPRESSION", "1", "true, false"),
    ("AWS_EC2_METADATA_DISABLED", "yes", "true, false"),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "169.254.169.254", "a URL"),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv5", "ipv4, ipv6"),
    ("AWS_ENDPOINT_URL", "localhost:4566", "a URL"),
    ("AWS_ENDPOINT_URL_RDS", "http://localhost:port", "a URL"),
    ("AWS_ENDPOINT_URL_EC2", "ftp://example.com", "a URL"),
    ("AWS_ENDPOINT_URL_STS", "http://", "a URL"),
    ("AWS_ENDPOINT_URL_IAM", "http://[::1", "a URL"),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "on", "true, false"),
    ("AWS_MAX_ATTEMPTS", "0", "a whole number from 1"),
    ("AWS_MAX_ATTEMPTS", "9" * 5000, "a whole number from 1"),
    ("AWS_MAX_ATTEMPTS", "3.0", "a whole number from 1"),
    ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "-1", "a whole number from 1"),
    ("AWS_METADATA_SERVICE_TIMEOUT", "soon", "a whole number from 1"),
    ("AWS_REQUEST_CHECKSUM_CALCULATION", "sometimes", "when_supported, when_required"),
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "foo", "a whole number from 1 to 1048576"),
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "1048577", "from 1 to 1048576"),
    ("AWS_RESPONSE_CHECKSUM_VALIDATION", "never", "when_supported, when_required"),
    ("AWS_RETRY_MODE", "patient", "legacy, standard, adaptive"),
    ("AWS_STS_REGIONAL_ENDPOINTS", "bogus", "legacy, regional"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "2", "true, false"),
    ("AWS_USE_FIPS_ENDPOINT", "ture", "true, false"),
    ("REQUESTS_CA_BUNDLE", "/nowhere.pem", "a file with certificates"),
    ("HTTPS_PROXY", "foo:bar:baz", "the URL of an HTTP proxy"),
    ("https_proxy", "socks5://127.0.0.1:1080", "the URL of an HTTP proxy"),
    ("ALL_PROXY", "http://", "the URL of an HTTP proxy"),
    ("HTTP_PROXY", "http://proxy:99999", "the URL of an HTTP proxy"),
]


@pytest.mark.parametrize(("name", "value", "expected"), BAD_VARIABLES)
def test_a_mistyped_variable_is_named_with_its_value_and_what_would_be_right(
    unheard: Commands, name: str, value: str, expected: str
) -> None:
    message = refused(unheard, plan(with_environ(unheard, **{name: value})))
    assert f"{name}={value[:50]}" in message
    assert expected in message
    assert len(message) < 300


def test_all_of_them_are_named_at_once(unheard: Commands) -> None:
    bad = {"AWS_DEFAULTS_MODE": "x", "AWS_RETRY_MODE": "y", "HTTPS_PROXY": "a:b:c"}
    message = refused(unheard, plan(with_environ(unheard, **bad)))
    for name in bad:
        assert name in message


def profile(commands: Commands, text: str, name: str = "p") -> Result:
    (commands.folder / "home").mkdir(exist_ok=True)
    path = commands.folder / "home" / "config"
    path.write_text(text)
    elsewhere = with_environ(commands, AWS_CONFIG_FILE=str(path), AWS_ENDPOINT_URL=None)
    return elsewhere.run("provision", "plan", "--output", "json", "--profile", name)


BAD_KEYS = [
    ("account_id_endpoint_mode = perhaps", "preferred"),
    ("ca_bundle = /nowhere.pem", "a file with certificates"),
    ("defaults_mode = bogus", "cross-region"),
    ("endpoint_url = here", "a URL"),
    ("max_attempts = many", "a whole number from 1"),
    ("request_checksum_calculation = sometimes", "when_required"),
    ("request_min_compression_size_bytes = foo", "1048576"),
    ("retry_mode = patient", "adaptive"),
    ("sts_regional_endpoints = bogus", "regional"),
    ("use_fips_endpoint = 1", "true, false"),
    ("services = mine", "no section [services mine]"),
    ("retry_mode =\n  a = b", "a single value"),
]


@pytest.mark.parametrize(("line", "expected"), BAD_KEYS)
def test_a_mistyped_key_of_the_profile_is_named(
    unheard: Commands, line: str, expected: str
) -> None:
    message = refused(unheard, profile(unheard, f"[profile p]\n{line}\n"))
    assert line.split(" =", maxsplit=1)[0] in message
    assert "of the profile p" in message
    assert expected in message


def test_an_endpoint_of_a_services_section_is_named(unheard: Commands) -> None:
    text = "[profile p]\nservices = mine\n[services mine]\nrds =\n  endpoint_url = nowhere\n"
    message = refused(unheard, profile(unheard, text))
    assert "rds: endpoint_url = 'nowhere' of [services mine]" in message


@pytest.mark.parametrize(
    "content",
    [
        b"[profile p\n",
        b"no section\n",
        b"\xff\xfe[\0p\0]\0",
        b"[profile p]\n[profile p]\n",
        b"\xe9",
    ],
)
def test_a_malformed_configuration_file_is_named(unheard: Commands, content: bytes) -> None:
    (unheard.folder / "home").mkdir()
    path = unheard.folder / "home" / "config"
    path.write_bytes(content)
    message = refused(unheard, plan(with_environ(unheard, AWS_CONFIG_FILE=str(path))))
    assert str(path) in message


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_file_that_may_not_be_read_is_named(
    unheard: Commands, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (unheard.folder / "home").mkdir()
    path = unheard.folder / "home" / "file"
    path.write_text("[default]\n")
    monkeypatch.setattr("os.access", lambda each, _: each != path)  # root may read every file
    message = refused(unheard, plan(with_environ(unheard, **{variable: str(path)})))
    assert f"{path}: cannot be read" in message


GOOD_SETTINGS = {
    "AWS_DEFAULTS_MODE": "in-region",
    "AWS_STS_REGIONAL_ENDPOINTS": "regional",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": "1",
    "AWS_MAX_ATTEMPTS": "3",
    "AWS_RETRY_MODE": "adaptive",
    "AWS_USE_FIPS_ENDPOINT": "False",
    "HTTPS_PROXY": "proxy.example.com:3128",
    "no_proxy": "127.0.0.1",
}


def test_good_settings_are_taken(commands: Commands, rehearsal: Remote) -> None:
    good = dataclasses.replace(commands, environ={**commands.environ, **GOOD_SETTINGS})
    result = plan(good)
    assert result.code == 0, result
    assert rehearsal.journal()


@pytest.fixture
def anywhere(tmp_path: Path) -> Commands:
    """The commands with nothing but broken AWS settings."""
    (tmp_path / "config.toml").write_text("")
    broken = {"AWS_DEFAULTS_MODE": "bogus", "AWS_CA_BUNDLE": "/nowhere", "AWS_PROFILE": "nobody"}
    return Commands(tmp_path, broken | {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    "words", [("provision", "policy"), ("provision", "timeline"), ("provision", "init", "--help")]
)
def test_what_calls_nothing_does_not_mind(anywhere: Commands, words: tuple[str, ...]) -> None:
    result = anywhere.run(*words)
    assert "AWS_" not in result.stderr + result.stdout.replace("AWS_PROFILE, AWS_REGION", "")
