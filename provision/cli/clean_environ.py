"""A rehearsal's process holds nothing that a rehearsed function should not read.

A process shows its first environment under /proc until it ends, whatever it deletes from
`os.environ`. So a command that rehearses starts over, in the same process, with a clean one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_KEPT = {
    "AWS_CONFIG_FILE", "AWS_DEFAULT_PROFILE", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",  # names and places, from which the region may come
    "CI", "COLUMNS", "COLORTERM", "FORCE_COLOR", "GITHUB_STEP_SUMMARY", "HOME", "LANG", "LANGUAGE",
    "LINES", "LOGNAME", "NO_COLOR", "PATH", "PWD", "REQUESTS_CA_BUNDLE", "SHELL", "SSL_CERT_DIR",
    "SSL_CERT_FILE", "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
}  # fmt: skip
_KEPT_BEGINNINGS = ("COVERAGE_", "LC_", "PIP_", "PYTHON", "UV_", "XDG_")
_DONE = "PROVISION_CLEAN_ENVIRON"


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a rehearsal needs of an environment; no credentials are among it."""
    return {
        name: text
        for name, text in environ.items()
        if name in _KEPT or name.startswith(_KEPT_BEGINNINGS)
    }


def start_clean() -> None:
    """Start this program over with a clean environment, unless that was done; then return.

    To be called by a process that does nothing else, before it does anything.
    """
    done = os.environ.pop(_DONE, None)  # some systems add a variable of their own each time
    kept = cleaned(os.environ)
    if not done and kept != dict(os.environ) and sys.executable and sys.orig_argv:
        os.execve(sys.executable, sys.orig_argv, {**kept, _DONE: "1"})  # noqa: S606
