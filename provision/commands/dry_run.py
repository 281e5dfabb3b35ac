"""`--dry-run`: the same commands against a rehearsed AWS on this machine; nothing is kept."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.cli.options import Options, config_path
from provision.context import opened
from provision.engine.events import Display, Summary
from provision.errors import UsageError
from provision.views.spelling import program

if TYPE_CHECKING:
    from provision.cli.playground import Playground
    from provision.context import Run
    from provision.rehearsal import Rehearsal

EXPORTED = (
    "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "NO_PROXY",
)  # fmt: skip
UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE")
SPEED = 1000.0  # how many times faster than AWS, by default


@contextlib.contextmanager
def rehearsed(
    options: Options,
    output: Display,
    *,
    speed: float | None = None,
    seed: int | None = None,
    database: str | None = None,
) -> Iterator[tuple[Options, Rehearsal]]:
    """Rehearse AWS for the block. Yields the options to work with in it, and the rehearsal.

    `speed` is how many times faster than AWS (default SPEED); `seed` is what chance is drawn by
    (default a new one); `database` a server behind the proxies, as HOST:PORT (default SQLite).

    The caller's credentials, profile, endpoints and state file are left out of it. Raises
    UsageError when the packages of a rehearsal are not installed.
    """
    speed = speed or SPEED
    config = replace(options, profile=None).configuration
    try:
        from provision.rehearsal import Behaviours, Rehearsal, new_seed
        from provision.rehearsal.data_plane.data_plane import checked_database
    except ImportError as error:
        raise UsageError(
            f"--dry-run needs packages that are not installed ({error.name})",
            next_step="Install them: pip install -e '.[rehearsal]'",
        ) from None
    try:
        checked_database(database)
    except ValueError as error:
        raise UsageError(
            f"--rehearse-db {database}: {error}",
            next_step="For example: --rehearse-db 127.0.0.1:3306; without it SQLite is used.",
        ) from None
    seed = new_seed() if seed is None else seed
    # What RDS upgrades within hours would be down within seconds here, while a login is shown.
    behaviours = Behaviours(speed=speed, seed=seed, upgrades_minor_version=False)
    with (
        tempfile.TemporaryDirectory(prefix="rehearsal-") as folder,
        Rehearsal(behaviours, region=config.environment.region, database=database) as rehearsal,
        rehearsal.applied(),
    ):
        output.note(f"rehearsal: no AWS, no bill; {speed:g} times faster than AWS; --seed {seed}")
        output.note(f"rehearsal: {rehearsal.protection}")
        state = str(Path(folder) / "state.json")
        yield replace(options, profile=None, state=state, speed=speed), rehearsal


def flags_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the rehearsal's settings from the flags."""
    flags = {"speed": arguments.speed, "seed": arguments.seed}
    return {**flags, "database": arguments.rehearse_db}


def refuse_flags_without_dry_run(arguments: argparse.Namespace) -> None:
    """Raise UsageError for a flag that requires a rehearsal."""
    for flag in ("serve", "speed", "seed", "rehearse_db"):
        value = getattr(arguments, flag, None)
        if value is not None and value is not False:
            raise UsageError(
                f"--{flag.replace('_', '-')} requires --dry-run",
                next_step="Add --dry-run, or leave it out.",
            )


def up(
    options: Options, output: Display, arguments: argparse.Namespace, settings: Mapping[str, Any]
) -> Summary:
    """`up --dry-run`: rehearse `up`; with `--serve`, stay until Ctrl-C. Returns the summary."""
    from provision.commands.up import bring_up

    with (
        rehearsed(options, output, **flags_of(arguments)) as (inner, rehearsal),
        opened(inner, "up --dry-run", output) as run,
    ):
        summary = bring_up(run, **settings, yes=True)
        if arguments.serve:
            return serve(run, inner, rehearsal, summary)
        return replace(
            summary,
            notes=(),
            lasting=False,
            next_commands=[
                ("python -m provision up --dry-run --serve", "keep it running, and look around"),
                ("python -m provision plan", "what `up` would do in your account (read-only)"),
                ("python -m provision up", "build it on AWS"),
            ],
        )


# --- the playground -------------------------------------------------------------------------------


def serve(run: Run, options: Options, rehearsal: Rehearsal, summary: Summary) -> Summary:
    """Keep a rehearsal up until Ctrl-C, for other processes too. Returns the summary to end with.

    What reaches it is shown, and published for the commands with `--rehearsal`.
    """
    run.output.summary(replace(summary, notes=(), next_commands=()))
    from provision.cli.playground import published

    with published(playground(run, options, rehearsal)) as reachable:
        run.output.document(["", *how_to_reach(run, rehearsal, reachable=reachable)])
        options.stop.expected = True
        options.stop.wait()
        options.stop.clear()
    run.output.note("the rehearsal has ended; nothing was kept")
    return replace(summary, silent=True)


def playground(run: Run, options: Options, rehearsal: Rehearsal) -> Playground:
    """Return where the rehearsal is, and with which flags the commands find its environment."""
    from provision.cli.playground import Playground
    from provision.rehearsal import UNWANTED

    state = str(options.state)
    config = config_path(options)
    if config is None:  # whoever reaches it from another folder must not meet the one there
        config = Path(state).with_name("config.toml")
        config.touch()
    return Playground(
        environ=rehearsal.environ(),
        unset=UNWANTED,
        config=str(config.absolute()),
        overrides=options.overrides,
        region=run.config.environment.region,
        state=state,
        speed=options.speed,
    )


def how_to_reach(run: Run, rehearsal: Rehearsal, *, reachable: bool) -> Iterator[str]:
    """Yield how to reach a rehearsal from another terminal."""
    from provision.cli.playground import folder

    yield "The rehearsal runs until Ctrl-C. In a second terminal:"
    if reachable:
        yield f"  {program('provision')} --rehearsal status"
        yield "      and likewise plan, check, doctor, logs, compare, timeline, up"
        yield f"  {program('teardown')} --rehearsal"
    else:
        yield "  (`--rehearsal` cannot use it: you already run another rehearsal, or the folder"
        yield f"  {folder()} is not private to you)"
    if run.url:
        yield f"  curl {run.url}/func1    # logs in with the password"
        yield f"  curl {run.url}/func2    # logs in with IAM"
    yield ""
    yield "For the AWS CLI and boto3 (these keys are valid for this rehearsal only):"
    yield f"  unset {' '.join(UNSET)}"
    environ = rehearsal.environ()
    for name in EXPORTED:
        yield f"  export {name}={environ[name]}"
    proxy = run.template.proxies["iam"].name
    yield "Break something by hand, then run doctor. For example:"
    yield f"  aws rds modify-db-proxy --db-proxy-name {proxy} --no-require-tls"
    yield f"  {program('provision')} --rehearsal doctor"
