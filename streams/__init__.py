"""What users import to write a pipeline: events, features, labels, in one place.

Importing this module connects to nothing and loads neither Faust nor a Kafka client.
"""

from featurestore.definitions import (
    Aggregate,
    Category,
    Count,
    DayOfWeek,
    Feature,
    Freshness,
    HourOfDay,
    Last,
    Max,
    Mean,
    Min,
    On,
    Rate,
    Ratio,
    Raw,
    SecondsSinceLast,
    Shared,
    Std,
    Sum,
)
from featurestore.events import Event
from monitors.objectives import Objectives
from scorer.monitoring import Monitoring
from scorer.pipeline import Label, Pipeline

__all__ = [
    "Aggregate",
    "Category",
    "Count",
    "DayOfWeek",
    "Event",
    "Feature",
    "Freshness",
    "HourOfDay",
    "Label",
    "Last",
    "Max",
    "Mean",
    "Min",
    "Monitoring",
    "Objectives",
    "On",
    "Pipeline",
    "Rate",
    "Ratio",
    "Raw",
    "SecondsSinceLast",
    "Shared",
    "Std",
    "Sum",
]
