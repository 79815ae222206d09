"""What is scored, from which features, against which label: the workload that benchmarks measure.

45 windowed features of three entities and four of the payment itself.
"""

from examples.payments.events import Outcome, Payment
from streams import Category, Count, HourOfDay, Label, Max, Mean, On, Pipeline, Raw, Std, Sum

WINDOWS = ("5m", "1h", "24h")
AMOUNT = {"amount": (Sum, Mean, Std, Max)}

pipeline = Pipeline(
    name="payment-fraud",
    owner="fraud-ml",
    team="risk",
    task="binary",
    score=Payment,
    features=[
        Raw("amount"),
        Raw("card_age_days"),
        Category("channel"),
        HourOfDay("at"),
        # Is this much for this user, is this shop suddenly busy, and what is usual in the country?
        On(Payment, by="user", aggregates=[Count], fields=AMOUNT, windows=WINDOWS),
        On(Payment, by="merchant", aggregates=[Count], fields=AMOUNT, windows=WINDOWS),
        On(Payment, by="country", aggregates=[Count], fields=AMOUNT, windows=WINDOWS),
    ],
    label=Label(Outcome, id="payment_id", value=lambda outcome: outcome.fraud, maturity="10m"),
    model="payment-fraud",
)
