"""Small faults that are put into a module, one at a time: each should make a test fail.

What is mutated: comparisons, conditions (also those of comprehensions), `and`, `or`, `not`,
arithmetic, numbers, codes and names in strings, statements that are left out, values that are not
returned, keyword arguments that are not given. Annotations, decorators, enums and sentences stay.

Why not a library: cosmic-ray mutates no comprehension's condition, no statement and no return;
mutmut leaves out every decorated function and what stands at a module's top level. Most of what is
mutated here is of these kinds.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

Undo = Callable[[], object]
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.Pow: ast.Mult,
}
# Fields that no code reads, or that only make a class what it is (`frozen`, `contextmanager`).
LEFT = {"annotation", "returns", "type_params", "decorator_list"}


@dataclass(frozen=True)
class Mutant:
    """One fault: where it is, the text before and after, and the module compiled with it."""

    line: int
    within: str  # the function, with its class
    before: str
    after: str
    code: CodeType

    @property
    def name(self) -> str:
        """What identifies it, however the lines around it move."""
        return f"{self.within or 'module'}: {self.before} -> {self.after}"


@dataclass
class _Place:
    """A fault that can be put into the tree: `put` does, and returns what takes it out again."""

    line: int
    within: str
    show: Callable[[], ast.AST]
    put: Callable[[], Undo]


def mutants(source: str, path: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse(source)
    for place in _places(tree, ""):
        before = _text(place.show())
        undo = place.put()
        after = _text(place.show())
        if after != before:
            code = compile(ast.fix_missing_locations(tree), path, "exec")
            yield Mutant(place.line, place.within, before, after, code)
        undo()


def _text(node: ast.AST) -> str:
    """Return a node's first line, as text."""
    return ast.unparse(node).partition("\n")[0]


def _places(node: ast.AST, within: str) -> Iterator[_Place]:
    """Yield every fault that can be put into what stands below a node."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        within = f"{within}.{node.name}".lstrip(".")
    if isinstance(node, ast.JoinedStr) or _says_nothing(node):
        return
    for name, value in ast.iter_fields(node):
        if name in LEFT:
            continue
        if isinstance(value, list):
            yield from _in_list(node, value, within)
        elif isinstance(value, ast.AST):
            others = [*_others(value), *_values(node, name, value)]
            line = getattr(value, "lineno", 0)
            for other in others:
                yield _Place(line, within, lambda: node, _swapped(node.__dict__, name, other))
            yield from _places(value, within)


def _says_nothing(node: ast.AST) -> bool:
    """Return whether no code reads what stands here: types, docstrings, the values of an enum."""
    match node:
        case ast.If():
            return ast.unparse(node.test) == "TYPE_CHECKING"
        case ast.Assign(targets=[ast.Name(id=name)]):
            is_type = name != name.upper() and name[0].isupper()
            return is_type or ast.unparse(node.value).startswith("TypeVar(")
        case ast.ClassDef(bases=[ast.Name(id=base)]):
            return base.endswith("Enum")
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _in_list(node: ast.AST, items: list[Any], within: str) -> Iterator[_Place]:
    """Yield the faults in a list of statements, operands, arguments, conditions."""
    for index, item in enumerate(list(items)):
        line = getattr(item, "lineno", 0)
        if isinstance(item, ast.stmt):
            if instead := _instead_of(item):
                show = lambda index=index: items[index]  # noqa: E731
                yield _Place(line, within, show, _swapped(items, index, instead))
        elif isinstance(item, ast.expr):
            for other in _others(item):
                yield _Place(line, within, lambda: node, _swapped(items, index, other))
            if isinstance(node, ast.comprehension):
                yield _Place(line, within, lambda: node, _left_out(items, index))
        elif isinstance(item, ast.keyword) and item.arg:
            yield _Place(line, within, lambda: node, _left_out(items, index))
        if isinstance(item, ast.AST):
            yield from _places(item, within)


def _instead_of(statement: ast.stmt) -> ast.stmt | None:
    """Return what is put in the place of a whole statement."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Delete(targets=[ast.Name()]):
            return None  # a docstring; a parameter that is not used
        case ast.Expr() | ast.Raise() | ast.AugAssign() | ast.Delete():
            return ast.Pass()
        case ast.Continue():
            return ast.Break()
    return None


def _values(node: ast.AST, name: str, value: ast.AST) -> Iterator[ast.expr]:
    """Yield other values for conditions, returns, assignments and loops."""
    constant = isinstance(value, ast.Constant)
    match node, name:
        case ((ast.If() | ast.While() | ast.IfExp() | ast.match_case()), ("test" | "guard")):
            if not constant:
                yield ast.Constant(True)
                yield ast.Constant(False)
        case ((ast.Return() | ast.Assign()), "value") if not constant:
            yield ast.Constant(None)
        case ast.For(), "iter":
            yield ast.Tuple([], ast.Load())


def _others(value: ast.AST) -> Iterator[ast.expr]:
    """Yield expressions that look much like this one."""
    match value:
        case ast.Compare(ops=[operator]):
            for other in COMPARISONS[type(operator)]:
                yield ast.Compare(value.left, [other()], value.comparators)
        case ast.BoolOp():
            yield from _other_logic(value)
        case ast.UnaryOp(op=ast.Not()):
            yield value.operand
        case ast.BinOp() if type(value.op) in ARITHMETIC:
            yield ast.BinOp(value.left, ARITHMETIC[type(value.op)](), value.right)
        case ast.Constant():
            yield from _other_constant(value.value)


def _other_logic(value: ast.BoolOp) -> Iterator[ast.expr]:
    """Yield `or` for `and`, and what is left without each of the operands."""
    yield ast.BoolOp(ast.Or() if isinstance(value.op, ast.And) else ast.And(), value.values)
    for index in range(len(value.values)):
        rest = value.values[:index] + value.values[index + 1 :]
        yield ast.BoolOp(value.op, rest) if len(rest) > 1 else rest[0]


def _other_constant(value: object) -> Iterator[ast.expr]:
    """Yield another number, another truth, another code or name."""
    match value:
        case bool():
            yield ast.Constant(not value)
        case int():
            yield ast.Constant(value + 1)
        case float():
            yield ast.Constant(2 * value or 1.0)
        case str() if value and " " not in value:
            yield ast.Constant(f"{value}X")


def _swapped(holder: Any, key: Any, other: ast.AST) -> Callable[[], Undo]:
    """Return what puts `other` at a key of a node's fields, or of a list."""

    def put() -> Undo:
        before, holder[key] = holder[key], other
        return lambda: holder.__setitem__(key, before)

    return put


def _left_out(items: list[Any], index: int) -> Callable[[], Undo]:
    """Return what takes an item out of a list."""

    def put() -> Undo:
        item = items.pop(index)
        return lambda: items.insert(index, item)

    return put
