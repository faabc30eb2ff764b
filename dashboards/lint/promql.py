"""Reads PromQL expressions for the lint: their selectors with what surrounds them, labels and windows.

Needs promql-parser from the dev extra: only the lint and the tests import this module.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    StringLiteral,
    SubqueryExpr,
    VectorSelector,
)

# Grafana's variables, each replaced by a duration that nobody writes, to recognise it in the tree.
_DURATIONS = {"$__rate_interval": "900001s", "$__range": "900002s", "$__interval": "900003s"}
_NAMES = {promql_parser.parse_duration(text): name for name, text in _DURATIONS.items()}


@dataclass(frozen=True)
class Use:
    """One selector in a query.

    Attributes:
        sample: The selected name.
        window: `5m` or `$__rate_interval`; empty for an instant selector.
        around: The functions and aggregations around it, innermost first.
    """

    sample: str
    window: str
    around: tuple[str, ...]


def parse(expr: str) -> Expr:
    """Parse a query that may contain Grafana's variables.

    Raises:
        ValueError: It is not PromQL; the message is the parser's, in one line.
    """
    for name, duration in _DURATIONS.items():
        expr = re.sub(rf"\{name}\b|\$\{{{name[1:]}\}}", duration, expr)
    try:
        return promql_parser.parse(re.sub(r"\$\{?\w+(:\w+)?\}?", ".*", expr))
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from None


def uses(tree: Expr) -> list[Use]:
    """Return every selector of a query, in the order in which they are written."""
    return list(_uses(tree, "", ()))


def _uses(node: Any, window: str, around: tuple[str, ...]) -> Iterator[Use]:
    if isinstance(node, VectorSelector):
        named = [m.value for m in node.matchers.matchers if m.name == "__name__"]
        yield Use(node.name or next(iter(named), ""), window, around)
    elif isinstance(node, MatrixSelector):
        yield from _uses(node.vector_selector, _text(node.range), around)
    elif isinstance(node, SubqueryExpr):
        yield from _uses(node.expr, _text(node.range), around)
    elif isinstance(node, Call):
        for argument in node.args:
            yield from _uses(argument, window, (node.func.name, *around))
    elif isinstance(node, AggregateExpr):
        yield from _uses(node.expr, window, (str(node.op), *around))
    elif isinstance(node, BinaryExpr):
        yield from _uses(node.lhs, window, around)
        yield from _uses(node.rhs, window, around)
    elif hasattr(node, "expr"):  # in parentheses, or with a sign
        yield from _uses(node.expr, window, around)


def labels(node: Any) -> frozenset[str] | None:
    """Return the labels of a query's series; empty for a single series, None if the query doesn't say."""
    if isinstance(node, AggregateExpr):
        if str(node.op) in ("topk", "bottomk", "limitk"):
            return labels(node.expr)
        if node.modifier is None:
            return frozenset()
        is_by = node.modifier.type == promql_parser.AggModifierType.By
        return frozenset(node.modifier.labels) if is_by else None
    if isinstance(node, Call):
        if node.func.name in ("scalar", "vector", "time"):
            return frozenset()
        inner = [a for a in node.args if not isinstance(a, NumberLiteral | StringLiteral)]
        known = labels(inner[0]) if inner else frozenset()
        if node.func.name == "histogram_quantile" and known is not None:
            return known - {"le"}
        return None if node.func.name.startswith("label_") else known
    if isinstance(node, BinaryExpr):
        if str(node.op) in ("and", "unless"):
            return labels(node.lhs)
        left, right = labels(node.lhs), labels(node.rhs)
        if node.modifier is not None and (node.modifier.matching or node.modifier.group_labels):
            return None
        return left if right == frozenset() else right if left == frozenset() else left
    if isinstance(node, VectorSelector | MatrixSelector):
        return None
    return labels(node.expr) if hasattr(node, "expr") else frozenset()


def _text(window: Any) -> str:
    return _NAMES.get(window) or promql_parser.display_duration(window)
