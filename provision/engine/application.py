"""In which order changes are made to a resource that exists.

`up` makes the calls, `--explain` prints them: both come from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from provision.aws.account import Aws, calling
from provision.aws.advice import DENIED
from provision.errors import AwsCallError
from provision.resources.base import Change, ManagedResource, Resource, Seen

TAG = "Tags."  # how the property of a tag's change begins


def portions(resource: ManagedResource, changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    """Yield the changes in the batches in which they are sent: urgent ones first."""
    changes = tuple(changes)
    urgent = tuple(each for each in changes if each.property in resource.urgent)
    rest = tuple(each for each in changes if each not in urgent)
    yield from (portion for portion in (urgent, rest) if portion)


def apply(aws: Aws, resource: ManagedResource, seen: Seen, portion: Iterable[Change]) -> None:
    """Send one batch of changes. Raises what AWS refuses.

    Tags come last: a secret that waits for its deletion takes none before it is restored.
    """
    portion = tuple(portion)
    others = {each.property: each for each in portion if not each.property.startswith(TAG)}
    tags = {
        each.property.removeprefix(TAG): each.should
        for each in portion
        if each.property.startswith(TAG)
    }
    if others:
        resource.update(aws, seen, others)
    if wanted := {key: str(value) for key, value in tags.items() if value is not None}:
        resource.tag(aws, seen, wanted)
    if unwanted := [key for key, value in tags.items() if value is None]:
        resource.untag(aws, seen, unwanted)


@contextmanager
def changing(aws: Aws, resource: Resource, seen: Seen) -> Iterator[None]:
    """Raise what botocore raises in the block as our errors, as `calling` does.

    A denial says what an administrator has to do, where the resource knows it. An explicit deny is
    another matter: no policy of the caller's, and no tag, helps against it.
    """
    try:
        with calling(resource.step):
            yield
    except AwsCallError as error:
        if error.answer.code in DENIED and "explicit deny" not in error.answer.message:
            error.next_step = resource.for_administrator(aws, seen) or error.next_step
        raise
