"""The environment as an SVG drawing: client, HTTP API, VPC, subnets in their zones, functions, both
proxies, DB instance, and what may talk to what on which port.

Everything has its fixed place, since there is one environment. Looks are classes, which page.py's
style sheet knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from provision.views.timeline.svg import Markup, cut, drawing, element
from provision.views.timeline.things import Level, Passage, Thing, Things, known_or, worst

WIDTH, HEIGHT = 1180, 806
LINE = 14  # between two lines of text
CELL = 6.4  # the width of a character, about
ROW_LEFT, ROW_TOP, ROW_WIDTH, ROW_GAP = 8, 640, 187, 8  # the cards below the VPC
BELOW = (
    ("secret", "role-proxy", "role-function-password", "role-function-iam", "role-api", "layer"),
    (
        "service-linked-role",
        "log-group-password",
        "log-group-iam",
        "log-group-proxy-password",
        "log-group-proxy-iam",
    ),
)


def topology_svg(things: Things, passages: Iterable[Passage]) -> Markup:
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
        *network(things),
        *front(things),
        *functions(things),
        *proxies(things),
        *database(things),
        *arrows(things, passages),
        *below(things),
        width=WIDTH,
        height=HEIGHT,
    )


# --- parts ----------------------------------------------------------------------------------------


def network(things: Things) -> Iterator[Markup]:
    """Yield the VPC, its zones and subnets."""
    vpc, subnets = things["vpc"], [things[f"subnet-database-{number}"] for number in (1, 2)]
    yield area(340, 8, 832, 620, "vpc", f"VPC {value(vpc, 'cidr_block')}", vpc)
    for (y, height), subnet in zip(((46, 284), (338, 282)), subnets, strict=True):
        zone = known_or(str(value(subnet, "availability_zone")), "chosen when it is made")
        yield element("rect", x=350, y=y, width=812, height=height, rx=4, class_="zone")
        yield words(f"zone {zone}", 358, y + height - 8, "small")
    function = things["subnet-function"]
    yield area(360, 66, 200, 240, "subnet", f"subnet {value(function, 'cidr_block')}", function)
    yield area(590, 66, 562, 252, "subnet", f"subnet {value(subnets[0], 'cidr_block')}", subnets[0])
    yield area(
        590, 350, 562, 262, "subnet", f"subnet {value(subnets[1], 'cidr_block')}", subnets[1],
        foot=True,
    )  # fmt: skip


def front(things: Things) -> Iterator[Markup]:
    """Yield the client, the HTTP API and its routes."""
    yield element("rect", x=8, y=176, width=84, height=46, rx=6, class_="card")
    yield words("client", 50, 203, "strong", "middle")
    api, stage = things["api"], things["stage"]
    yield card(128, 96, 184, 236, "HTTP API", api, (f"stage $default: {stage.state}",))
    for row, (path, login) in enumerate((("root", "password"), ("func1", "password"),
                                         ("func2", "iam"))):  # fmt: skip
        route, integration = things[f"route-{path}"], things[f"integration-{login}"]
        y = 190 + row * 46
        yield element("rect", x=136, y=y - 14, width=168, height=40, rx=4, class_="inner")
        yield words(
            f"{mark(route)} {value(route, 'route_key')}  {route.identity}", 142, y + 1, "strong"
        )
        yield words(f"  to {login}  {integration.identity}", 142, y + 17, "small")


def functions(things: Things) -> Iterator[Markup]:
    """Yield the functions within their group."""
    yield group(368, 104, 184, 196, "functions", things["security-group-function"])
    for y, login in ((144, "password"), (222, "iam")):
        function = things[f"function-{login}"]
        yield card(376, y, 168, 70, f"Lambda, {login}", function,
                   (str(value(function, "runtime")),))  # fmt: skip


def proxies(things: Things) -> Iterator[Markup]:
    """Yield the proxies within their group: both have interfaces in both subnets."""
    yield group(600, 104, 342, 474, "proxies", things["security-group-proxy"])
    for x, y, login in ((606, 144, "password"), (774, 304, "iam")):
        proxy, target = things[f"proxy-{login}"], things[f"target-{login}"]
        says = (
            f"IAMAuth {value(proxy, 'iam_auth')}",
            f"TLS {'required' if value(proxy, 'require_tls') else 'optional'}",
            "in both subnets",
            f"{mark(target)} target: {target.state}",
        )
        yield card(x, y, 162, 264, f"RDS Proxy, {login}", proxy, says)


def database(things: Things) -> Iterator[Markup]:
    """Yield the DB instance within its group."""
    instance, subnet_group = things["db-instance"], things["db-subnet-group"]
    yield group(954, 104, 188, 474, "database", things["security-group-database"])
    says = (
        f"MySQL {value(instance, 'engine_version')}",
        str(value(instance, "instance_class")),
        f"{value(instance, 'allocated_storage')} GiB, encrypted",
        f"database {value(instance, 'database')}",
        "",
        f"{mark(subnet_group)} DB subnet group",
        subnet_group.identity or subnet_group.state,
        "over both subnets",
    )
    yield card(962, 144, 172, 424, "DB instance", instance, says)


def arrows(things: Things, passages: Iterable[Passage]) -> Iterator[Markup]:
    """Yield who calls whom; a passage that is not open is dashed."""
    yield arrow("M92 199 H126", worst(things, "api", "stage"), "any client calls the API by HTTPS")
    for y, login in ((179, "password"), (257, "iam")):
        level = worst(things, f"integration-{login}", "role-api")
        yield arrow(f"M312 {y} H374", level, "api invokes the function, as role-api")
    drawn = {
        ("security-group-function", "security-group-proxy"): (
            ("M544 179 H604", 575, 173),
            ("M544 257 H577 V480 H772", 690, 474),
        ),
        ("security-group-proxy", "security-group-database"): (
            ("M768 220 H960", 862, 214),
            ("M936 440 H960", 948, 428),
        ),
    }
    for passage in passages:
        for path, x, y in drawn.get((passage.source, passage.target), ()):
            why = f"{passage.source} may talk to {passage.target}: {passage.how}"
            yield arrow(path, passage.level, why)
            yield words(passage.how.split()[-1], x, y, "port", "middle")


def below(things: Things) -> Iterator[Markup]:
    """Yield what stands outside of the VPC: secret, roles, layer, log groups."""
    for row, steps in enumerate(BELOW):
        for column, step in enumerate(steps):
            thing = things[step]
            says = tuple(getattr(thing.resource, "policies", ())) or ("",)
            yield card(
                ROW_LEFT + column * (ROW_WIDTH + ROW_GAP),
                ROW_TOP + row * 86,
                ROW_WIDTH,
                78,
                step,
                thing,
                (", ".join(says),),
            )


# --- shapes ---------------------------------------------------------------------------------------


def value(thing: Thing, field: str) -> Any:
    """Return a wanted value of a resource."""
    return getattr(thing.resource, field)


def mark(thing: Thing) -> str:
    """Return the sign of how a thing stands."""
    return thing.level.value


def words(text: str, x: float, y: float, class_: str = "", anchor: str | None = None) -> Markup:
    """Return a line of text."""
    return element("text", text, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def card(
    x: int, y: int, width: int, height: int, title: str, thing: Thing, says: Sequence[str] = ()
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
    x: int, y: int, width: int, height: int, class_: str, title: str, thing: Thing,
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


def group(x: int, y: int, width: int, height: int, title: str, thing: Thing) -> Markup:
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
