"""Payments by the million, deterministic by seed, with two kinds of fraud put in.

    python -m examples.payments.generate FOLDER [--economy town] [--events N] [--rate N] [--seed N]

- A **takeover** is one payment of many times what its user usually spends: the user's own history tells.
- A **burst** is card testing: for half a minute one merchant gets a tenth of all payments, small ones: its count tells.

How many, how skewed and how plain to see is economy.py's. One outcome in 200 is wrong. Blocks of events are drawn apart from one
another, so that a longer stream begins with the shorter one. Drift is a function over a block's columns (``Change``).
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from examples.payments.economy import BENCHMARK, ECONOMIES, Economy
from examples.payments.events import Outcome, Payment
from featurestore.events import contract

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BLOCK = 50_000
START = 1_735_689_600.0  # 2025-01-01; long past, so that no record's timestamp is behind its event's time
COUNTRY_EXPONENT = 0.99
AMOUNT_MAX = 50_000.0  # the contract's
_CODES = "DEFRGBUSESITNLPLSEBEATCHDKNOFIIEPTCZGRHUROBGHRSKSILTLVEELUMTCYISTRUARSCAMXBRARCLJPKRCNINSGAUNZZAAEIL"
COUNTRIES = tuple(_CODES[i : i + 2] for i in range(0, len(_CODES), 2))
CHANNELS = ("chip", "contactless", "online", "phone")
CATEGORIES = ("groceries", "restaurant", "travel", "fashion", "electronics", "fuel", "pharmacy", "entertainment")
BURST_EVERY_SECONDS, BURST_SECONDS, BURST_SHARE = 120.0, 30.0, 0.1
WRONG_OUTCOME_SHARE = 0.005
OUTCOME_MEAN_SECONDS, OUTCOME_MAX_SECONDS = 90.0, 540.0  # within the label's maturity


@dataclass(slots=True)
class Columns:
    """One block of payments; users, merchants and so on as numbers, each array with one entry a payment."""

    first: int  # position of the block's first payment in the stream
    at: Floats
    user: Ints
    merchant: Ints
    country: Ints
    amount: Floats
    channel: Ints
    category: Ints
    card_age_days: Ints
    fraud: Bools
    known_at: Floats  # when the outcome is known
    ids: list[str]


Change = Callable[[Columns, np.random.Generator], None]


@dataclass(frozen=True, slots=True)
class Stream:
    """``events`` payments at ``rate`` a second of event time; ``changes`` are applied to each block, in order."""

    events: int
    rate: float = 50.0
    seed: int = 1
    start: float = START
    economy: Economy = BENCHMARK
    changes: Sequence[Change] = ()

    def blocks(self, skipped: int = 0) -> Iterator[Columns]:
        """All payments in order of event time, in blocks, less the first few; the last may be short."""
        world = _World(self.seed, self.economy)
        for first in range(skipped * BLOCK, self.events, BLOCK):
            block = world.block(first, self.rate, self.start)
            for change in self.changes:
                change(block, np.random.default_rng((self.seed, 1, first)))
            yield _head(block, min(BLOCK, self.events - first))


class _World:
    """What stays the same over a stream: who spends how much, and which shop lies where."""

    def __init__(self, seed: int, economy: Economy) -> None:
        random = np.random.default_rng((seed, 2))
        self._seed, self._economy = seed, economy
        users, merchants = economy.users, economy.merchants
        self._usual = np.exp(random.normal(3.3, economy.usual_spread, users))  # median 27 euro
        self._card_age = random.integers(30, 3_000, users)
        self._country = _Zipf(len(COUNTRIES), COUNTRY_EXPONENT).draw(random, merchants)
        self._category = random.integers(0, len(CATEGORIES), merchants)
        self._user_order, self._merchant_order = random.permutation(users), random.permutation(merchants)
        self._bursting = random.permutation(merchants)
        self._users, self._merchants = _Zipf(users, economy.zipf_exponent), _Zipf(merchants, economy.zipf_exponent)

    def block(self, first: int, rate: float, start: float) -> Columns:
        random = np.random.default_rng((self._seed, 0, first))
        at = start + (first + np.sort(random.random(BLOCK)) * BLOCK) / rate
        user = self._user_order[self._users.draw(random, BLOCK)]
        merchant = self._merchant_order[self._merchants.draw(random, BLOCK)]
        amount = self._usual[user] * np.exp(random.normal(0, 0.35, BLOCK))
        channel = random.integers(0, len(CHANNELS), BLOCK)
        fraud = self._take_over(random, amount, channel) | self._burst(random, at, merchant, amount, channel)
        wrong = random.random(BLOCK) < WRONG_OUTCOME_SHARE
        delay = np.minimum(random.exponential(OUTCOME_MEAN_SECONDS, BLOCK), OUTCOME_MAX_SECONDS)
        return Columns(
            first=first,
            at=np.round(at, 3),
            user=user,
            merchant=merchant,
            country=self._country[merchant],
            amount=np.round(np.clip(amount, 0.01, AMOUNT_MAX), 2),
            channel=channel,
            category=self._category[merchant],
            card_age_days=self._card_age[user],
            fraud=fraud ^ wrong,
            known_at=np.round(at + delay, 3),
            ids=_ids(random, BLOCK),
        )

    def _take_over(self, random: np.random.Generator, amount: Floats, channel: Ints) -> Bools:
        taken = random.random(len(amount)) < self._economy.takeover_share
        amount[taken] *= random.uniform(*self._economy.takeover_times, int(taken.sum()))
        self._online(channel, taken)
        return taken

    def _burst(self, random: np.random.Generator, at: Floats, merchant: Ints, amount: Floats, channel: Ints) -> Bools:
        """Times are cut into stretches, each of which begins with a burst at its own merchant."""
        stretch, within = np.divmod(at, BURST_EVERY_SECONDS)
        tested = (within < BURST_SECONDS) & (random.random(len(at)) < BURST_SHARE)
        merchant[tested] = self._bursting[stretch[tested].astype(np.int64) % len(self._bursting)]
        amount[tested] = random.uniform(*self._economy.burst_amounts, int(tested.sum()))
        self._online(channel, tested)
        return tested

    def _online(self, channel: Ints, frauds: Bools) -> None:
        if self._economy.fraud_is_online:
            channel[frauds] = CHANNELS.index("online")


class _Zipf:
    """Draws of 0 .. kinds - 1, the k-th with weight (k + 1)^-exponent."""

    def __init__(self, kinds: int, exponent: float) -> None:
        self._reach = np.cumsum(np.arange(1, kinds + 1) ** -exponent)

    def draw(self, random: np.random.Generator, n: int) -> Ints:
        drawn: Ints = np.searchsorted(self._reach, random.random(n) * self._reach[-1], side="right")
        return drawn


def _ids(random: np.random.Generator, n: int) -> list[str]:
    digits = random.bytes(16 * n).hex()
    return [digits[i : i + 32] for i in range(0, 32 * n, 32)]


def _head(block: Columns, n: int) -> Columns:
    if n == len(block.at):
        return block
    return Columns(block.first, *(getattr(block, name)[:n] for name in Columns.__slots__[1:]))


_USER_NAMES = [f"user-{i:06d}" for i in range(max(economy.users for economy in ECONOMIES.values()))]
_MERCHANT_NAMES = [f"merchant-{i:05d}" for i in range(max(economy.merchants for economy in ECONOMIES.values()))]


def _names(names: Sequence[str], numbers: Ints) -> list[str]:
    return [names[i] for i in numbers.tolist()]


def payments(block: Columns) -> list[Payment]:
    """A block as events; bounds are not checked, which is what lets a change break the contract."""
    return list(
        map(
            Payment,
            block.ids,
            block.at.tolist(),
            _names(_USER_NAMES, block.user),
            _names(_MERCHANT_NAMES, block.merchant),
            _names(COUNTRIES, block.country),
            block.amount.tolist(),
            _names(CHANNELS, block.channel),
            _names(CATEGORIES, block.category),
            block.card_age_days.tolist(),
        )
    )


def outcomes(block: Columns) -> list[Outcome]:
    """A block's outcomes, in the order in which they are known."""
    order = np.argsort(block.known_at, kind="stable")
    ids = [block.ids[i] for i in order.tolist()]
    users = _names(_USER_NAMES, block.user[order])
    return list(map(Outcome, ids, block.known_at[order].tolist(), users, block.fraud[order].tolist()))


