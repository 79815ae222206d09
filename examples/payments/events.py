"""The two topics: payments are scored as they are made, outcomes say minutes later which of them were fraud."""

from typing import Annotated

from msgspec import Meta

from streams import Event


class Payment(Event, topic="payments", key="user", id="payment_id", time="at"):
    """One card payment, before anybody knows better."""

    payment_id: str
    at: float  # seconds since the epoch, UTC
    user: str
    merchant: str
    country: str  # of the merchant, ISO 3166 alpha-2
    amount: Annotated[float, Meta(ge=0, le=50_000)]  # euro
    channel: str  # "chip", "contactless", "online" or "phone"
    category: str  # the merchant's trade
    card_age_days: Annotated[int, Meta(ge=0, le=10_000)]


class Outcome(Event, topic="payments.outcomes", key="user", id="payment_id", time="at"):
    """What became of a payment: settled, or disputed as fraud."""

    payment_id: str
    at: float  # seconds since the epoch, UTC: when it was known
    user: str
    fraud: bool
