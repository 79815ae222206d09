"""What panels ask Prometheus for: which series are the pipeline's, and the few expressions that several panels share.

Names of metrics stay in the expressions, where a reader looks for them. Variables are Grafana's: $pipeline, $__rate_interval.
"""

from dataclasses import dataclass

THIS = 'pipeline="${pipeline}"'
# The lag process serves all pipelines and has no such label; an absent one is as an empty one.
PROCESSES = 'pipeline=~"|${pipeline}"'
# Its series are of consumer groups: the workers' and the monitor's.
GROUPS = 'group=~"tidegate[.]${pipeline}([.]monitor)?"'
FIRING = f'{THIS},alertstate="firing"'
# Fires as long as Prometheus evaluates the pipeline's rules: without it, no alert says nothing.
RULES_ALIVE = f'count(ALERTS{{{FIRING},alertname="TidegateWatchdog"}})'


@dataclass(frozen=True, slots=True)
class Line:
    """A query, and what each of its series is called: text with {{label}}s."""

    expr: str
    legend: str = ""


def rate(metric: str, *labels: str, where: str = THIS) -> str:
    """A counter's increase a second, summed over all processes, by ``labels``."""
    return f"sum{_by(labels)} (rate({metric}{{{where}}}[$__rate_interval]))"


def quantile(q: float, histogram: str, *labels: str) -> str:
    """A quantile of a histogram of all processes, by ``labels``; straight lines within a bucket, as Prometheus does."""
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket', 'le', *labels)})"


def last(gauge: str, *labels: str) -> str:
    """A gauge, the largest of all processes, by ``labels``."""
    return f"max{_by(labels)} ({gauge}{{{THIS}}})"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""
