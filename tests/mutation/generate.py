"""The usual mutations of a source file: each a small wrong turn that a test should notice.

Comparisons turned over or moved by one, conditions negated, numbers moved by one, outcomes exchanged, arguments and
calls left out, refusals left out, the smaller taken for the larger. Texts are left alone, but for the outcomes.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
OUTCOMES = ("REFER", "NO_REFERRAL_FINDINGS", "RETAKE", "NO_RESULT")
OPPOSITES = {"min": "max", "max": "min", "all": "any", "any": "all", "append": "clear"}


@dataclass(frozen=True)
class Mutation:
    """One change of one file."""

    file: str
    line: int
    """From 1, of the original; for people."""
    old: str
    """The whole lines that change, as they are."""
    new: str
    start: int
    """Place in the file's bytes."""
    end: int
    text: str
    """What goes between the two."""
    nth: int = 1
    """Of those of the file that read alike."""

    @property
    def name(self) -> str:
        """The same as long as the lines and the file are."""
        which = "" if self.nth == 1 else f" ({self.nth})"
        return f"{self.file}: {_one_line(self.old)} => {_one_line(self.new)}{which}"

    def apply(self, source: bytes) -> bytes:
        """The mutated file."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def _span(node: ast.AST) -> tuple[int, int, int, int] | None:
    """First line and byte, last line and byte; None for what stands nowhere, such as an operator."""
    places = [getattr(node, name, None) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")]
    if any(place is None for place in places):
        return None
    line, column, end_line, end_column = (int(place) for place in places if place is not None)
    return line, column, end_line, end_column


def mutations(file: str, source: bytes, only_in: Collection[str] = ()) -> list[Mutation]:
    """All mutations of a file, in its order. only_in: functions and classes at its top; none are all of them."""
    tree = ast.parse(source)
    if only_in:
        tree.body = [node for node in tree.body if getattr(node, "name", None) in only_in]
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    found: dict[str, Mutation] = {}
    annotations = {id(inner) for node in ast.walk(tree) for inner in _not_run(node)}
    for node in ast.walk(tree):
        if id(node) in annotations:
            continue
        for place, text in _of(node):
            if (span := _span(place)) is None:
                continue
            at, column, end_at, end_column = span
            start, end = lines[at - 1] + column, lines[end_at - 1] + end_column
            first, last = lines[at - 1], lines[end_at]
            new = source[first:start] + text.encode() + source[end:last]
            made = Mutation(file, at, source[first:last].decode(), new.decode(), start, end, text)
            try:
                ast.parse(made.apply(source))
            except SyntaxError:
                continue
            found.setdefault(f"{made.line} {made.name}", made)
    alike: Counter[str] = Counter()
    numbered = []
    for made in sorted(found.values(), key=lambda m: (m.start, m.text)):
        alike[made.name] += 1
        numbered.append(replace(made, nth=alike[made.name]))
    return numbered


def _not_run(node: ast.AST) -> Iterator[ast.AST]:
    """Annotations, decorators and what only a type checker reads."""
    parts: list[ast.AST | None] = []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parts = [node.returns, *node.decorator_list]
    elif isinstance(node, ast.ClassDef):
        parts = [*node.decorator_list, *node.bases]
    elif isinstance(node, (ast.AnnAssign, ast.arg)):
        parts = [node.annotation]
    elif isinstance(node, (ast.Assert, ast.JoinedStr)) or (
        isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ):
        parts = [node]
    for part in parts:
        if part is not None:
            yield from ast.walk(part)


def _of(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What to put in whose place."""
    if isinstance(node, ast.Compare):
        yield from _comparison(node)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, f"({ast.unparse(ast.BoolOp(other, node.values))})"
        for left_out in range(len(node.values)):
            rest = [value for at, value in enumerate(node.values) if at != left_out]
            yield node, f"({ast.unparse(ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0])})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node, f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield node, f"({ast.unparse(ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right))})"
    elif isinstance(node, ast.IfExp):
        yield node, f"({ast.unparse(node.body)})"
        yield node, f"({ast.unparse(node.orelse)})"
    elif isinstance(node, (ast.If, ast.While)):
        yield node.test, f"not ({ast.unparse(node.test)})"
        yield node.test, "False"
    elif isinstance(node, ast.Constant):
        yield from _constant(node)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Outcome":
        for other_outcome in OUTCOMES:
            if other_outcome != node.attr:
                yield node, f"Outcome.{other_outcome}"
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)) or isinstance(node, ast.Raise):
        yield node, "pass"
    elif isinstance(node, (ast.Assign, ast.AugAssign)) and not isinstance(node.value, ast.Constant):
        if isinstance(node, ast.AugAssign) or any(isinstance(target, ast.Attribute) for target in node.targets):
            yield node, "pass"
    elif isinstance(node, (ast.Continue, ast.Break)):
        yield node, "pass"
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield node, "return None"


def _comparison(node: ast.Compare) -> Iterator[tuple[ast.AST, str]]:
    for at, operator in enumerate(node.ops):
        for other in COMPARISONS.get(type(operator), ()):
            ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
            yield node, f"({ast.unparse(ast.Compare(node.left, ops, node.comparators))})"


def _constant(node: ast.Constant) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node.value, bool):
        yield node, str(not node.value)
    elif isinstance(node.value, (int, float)):
        yield node, repr(node.value + 1)
        yield node, repr(node.value - 1 if isinstance(node.value, int) else node.value / 2)


def _call(node: ast.Call) -> Iterator[tuple[ast.AST, str]]:
    for at, _ in enumerate(node.keywords):
        rest = [keyword for other, keyword in enumerate(node.keywords) if other != at]
        yield node, ast.unparse(ast.Call(node.func, node.args, rest))
    if isinstance(node.func, ast.Name) and node.func.id in OPPOSITES:
        yield node.func, OPPOSITES[node.func.id]
    if len(node.args) == 1 and not node.keywords:
        yield node, f"({ast.unparse(node.args[0])})"


def _one_line(text: str) -> str:
    return " ".join(text.split())