def records(stream: Stream) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Keys and values of the payments as a producer sends them, a block at a time."""
    encode = msgspec.json.Encoder().encode
    for block in stream.blocks():
        events = payments(block)
        yield [event.user.encode() for event in events], list(map(encode, events))


def write_parquet(folder: Path, stream: Stream) -> None:
    """One file a topic for ``tidegate train --data FOLDER``."""
    folder.mkdir(parents=True, exist_ok=True)
    blocks = list(stream.blocks())
    _write(folder, Payment, [event for block in blocks for event in payments(block)])
    _write(folder, Outcome, sorted((event for block in blocks for event in outcomes(block)), key=lambda one: one.at))


def _write(folder: Path, event: type[Payment] | type[Outcome], rows: Sequence[Payment | Outcome]) -> None:
    columns = {name: [getattr(row, name) for row in rows] for name in event.__struct_fields__}
    pq.write_table(pa.table(columns), folder / f"{contract(event).topic}.parquet")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--events", type=int, default=300_000)
    arguments.add_argument("--rate", type=float, default=50.0, help="payments a second of event time")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--economy", choices=ECONOMIES, default="benchmark", help="who pays where; see economy.py")
    chosen = arguments.parse_args()
    write_parquet(chosen.folder, Stream(chosen.events, chosen.rate, chosen.seed, economy=ECONOMIES[chosen.economy]))


if __name__ == "__main__":
    main()
