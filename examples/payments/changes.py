"""Fraud that changes at a moment: drift for a stream's ``changes``. ``since`` is in event time, seconds since the epoch."""

import numpy as np

from examples.payments.economy import Economy
from examples.payments.generate import AMOUNT_MAX, Bools, Change, Columns


def takeovers(share: float, since: float, economy: Economy) -> Change:
    """From then on `share` of the payments that are no fraud become takeovers: amounts, windows and labels change together."""

    def change(block: Columns, random: np.random.Generator) -> None:
        taken = _sound(block, share, since, random)
        times = random.uniform(*economy.takeover_times, int(taken.sum()))
        block.amount[taken] = np.round(np.minimum(block.amount[taken] * times, AMOUNT_MAX), 2)
        block.fraud[taken] = True

    return change


def quiet_fraud(share: float, since: float) -> Change:
    """From then on `share` of the payments that are no fraud are one all the same: only the outcomes tell, no feature does."""

    def change(block: Columns, random: np.random.Generator) -> None:
        block.fraud[_sound(block, share, since, random)] = True

    return change


def _sound(block: Columns, share: float, since: float, random: np.random.Generator) -> Bools:
    drawn: Bools = (random.random(len(block.at)) < share) & (block.at >= since) & ~block.fraud
    return drawn
