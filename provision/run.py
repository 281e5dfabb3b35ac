"""What a command works with: configuration, AWS, state and output, opened together and closed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import boto3
import botocore.exceptions as boto_errors

from provision.aws import LOG_IN, Aws
from provision.config import Config
from provision.engine import Counts, Engine
from provision.environment import environment
from provision.errors import CredentialsError, ProvisionError, StateError, UsageError
from provision.history import Recorder, usual_seconds
from provision.options import Options, configuration
from provision.output.base import Output, Summary
from provision.plan import Looker, Plan, compare
from provision.prices import estimate, note_of
from provision.resources.base import Change, Resource, Seen
from provision.state import State, locked
from provision.wait import Pace, interrupted


@dataclass
class Run:
    """One command at work on one environment."""

    command: str
    config: Config
    aws: Aws
    state: State
    pace: Pace
    output: Output
    resources: list[Resource]
    engine: Engine
    began: float = field(default_factory=time.monotonic)
    url: str | None = None

    def look(self) -> dict[str, Seen | None]:
        """Return every resource as AWS has it now."""
        seen = Looker(self.aws, self.resources, self.state, self.pace).look()
        if self.pace.stop.is_set():
            raise interrupted()
        return seen

    def plan(
        self, *, replace: Collection[str] = (), forced: Mapping[str, Change] | None = None
    ) -> Plan:
        """Return what has to be done. Changes nothing. Raises UsageError for an unknown step."""
        steps = [each.step for each in self.resources if each.replaceable]
        if unknown := [step for step in replace if step not in steps]:
            raise UsageError(
                f"--replace {unknown[0]}: no step of this name can be replaced",
                next_step=f"Steps are {', '.join(steps)}.",
            )
        return compare(
            self.aws, self.resources, self.look(), self.state, replace=replace, forced=forced
        )

    def then(self, command: str) -> Run:
        """Return the same environment at work on a further command, which counts anew."""
        engine = replace(self.engine, counts=Counts())
        return replace(self, command=command, engine=engine, began=time.monotonic(), url=None)

    def resource(self, step: str) -> Resource:
        """Return the declared resource of a step."""
        return next(each for each in self.resources if each.step == step)

    def about(self) -> str:
        """Return in words on what the command works."""
        who = self.aws.identity
        where = f"environment {self.config.environment.name}, account {who.account}"
        return f"{where}, {self.aws.region}"

    def still_costing(self) -> list[str]:
        """Return in a line what of the environment is billed by the hour now, or nothing."""
        steps = [
            each.step for each in self.resources if each.costs and each.step in self.state.steps
        ]
        if not steps:
            return []
        return [f"still at AWS: {', '.join(steps)}: {note_of(estimate(self.config).of(steps))}"]

    def summary(self, **more: object) -> Summary:
        """Return the summary of the run so far."""
        counts = vars(self.engine.counts)
        seconds = time.monotonic() - self.began
        values = {"ok": True, "url": self.url, "seconds": seconds, **counts, **more}
        return Summary(self.command, **values)


def make_session(options: Options, region: str | None = None) -> boto3.Session:
    """Return boto3's session, by boto3's own configuration.

    Raises CredentialsError, or UsageError for a configuration that cannot be read.
    """
    try:
        return boto3.Session(profile_name=options.profile, region_name=region)
    except boto_errors.ProfileNotFound as error:
        flag = f"--profile {options.profile}: " if options.profile else ""
        raise CredentialsError(f"{flag}{error}", next_step=LOG_IN) from None
    except boto_errors.ConfigParseError as error:
        next_step = "Correct it, or name another with AWS_CONFIG_FILE."
        raise UsageError(str(error), next_step=next_step) from None


@contextlib.contextmanager
def opened(
    options: Options,
    command: str,
    output: Output,
    *,
    writes: bool = False,
    packed: bool = True,
    final_snapshot: str = "",
) -> Iterator[Run]:
    """Open everything that a command needs; `writes` takes the lock of the state file too.

    Raises ConfigError or UsageError before anything is called; CredentialsError, UnreachableError
    when AWS cannot be asked who is calling; StateError or Locked.
    """
    config = configuration(options)
    resources = environment(config, packed=packed, final_snapshot=final_snapshot)
    settings = config.environment
    aws = Aws(
        make_session(options, settings.region),
        environment=settings.name,
        tags=settings.tags,
        speed=options.speed,
        call_log=options.call_log,
    )
    path = options.state or Path(".provision") / f"{settings.name}.json"
    pace = Pace(
        poll_seconds=config.wait.poll_seconds,
        timeout_seconds=config.wait.timeout_minutes * 60,
        speed=options.speed,
        stop=options.stop,
    )
    with contextlib.closing(aws), contextlib.ExitStack() as stack:
        account = aws.identity.account
        if writes:
            stack.enter_context(locked(path, command))
        state = State.load(
            path,
            environment=settings.name,
            account=account,
            region=settings.region,
            writes=writes,
        )
        recorder = Recorder()
        state.under_way = lambda: recorder.run(command, ok=None)
        engine = Engine(aws, resources, state, pace, (output, recorder))
        run = Run(command, config, aws, state, pace, output, resources, engine)
        output.expect(speed=options.speed, earlier=usual_seconds(state.runs, "creating"))
        ok = False
        try:
            yield run
            ok = True
        except ProvisionError as error:
            notes = run.still_costing() if writes else []
            error.summary = run.summary(ok=False, error=error, notes=notes)
            raise
        finally:
            record = recorder.run(command, ok=ok)
            if record is not None and writes:
                with contextlib.suppress(*(() if ok else (StateError,))):
                    state.add_run(record)
