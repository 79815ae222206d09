"""Who pays where and what fraud looks like: the numbers behind a generated stream. How they are drawn is left to generate.py."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Economy:
    """The defaults are the benchmarks' and never change: published figures rest on them.

    ``zipf_exponent`` is that of users and merchants; 0.99 is YCSB's default. ``usual_spread``: standard deviation of the natural
    logarithm of what users usually spend. ``takeover_times`` and ``burst_amounts`` (euro) are ranges; ``fraud_is_online``: all
    frauds come through that one channel.
    """

    users: int = 100_000
    merchants: int = 5_000
    zipf_exponent: float = 0.99
    usual_spread: float = 0.7
    takeover_share: float = 0.01
    takeover_times: tuple[float, float] = (5.0, 25.0)
    burst_amounts: tuple[float, float] = (0.5, 5.0)
    fraud_is_online: bool = True


BENCHMARK = Economy()

# A fraud's amount and channel are those of many sound payments, so that one payment alone tells little of it. Users and shops are
# so few, and so alike, that within an hour of event time the windows of nearly all of them hold something.
TOWN = Economy(
    users=2_000,
    merchants=500,
    zipf_exponent=0.5,
    usual_spread=1.5,
    takeover_times=(3.0, 8.0),
    burst_amounts=(1.0, 40.0),
    fraud_is_online=False,
)
ECONOMIES = {"benchmark": BENCHMARK, "town": TOWN}
