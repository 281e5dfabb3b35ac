"""The environment as an SVG drawing: client, HTTP API, VPC, subnets in their zones, functions, both
proxies, DB instance, and what may talk to what on which port.

Everything has its fixed place, since there is one environment. Looks are classes, which page.py's
style sheet knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from provision.resources.base import Resource
from provision.resources.iam import Role
from provision.resources.template import Template
from provision.views.timeline.svg import Markup, cut, drawing, element
from provision.views.timeline.things import Level, Passage, Thing, Things, known_or, worst

WIDTH, HEIGHT = 1180, 806
LINE = 14  # between two lines of text
CELL = 6.4  # the width of a character, about
ROW_LEFT, ROW_TOP, ROW_WIDTH, ROW_GAP = 8, 640, 187, 8  # the cards below the VPC


def topology_svg(template: Template, things: Things, passages: Iterable[Passage]) -> Markup:
    """Return the drawing."""
    return drawing(
        "topology",
        "The environment: what is there, and what may talk to what",
        "The client calls the HTTP API, which invokes two functions in a VPC. Each reaches the DB "
        "instance through an RDS Proxy of its own. The tables below have all of it in words.",
        element(
            "defs",
            element(
                "marker",
                element("path", d="M0 0 L8 4 L0 8 z", class_="head"),
                id="arrow",
                viewBox="0 0 8 8",
                refX=7,
                refY=4,
                markerWidth=7,
                markerHeight=7,
                orient="auto",
            ),
        ),
        *network(template, things),
        *front(template, things),
        *functions(template, things),
        *proxies(template, things),
        *database(template, things),
        *arrows(template, things, passages),
        *below(template, things),
        width=WIDTH,
        height=HEIGHT,
    )


# --- parts ----------------------------------------------------------------------------------------


def network(template: Template, things: Things) -> Iterator[Markup]:
    """Yield the VPC, its zones and subnets."""
    vpc, subnets = things.of(template.vpc), [*map(things.of, template.database_subnets)]
    yield area(340, 8, 832, 620, "vpc", f"VPC {vpc.resource.cidr_block}", vpc)
    for (y, height), subnet in zip(((46, 284), (338, 282)), subnets, strict=True):
        zone = known_or(subnet.resource.availability_zone, "chosen when it is made")
        yield element("rect", x=350, y=y, width=812, height=height, rx=4, class_="zone")
        yield words(f"zone {zone}", 358, y + height - 8, "small")
    function = things.of(template.function_subnet)
    yield area(360, 66, 200, 240, "subnet", f"subnet {function.resource.cidr_block}", function)
    yield area(590, 66, 562, 252, "subnet", f"subnet {subnets[0].resource.cidr_block}", subnets[0])
    yield area(
        590, 350, 562, 262, "subnet", f"subnet {subnets[1].resource.cidr_block}", subnets[1],
        foot=True,
    )  # fmt: skip


def front(template: Template, things: Things) -> Iterator[Markup]:
    """Yield the client, the HTTP API and its routes."""
    yield element("rect", x=8, y=176, width=84, height=46, rx=6, class_="card")
    yield words("client", 50, 203, "strong", "middle")
    api, stage = things.of(template.api), things.of(template.stage)
    yield card(128, 96, 184, 236, "HTTP API", api, (f"stage $default: {stage.state}",))
    by_reference = {each.id: login for login, each in template.integrations.items()}
    for row, declared in enumerate(template.routes.values()):
        login = by_reference[declared.integration_id]
        route, integration = things.of(declared), things.of(template.integrations[login])
        y = 190 + row * 46
        yield element("rect", x=136, y=y - 14, width=168, height=40, rx=4, class_="inner")
        yield words(
            f"{mark(route)} {route.resource.route_key}  {route.identity}", 142, y + 1, "strong"
        )
        yield words(f"  to {login}  {integration.identity}", 142, y + 17, "small")


def functions(template: Template, things: Things) -> Iterator[Markup]:
    """Yield the functions within their group."""
    yield group(368, 104, 184, 196, "functions", things.of(template.security_groups["function"]))
    for y, (login, declared) in zip((144, 222), template.functions.items(), strict=True):
        function = things.of(declared)
        yield card(376, y, 168, 70, f"Lambda, {login}", function,
                   (function.resource.runtime,))  # fmt: skip


def proxies(template: Template, things: Things) -> Iterator[Markup]:
    """Yield the proxies within their group: both have interfaces in both subnets."""
    yield group(600, 104, 342, 474, "proxies", things.of(template.security_groups["proxy"]))
    places = zip(((606, 144), (774, 304)), template.proxies.items(), strict=True)
    for (x, y), (login, declared) in places:
        proxy, target = things.of(declared), things.of(template.targets[login])
        says = (
            f"IAMAuth {proxy.resource.iam_auth}",
            f"TLS {'required' if proxy.resource.require_tls else 'optional'}",
            "in both subnets",
            f"{mark(target)} target: {target.state}",
        )
        yield card(x, y, 162, 264, f"RDS Proxy, {login}", proxy, says)


def database(template: Template, things: Things) -> Iterator[Markup]:
    """Yield the DB instance within its group."""
    instance = things.of(template.db_instance)
    subnet_group = things.of(template.db_subnet_group)
    yield group(954, 104, 188, 474, "database", things.of(template.security_groups["database"]))
    says = (
        f"MySQL {instance.resource.engine_version}",
        instance.resource.instance_class,
        f"{instance.resource.allocated_storage} GiB, encrypted",
        f"database {instance.resource.database}",
        "",
        f"{mark(subnet_group)} DB subnet group",
        subnet_group.identity or subnet_group.state,
        "over both subnets",
    )
    yield card(962, 144, 172, 424, "DB instance", instance, says)


def arrows(template: Template, things: Things, passages: Iterable[Passage]) -> Iterator[Markup]:
    """Yield who calls whom; a passage that is not open is dashed."""
    yield arrow(
        "M92 199 H126",
        worst(things, template.api.step, template.stage.step),
        "any client calls the API by HTTPS",
    )
    for y, integration in zip((179, 257), template.integrations.values(), strict=True):
        level = worst(things, integration.step, template.api_role.step)
        yield arrow(f"M312 {y} H374", level, "api invokes the function, as role-api")
    groups = template.security_groups
    drawn = {
        (groups["function"].step, groups["proxy"].step): (
            ("M544 179 H604", 575, 173),
            ("M544 257 H577 V480 H772", 690, 474),
        ),
        (groups["proxy"].step, groups["database"].step): (
            ("M768 220 H960", 862, 214),
            ("M936 440 H960", 948, 428),
        ),
    }
    for passage in passages:
        for path, x, y in drawn.get((passage.source, passage.target), ()):
            why = f"{passage.source} may talk to {passage.target}: {passage.how}"
            yield arrow(path, passage.level, why)
            yield words(passage.how.split()[-1], x, y, "port", "middle")


def below(template: Template, things: Things) -> Iterator[Markup]:
    """Yield what stands outside of the VPC: secret, roles, layer, log groups."""
    roles = (template.proxy_role, *template.function_roles.values(), template.api_role)
    logs = (*template.function_logs.values(), *template.proxy_logs.values())
    rows = ((template.secret, *roles, template.layer), (template.service_linked_role, *logs))
    for row, resources in enumerate(rows):
        for column, declared in enumerate(resources):
            thing = things.of(declared)
            says = tuple(thing.resource.policies) if isinstance(thing.resource, Role) else ()
            yield card(
                ROW_LEFT + column * (ROW_WIDTH + ROW_GAP),
                ROW_TOP + row * 86,
                ROW_WIDTH,
                78,
                thing.step,
                thing,
                (", ".join(says),),
            )


# --- shapes ---------------------------------------------------------------------------------------


def mark(thing: Thing[Resource]) -> str:
    """Return the sign of how a thing stands."""
    return thing.level.value


def words(text: str, x: float, y: float, class_: str = "", anchor: str | None = None) -> Markup:
    """Return a line of text."""
    return element("text", text, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def card(
    x: int,
    y: int,
    width: int,
    height: int,
    title: str,
    thing: Thing[Resource],
    says: Sequence[str] = (),
) -> Markup:
    """Return a resource as a card: what it is, its id, how it stands, and what else is worth it."""
    most = int((width - 14) / CELL)
    lines = [thing.identity or thing.resource.name or "-", f"{mark(thing)} {thing.state}", *says]
    return element(
        "g",
        element("title", f"{thing.step}: {thing.identity or 'no id'}: {thing.state}"),
        element("rect", x=x, y=y, width=width, height=height, rx=6),
        words(cut(title, most), x + 8, y + 17, "strong"),
        *(
            words(cut(line, most), x + 8, y + 17 + LINE * number)
            for number, line in enumerate(lines, 1)
        ),
        class_=f"card {thing.level.name.lower()}",
    )


def area(
    x: int, y: int, width: int, height: int, class_: str, title: str, thing: Thing[Resource],
    *, foot: bool = False,
) -> Markup:  # fmt: skip
    """Return a part of the network; its title stands at its head, or at its foot."""
    top = y + height - 24 if foot else y + 15
    most = int((width - 12) / CELL)
    stands = "  ".join(filter(None, (f"{mark(thing)} {thing.identity}".strip(), thing.state)))
    if len(stands) > most and thing.identity:
        stands = f"{mark(thing)} {thing.identity}"
    return element(
        "g",
        element("rect", x=x, y=y, width=width, height=height, rx=6),
        words(cut(title, most), x + 8, top, "strong"),
        words(cut(stands, most), x + 8, top + LINE),
        class_=f"area {class_} {thing.level.name.lower()}",
    )


def group(x: int, y: int, width: int, height: int, title: str, thing: Thing[Resource]) -> Markup:
    """Return a security group as an outline around what is in it."""
    return element(
        "g",
        element("rect", x=x, y=y, width=width, height=height, rx=8),
        words(f"security group: {title}", x + 8, y + 15, "strong"),
        words(f"{mark(thing)} {thing.identity or thing.state}", x + 8, y + 15 + LINE),
        class_=f"group {thing.level.name.lower()}",
    )


def arrow(path: str, level: Level, why: str) -> Markup:
    """Return an arrow, dashed unless all that it takes is ready."""
    open_ = level is Level.READY
    return element(
        "path",
        element("title", why if open_ else f"{level.value} {why}"),
        d=path,
        class_="arrow" if open_ else "arrow closed",
        marker_end="url(#arrow)",
    )
