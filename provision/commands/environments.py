"""Every environment that exists in an account, region by region. Reads only."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from provision.aws.account import Aws, calling, make_session
from provision.aws.advice import DENIED
from provision.cli.options import Options
from provision.commands.costs import number, size_of
from provision.config import Config, EnvironmentSettings
from provision.engine.discovery import Discovery
from provision.engine.events import Reporter
from provision.engine.lifetime import proven
from provision.environment import environment
from provision.errors import AwsCallError, ProvisionError, RegionNotEnabled, UnreachableError
from provision.pricing.table import estimate
from provision.resources.base import ManagedResource
from provision.resources.expiry import NEVER, STATE, latest, moment_of
from provision.state.local import LocalStore
from provision.state.state import State
from provision.verify.inventory import candidates
from provision.waiting.poll import PollPolicy

NO_STATE = Path("no state")  # never read and never written


@dataclass(frozen=True)
class Existing:
    """One environment as its tags and names show it, without its configuration or state."""

    name: str
    region: str
    created: str  # ISO 8601, of the oldest part of which AWS says it; "" where it says of none
    expires: str  # ISO 8601; "" = never
    resources: int
    of: int  # how many a whole one has
    usd_per_hour: Decimal | None
    state: str  # where its state is, as the VPC's tag has it; "" where none says it

    @property
    def whole(self) -> bool:
        """Whether all of it exists."""
        return self.resources == self.of

    def over(self, now: datetime.datetime) -> bool:
        """Return whether it has expired."""
        moment = moment_of(self.expires) if self.expires else None
        return moment is not None and moment <= now

    def record(self, output: Reporter) -> None:
        """Report it to a program."""
        output.record(
            "environment",
            name=self.name,
            region=self.region,
            created=self.created or None,
            expires=self.expires or None,
            resources=self.resources,
            usd_per_hour=number(self.usd_per_hour),
            whole=self.whole,
            state=self.state or None,
        )


def account_of(options: Options, region: str) -> Aws:
    """Return the account and a region, without an environment; the caller closes it."""
    session = make_session(options.profile, region)
    aws = Aws(session, environment="", speed=options.speed, call_log=options.call_log)
    aws.fence = not_here
    return aws


def not_here() -> None:
    """Raise ProvisionError: a command that reads all environments changes none."""
    raise ProvisionError("a call would have changed something at AWS: not sent")


def existing(options: Options, region: str, output: Reporter) -> list[Existing]:
    """Return every environment of a region. Reports what it may not read. Raises ProvisionError."""
    with closing(account_of(options, region)) as aws:
        found = candidates(aws)
        for each in found.unseen:
            output.record("unreadable", region=region, message=each)
            output.note(f"{region}: skipped: {each}")
        looked = [look(aws, options, name, output) for name in found.names]
        return [each for each in looked if each is not None]


def look(aws: Aws, options: Options, name: str, output: Reporter) -> Existing | None:
    """Return what `look_at` does; a caller who may not read another environment's gets a note."""
    try:
        return look_at(aws, options, name)
    except AwsCallError as error:
        if error.answer.code not in DENIED:
            raise
        output.record("unreadable", region=aws.region, name=name, message=error.message)
        output.note(f"{aws.region}: {name} may be an environment, and cannot be read: {error}")
        return None


def look_at(aws: Aws, options: Options, name: str) -> Existing | None:
    """Return the environment of a name, or None where nothing is proven to be of it."""
    config = Config(EnvironmentSettings(name=name, region=aws.region))
    own = copy.copy(aws)  # the same clients
    own.environment = name
    template = environment(config, packed=False)
    state = State(LocalStore(NO_STATE), environment=name, region=aws.region, writes=False)
    policy = PollPolicy(poll_seconds=1.0, timeout_seconds=60.0, stop=options.stop)
    seen = Discovery(own, template, state, policy).look()
    ours = {resource.step: there for resource, there in proven(own, template, seen, state)}
    if not ours:
        return None
    expires = latest(there.tags for there in ours.values() if there.tags is not None)
    vpc, instance = ours.get(template.vpc.step), ours.get(template.db_instance.step)
    costs = estimate(config, **size_of(instance)).of(ours)
    created = [moment for each in ours.values() if (moment := moment_of(each.created))]
    return Existing(
        name,
        aws.region,
        created=min(created).isoformat() if created else "",
        expires="" if expires == NEVER else expires,
        resources=len(ours),
        of=sum(isinstance(each, ManagedResource) for each in template),
        usd_per_hour=costs.per_hour,
        state=(vpc.tags or {}).get(STATE, "") if vpc else "",
    )


def everywhere(options: Options, output: Reporter, *, all_regions: bool) -> Iterator[Existing]:
    """Yield the environments of the configured region, or of all. Raises ProvisionError.

    Of all regions, one that is not enabled, is denied or cannot be reached is named and passed.
    """
    here = options.configuration.environment.region
    if not all_regions:
        yield from existing(options, here, output)
        return
    for region in regions(options, here):
        try:
            yield from existing(replace(options, region=region), region, output)
        except (RegionNotEnabled, UnreachableError, AwsCallError) as error:
            if isinstance(error, AwsCallError) and error.answer.code not in DENIED:
                raise
            output.record("region", region=region, error=error.as_dict())
            output.note(f"{region}: skipped: {error.message}")


def regions(options: Options, here: str) -> list[str]:
    """Return the regions that the account has enabled; where AWS does not say, those it may."""
    with closing(account_of(options, here)) as aws:
        try:
            with calling("regions"):
                answer = aws.ec2.describe_regions()
            return sorted(each["RegionName"] for each in answer["Regions"])
        except AwsCallError as error:
            if error.answer.code not in DENIED:
                raise
            partition = aws.identity.partition
            found: list[str] = aws.session.get_available_regions("rds", partition)
            return found
