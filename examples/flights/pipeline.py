"""What is scored, from which features, against which label. README.md says what each group is worth."""

from examples.flights.events import Arrival, Departure, Weather
from streams import Category, Count, DayOfWeek, Label, Max, Mean, Min, Monitoring, On, Pipeline, Raw, Std, Sum

LATE_MINUTES = 15  # the US Department of Transportation's own line between on time and late
NEW_YORK_STANDARD_HOURS = -5.0  # in summer the day turns an hour after midnight, when next to nothing departs

SCHEDULE = (
    Category("carrier"),
    Category("origin"),
    Category("dest"),
    Raw("local_hour"),
    Raw("distance"),
)

pipeline = Pipeline(
    name="flight-delays",
    owner="ops-ml",
    team="airline",
    task="binary",
    score=Departure,
    features=[
        *SCHEDULE,
        DayOfWeek("scheduled_at", utc_offset_hours=NEW_YORK_STANDARD_HOURS),
        Raw("scheduled_minutes"),
        Raw("plane_year"),
        Raw("seats"),
        # How the last hours went for flights from here, of this airline, to there, and for this very aircraft.
        On(Arrival, by="origin", fields={"delay_minutes": [Mean, Std]}, windows=["1h", "3h", "24h"]),
        On(Arrival, by="carrier", fields={"delay_minutes": [Mean]}, windows=["3h", "24h"]),
        On(Arrival, by="dest", fields={"delay_minutes": [Mean]}, windows=["3h", "24h"]),
        On(Arrival, by=("origin", "dest"), fields={"delay_minutes": [Mean]}, windows=["24h", "7d"]),
        On(Arrival, by="tailnum", fields={"delay_minutes": [Mean, Max]}, windows=["6h", "24h"]),
        # The queue: flights due out of this airport in the last hour.
        On(Departure, by="origin", aggregates=[Count], windows=["1h"]),
        # An hour holds the newest observation, six the passing front.
        On(
            Weather,
            by="origin",
            fields={
                "temperature": [Mean],
                "humidity": [Mean],
                "wind_speed": [Mean],
                "precipitation": [Sum],
                "pressure": [Mean],
                "visibility": [Min],
            },
            windows=["1h", "6h"],
        ),
    ],
    label=Label(Arrival, id="flight_id", value=lambda arrival: arrival.delay_minutes > LATE_MINUTES, maturity="12h"),
    model="flight-delays",
    monitoring=Monitoring(
        window="24h",  # flights by night and by day differ more than two days do: 920 departures, 120 such windows in training
        # The worst 24 hours of January to April, a blizzard in them: 95 % of the departures found values younger than this.
        feed_ages={
            "weather_by_origin": "2h",
            "departure_by_origin": "1h",
            "arrival_by_origin": "16h",
            "arrival_by_carrier": "24h",
            "arrival_by_dest": "48h",
            "arrival_by_origin_dest": "48h",
            "arrival_by_tailnum": "21d",
        },
    ),
)
