"""Part `monitor`: how many served vectors of 30 features a second a monitor counts and judges, and what one costs it."""

from collections.abc import Sequence

from benchmarks import report
from benchmarks.monitor_drain import ROWS_A_RECORD, MonitorDrain, drain, filled
from benchmarks.part import Measured, Options
from benchmarks.report import Row, Spread
from benchmarks.rounds import described_stack
from streams.cli.progress import steps

PART = "monitor"
RATE_BAR, CORE_SHARE = 50_000.0, 0.5
CPU_BAR = CORE_SHARE / RATE_BAR * 1e6  # us a vector: so many a second then take half a core
ROWS = 600_000
WINDOWS = {"busy": "10,000", "pipeline": "1,000"}  # events a window, by the pipeline of benchmarks.gauges


def measure(options: Options) -> Measured:
    """Both pipelines in turn over one topic; the first drain of all, which fetches the reference, is not counted."""
    found: dict[str, list[MonitorDrain]] = {which: [] for which in WINDOWS}
    with steps(options.console) as show:
        show("filling the topic", 0, 1)
        with filled(ROWS) as environment:
            drain(environment, ROWS, "busy")
            for number in range(options.rounds):
                for which, drains in found.items():
                    show(f"windows of {WINDOWS[which]} events", number, options.rounds)
                    drains.append(drain(environment, ROWS, which))
            described = described_stack(environment["REDIS_URL"])
    return Measured(rows(found), text(found, described))


def rows(found: dict[str, list[MonitorDrain]]) -> list[Row]:
    """The bar is for windows that suit the rate: ten thousand events are a fifth of a second of it."""
    out = []
    for which, drains in found.items():
        name = f"{PART}/windows of {WINDOWS[which]}"
        cpu = Spread.of([one.cpu_us for one in drains]).middle
        rate = Spread.of([one.rows_per_second for one in drains]).middle
        bars = (RATE_BAR, CPU_BAR) if which == "busy" else (None, None)
        out += [
            report.at_least(f"{name}/vectors a second", rate, "1/s"),
            report.at_most(f"{name}/CPU a vector", cpu, "us", bars[1]),
            report.at_least(f"{name}/vectors a second on half a core", CORE_SHARE / cpu * 1e6, "1/s", bars[0]),
            report.at_most(f"{name}/memory", Spread.of([one.memory_mib for one in drains]).middle, "MiB"),
        ]
    return out


def text(found: dict[str, list[MonitorDrain]], described: str) -> str:
    """What stands in docs/performance.md."""
    lines = ["| events a window | vectors/s | CPU us/vector | vectors/s on half a core | memory MiB |", "|---|---|---|---|---|"]
    lines += [f"| {WINDOWS[which]} | {_cells(drains)} |" for which, drains in found.items()]
    return "\n".join(lines) + (
        f"\n\n{ROWS:,} served vectors of 30 features, {ROWS_A_RECORD:,} a record, 4 partitions, no sampling; median (least to "
        f"greatest) of {len(found['busy'])} drains in turn, from when the monitor is at work to its last row. {described}"
    )


def _cells(drains: Sequence[MonitorDrain]) -> str:
    rate, cpu, memory = (Spread.of([getattr(one, name) for one in drains]) for name in MonitorDrain.__slots__)
    half = Spread.of([CORE_SHARE / one.cpu_us * 1e6 for one in drains])
    return " | ".join([report.cell(rate, ",.0f"), report.cell(cpu, ".1f"), report.cell(half, ",.0f"), report.cell(memory, ".0f")])
