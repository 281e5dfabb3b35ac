"""The environment as boxes in boxes: client, HTTP API, functions, both proxies, DB instance, within
their security groups, subnets and VPC; and what may talk to what on which port.

HTML, so that each box is as large as what it holds and stands below the one before it where the
window is narrow. Looks are classes, which page.py's style sheet has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from provision.resources.base import Resource
from provision.resources.ec2 import SecurityGroup
from provision.resources.iam import Role
from provision.resources.template import Template
from provision.views.condition import Condition
from provision.views.timeline.markup import Markup, element, link
from provision.views.timeline.things import Passage, Thing, Things, known_or, worst


def topology(template: Template, things: Things, passages: Iterable[Passage]) -> Markup:
    """Return the boxes: the way of a request through them, and below them what they use."""
    ports = {(each.source, each.target): each for each in passages}
    groups = template.security_groups
    tiers = (groups["function"].step, groups["proxy"].step, groups["database"].step)
    calls = worst(things, template.api.step, template.stage.step)
    invokes = worst(
        things, template.api_role.step, *(each.step for each in template.integrations.values())
    )
    return element(
        "div",
        element(
            "div",
            element("div", element("h3", "Client"), class_="box"),
            hop("HTTPS", calls),
            api_box(template, things),
            hop("invokes", invokes),
            network(template, things, [ports.get(tiers[:2]), ports.get(tiers[1:])]),
            class_="flow",
        ),
        element("h3", "Used by them"),
        element("div", *below(template, things), class_="shelf"),
        class_="topology",
    )


# --- the way of a request -------------------------------------------------------------------------


def api_box(template: Template, things: Things) -> Markup:
    """Return the HTTP API with its routes."""
    by_reference = {each.id: login for login, each in template.integrations.items()}
    routes = [
        element(
            "li",
            element("b", declared.route_key),
            f" to {by_reference[declared.integration_id]}: ",
            element("span", things.of(declared).stands, class_="whole"),
        )
        for declared in template.routes.values()
    ]
    stage = line("Stage $default: ", things.of(template.stage).stands)
    return box("HTTP API", things.of(template.api), stage, element("ul", *routes), class_="api")


def network(template: Template, things: Things, ports: Sequence[Passage | None]) -> Markup:
    """Return the VPC with its subnets, and in it the security groups in the order of a request."""
    vpc = things.of(template.vpc)
    subnets = [things.of(each) for each in (template.function_subnet, *template.database_subnets)]
    groups = template.security_groups
    first, second = [
        hop(each.how, each.state) if each else hop("no rule", Condition.MISSING) for each in ports
    ]
    return element(
        "div",
        *heading(f"VPC {vpc.resource.cidr_block}", vpc),
        element(
            "div",
            group("functions", things.of(groups["function"]), functions(template, things)),
            first,
            group("proxies", things.of(groups["proxy"]), proxies(template, things)),
            second,
            group("database", things.of(groups["database"]), database(template, things)),
            class_="flow",
        ),
        element(
            "div",
            *(
                box(
                    title,
                    subnet,
                    line(subnet.resource.cidr_block),
                    line("Zone ", known_or(subnet.resource.availability_zone, "not chosen yet")),
                )
                for title, subnet in zip(
                    ("Functions' subnet", "First database subnet", "Second database subnet"),
                    subnets,
                    strict=True,
                )
            ),
            class_="shelf",
        ),
        class_=f"area vpc {look(vpc.state)}",
    )


def functions(template: Template, things: Things) -> Iterator[Markup]:
    """Yield the functions."""
    for login, declared in template.functions.items():
        function = things.of(declared)
        yield box(f"Lambda, {login}", function, line(function.resource.runtime))


def proxies(template: Template, things: Things) -> Iterator[Markup]:
    """Yield the proxies, which have interfaces in both database subnets."""
    for login, declared in template.proxies.items():
        proxy, target = things.of(declared), things.of(template.targets[login])
        yield box(
            f"RDS Proxy, {login}",
            proxy,
            line(
                f"IAMAuth {proxy.resource.iam_auth}, "
                f"TLS {'required' if proxy.resource.require_tls else 'optional'}"
            ),
            line("Target: ", target.stands),
        )


def database(template: Template, things: Things) -> Iterator[Markup]:
    """Yield the DB instance and its subnet group."""
    instance = things.of(template.db_instance)
    yield box(
        "DB instance",
        instance,
        line(f"MySQL {instance.resource.engine_version}, {instance.resource.instance_class}"),
        line(f"{instance.resource.allocated_storage} GiB, encrypted"),
        line(f"Database {instance.resource.database}"),
    )
    yield box("DB subnet group", things.of(template.db_subnet_group))


def below(template: Template, things: Things) -> Iterator[Markup]:
    """Yield what is used from outside of the VPC: secret, roles, layer, log groups."""
    yield box("Secret", things.of(template.secret))
    yield box("Layer", things.of(template.layer))
    for role in template.all(Role):
        thing = things.of(role)
        yield box(role.step, thing, *map(line, thing.resource.policies))
    yield box("Service-linked role", things.of(template.service_linked_role))
    for log_group in (*template.function_logs.values(), *template.proxy_logs.values()):
        yield box(log_group.step, things.of(log_group))


# --- shapes ---------------------------------------------------------------------------------------


def look(state: Condition) -> str:
    """Return the class of a state."""
    return f"is-{state.name.lower()}"


def line(*words: object) -> Markup:
    """Return a line of a box."""
    return element("p", *words)


def named(thing: Thing[Resource]) -> Markup:
    """Return a resource's id or name, whole, which leads to its page in the AWS console."""
    name = thing.identity or thing.resource.name or thing.step
    return link(thing.console, name) if thing.console else element("span", name)


def heading(title: str, thing: Thing[Resource]) -> tuple[Markup, ...]:
    """Return what a resource is, its id, and how it stands."""
    return (
        element("h3", title),
        element("p", named(thing), class_="id"),
        element("p", thing.stands, class_=f"state {look(thing.state)}"),
    )


def box(title: str, thing: Thing[Resource], *more: Markup, class_: str = "") -> Markup:
    """Return a resource as a box, and what else is worth knowing of it."""
    classes = " ".join(filter(None, ("box", class_, look(thing.state))))
    return element("div", *heading(title, thing), *more, class_=classes)


def group(title: str, thing: Thing[SecurityGroup], members: Iterable[Markup]) -> Markup:
    """Return a security group around its members."""
    return element(
        "div",
        *heading(f"Security group: {title}", thing),
        element("div", *members, class_="members"),
        class_=f"area group {look(thing.state)}",
    )


def hop(how: str, state: Condition) -> Markup:
    """Return the way from one box to the next; a sign says when it is not open."""
    open_ = state is Condition.READY
    shut = "" if open_ else f" {state.sign} {state.word}"
    words = f"{how}{shut}"
    return element(
        "p",
        element("span", f"→ {words}", class_="across"),
        element("span", f"↓ {words}", class_="down"),
        class_="hop" if open_ else "hop shut",
    )
