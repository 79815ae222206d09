"""The fraud story's pipeline: windows of an hour at most, which a demo can fill, and features that look alike from hour to hour.

Of pipeline.py, the benchmarks' workload, it leaves out what never settles in a short history: windows of a day, which grow for
hours, the hour of the day, of which a history of eleven hours has eleven, and sums over countries, which wander slowly.
"""

from examples.payments.events import Payment
from examples.payments.pipeline import pipeline as workload
from streams import Category, Count, Max, Mean, Monitoring, On, Pipeline, Ratio, Raw, Std

WINDOWS = ("5m", "1h")

PAYMENT_ALONE = (
    Raw("amount"),
    Raw("card_age_days"),
    Category("channel"),
    Category("category"),
    Category("country"),
)

pipeline = Pipeline(
    name="payment-fraud-hour",
    owner=workload.owner,
    team=workload.team,
    task=workload.task,
    score=Payment,
    features=[
        *PAYMENT_ALONE,
        On(Payment, by="user", aggregates=[Count], fields={"amount": [Mean, Std, Max]}, windows=WINDOWS),
        On(Payment, by="merchant", aggregates=[Count], fields={"amount": [Mean]}, windows=WINDOWS),
        # A takeover is much for this user; in a burst, half an hour's payments come in half a minute.
        Ratio("amount_to_usual", "amount", "payment_by_user.amount.mean.1h"),
        Ratio("rush", "payment_by_merchant.count.5m", "payment_by_merchant.count.1h"),
    ],
    label=workload.label,
    model="payment-fraud-hour",
    monitoring=Monitoring(
        window=2_400,  # 8 minutes at the story's 5 payments a second: 4 bursts, as many as in any other such window
        feed_ages={"payment_by_user": "2h", "payment_by_merchant": "30m"},
    ),
)
