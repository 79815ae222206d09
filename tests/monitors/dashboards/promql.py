"""What a PromQL expression names, as far as the dashboards' go: its metrics, and a text of it that promtool can read."""

import re

# What stands between operands, and before a list of labels.
WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}
LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
NAME = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\()(?![\w:])")
# Grafana's variables, as it would fill them in.
VARIABLES = {"${pipeline}": "payments", "${feature}": "amount", "$__rate_interval": "1m", "$__range": "1d"}


def metrics(expr: str) -> set[str]:
    """The names of metrics, whatever they begin with."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr)
    for inside in (r"\{[^}]*\}", r"\[[^\]]*\]", r"\boffset\s+\w+"):
        bare = re.sub(inside, " ", bare)
    return set(NAME.findall(LABELS.sub(" ", bare))) - WORDS


def filled(expr: str) -> str:
    """The expression with Grafana's variables filled in; AssertionError where one is left."""
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    left = set(re.findall(r"\$\{?[a-zA-Z_]\w*", expr))
    assert not left, f"unknown variables {left} in {expr}"
    return expr
