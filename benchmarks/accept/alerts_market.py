"""The drill's events: what orders and quotes are like, for training and for the stream alike."""

import itertools
from collections.abc import Sequence

import numpy as np

from benchmarks.accept.alerts_pipeline import Order, Outcome, Quote

USERS, SHOPS = 100, 20
CHANNELS = ("web", "app", "phone")
UNKNOWN_SHOP = "never-quoted"
# Amounts are independent draws, and a shop's price stays what it is: no window differs from the training's but by chance, or
# because a drill shifts it. Prices that change would be served older, or in larger steps, while a backlog drains.
MEAN, SPREAD = 100.0, 20.0
PRICES = np.random.default_rng(0).normal(MEAN, SPREAD, SHOPS).tolist()
RETURNED_ABOVE, NOISE = 10.0, 10.0  # by so much more than the price; a third of the orders


class Market:
    """Draws events. ``factor`` multiplies amounts; ``unknown`` is the share of orders at a shop that never quoted."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._numbers = itertools.count()
        self.factor = 1.0
        self.unknown = 0.0

    def orders(self, times: Sequence[float]) -> list[Order]:
        """One order at each time."""
        n, random = len(times), self._random
        users, shops, channels = (random.integers(0, size, n).tolist() for size in (USERS, SHOPS, len(CHANNELS)))
        amounts = (self.factor * self._draws(n)).tolist()
        unknown = (random.random(n) < self.unknown).tolist()
        return [
            Order(f"o{next(self._numbers)}", f"u{user}", UNKNOWN_SHOP if strange else f"s{shop}", CHANNELS[channel], amount, at)
            for user, shop, channel, amount, strange, at in zip(users, shops, channels, amounts, unknown, times, strict=True)
        ]

    def quotes(self, times: Sequence[float]) -> list[Quote]:
        """One quote at each time, of one shop after the other."""
        numbers = itertools.islice(self._numbers, len(times))
        return [Quote(f"q{n}", f"s{n % SHOPS}", PRICES[n % SHOPS], at) for n, at in zip(numbers, times, strict=True)]

    def outcomes(self, orders: Sequence[Order], quotes: Sequence[Quote]) -> list[Outcome]:
        """What becomes of orders: returned if they were dear beside the shop's last price before them. Both in order of time."""
        prices: dict[str, float] = {}
        ahead, out = iter([*quotes, None]), []
        quote = next(ahead)
        for order, noise in zip(orders, self._random.normal(0, NOISE, len(orders)).tolist(), strict=True):
            while quote is not None and quote.at < order.at:
                prices[quote.shop] = quote.price
                quote = next(ahead)
            returned = order.amount - prices.get(order.shop, MEAN) + noise > RETURNED_ABOVE
            out.append(Outcome(order.id, returned, order.at + 0.5))
        return out

    def _draws(self, n: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.clip(self._random.normal(MEAN, SPREAD, n), 1.0, 1_000.0)
