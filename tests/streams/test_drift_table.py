"""What the terminal shows of drift: every figure, the worst first, in the columns there are, as plain text too."""

import io
import re
from collections.abc import Callable

import msgspec
import pytest
from rich.console import Console

from streams.drift import figures
from streams.drift.detail import contributions, print_feature
from streams.drift.history import print_history
from streams.drift.sparkline import bars, gathered, histograms, squeezed
from streams.drift.table import folded, print_window
from streams.drift.verdict import ranked, verdict
from streams.errors import StreamError
from streams.monitor.reading import Window
from streams.monitor.records import FeatureDrift
from tests.streams.drift_world import log, names

DRIFTING = ["merchant_category", "device_age_days", "amount", "distance_km"]


def printed(show: Callable[[Console], None], width: int = 100, terminal: bool = False) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width, force_terminal=terminal, color_system="truecolor" if terminal else None, highlight=False))
    return out.getvalue()


def window_text(window: Window | None = None, width: int = 100, **options: bool) -> str:
    return printed(lambda console: print_window(console, window or log().latest, log().skew, **options), width)


def feature(name: str = "amount", **changes: object) -> FeatureDrift:
    found = next(one for one in log().latest.features if one.feature == name)
    return msgspec.structs.replace(found, **changes)


def unknown(**changes: object) -> FeatureDrift:
    """A window of too few events: nearly nothing can be said."""
    nothing = (
        "psi",
        "psi_excess",
        "js_distance",
        "wasserstein",
        "p",
        "q",
        "minimum_detectable_shift",
        "effective_n",
        "alarm_since",
    )
    counts = [0] * len(feature().bins)
    said = {"state": "unknown", "severity": "none", "why": None, "n": 0, "counts": counts} | changes
    return feature(**dict.fromkeys(nothing), **said)


def test_the_worst_is_first_and_every_feature_has_its_line() -> None:
    lines = [line for line in window_text(width=200).splitlines() if re.search(r" (ok|warn|drift|unknown)\b", line)]
    table = [line.split()[0] for line in lines if re.search(r"\d\.\d{3}", line)]
    assert sorted(table) == sorted(one.feature for one in log().latest.features)
    drifting = [name for name in table if not name.startswith("prediction")][:4]
    assert drifting == DRIFTING


def test_a_line_holds_the_records_figures() -> None:
    one = feature(psi=0.2217, psi_excess=0.2112, q=0.0042, minimum_detectable_shift=0.174, missing_ratio=0.001)
    text = window_text(Window(log().latest.summary, (one,)))
    line = next(line for line in text.splitlines() if line.startswith("amount"))
    reference, window = histograms(one.reference_counts, one.counts)
    assert line.split() == ["amount", reference, window, "0.222", "0.211", ".004", "0.17", "sd", "0.1%", "drift,", "ticket"]
    assert f"amount drift since {figures.moment(one.alarm_since or 0)}: {one.why}"[:60] in text


def test_head_and_foot_say_what_else_is_not_in_order() -> None:
    text = " ".join(window_text(width=200).split())
    told = log().latest.summary
    assert (
        "model card-fraud version 7, window 000039 2026-05-05 15:00 to 15:59 UTC: 1,000 events; 3 repeated and 2 late ones"
        in text
    )
    assert f"Decisions: {figures.share(told.decision_rate)} positive, OUTSIDE its band of 1.0% to 4.0%" in text
    assert "Data quality: 93.5%, 29 of 31 checks passed" in text
    assert "check failed missing: device_age_days is missing in 40.0% of events (0.4, limit 0.05)" in text
    assert "feed not fresh weather: 31.0% older than 2.0 h" in text
    assert "payment_by_user: " not in text  # it is fresh
    assert "skew differs from what is computed offline" in text
    assert "payment_by_user.amount.std.24h 2.2%" in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = window_text(width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "drift, ticket" in text


def test_states_are_words_where_there_is_no_colour_and_both_where_there_is() -> None:
    plain = window_text()
    assert "\x1b" not in plain
    coloured = printed(lambda console: print_window(console, log().latest, None), terminal=True)
    assert re.search(r"\x1b\[1;31mdrift, ticket", coloured)
    assert (
        re.sub(r"\x1b\[[0-9;]*m", "", coloured).split()
        == printed(lambda console: print_window(console, log().latest, None)).split()
    )


def test_of_many_features_those_in_order_are_counted() -> None:
    many = [feature("hour", feature=f"ok_{place}", drift_id=str(place)) for place in range(60)]
    window = Window(log().latest.summary, (*many, feature("amount")))
    text = window_text(window)
    assert text.count("ok_") == 39
    assert "and 21 more, all ok (--all shows them)" in text
    assert window_text(window, everything=True).count("ok_") == 60
    drifting = Window(log().latest.summary, tuple(feature("amount", feature=f"bad_{place}") for place in range(60)))
    assert len(re.findall(r"^bad_\d+ +[▁-█·]", window_text(drifting), re.MULTILINE)) == 60


def test_what_cannot_be_said_is_a_dash() -> None:
    window = Window(
        msgspec.structs.replace(log().latest.summary, decision_rate=None, quality_score=None, checks=[]), (unknown(),)
    )
    for text in (
        window_text(window),
        printed(lambda console: print_feature(console, [window], "amount")),
        printed(lambda console: print_history(console, [window])),
    ):
        assert "–" in text
        assert not re.search(r"\b(nan|None|inf)\b", text)
    assert "No feature could be judged" in window_text(window)


def test_names_from_data_move_no_terminal() -> None:
    evil = feature(feature="[red]a[/red]\x1b[31mb\x07", why="\x1b]0;title\x07", bins=["\x1b[2J", *feature().bins[1:]])
    window = Window(log().latest.summary, (evil,))
    text = window_text(window) + printed(lambda console: print_feature(console, [window], evil.feature))
    assert not {"\x1b", "\x07"} & set(text)
    assert "[red]a[/red]�[31mb�" in text


def test_verdict_counts_names_and_predictions() -> None:
    assert verdict(log().latest).startswith(
        "4 of 30 features drift: merchant_category, device_age_days, amount, distance_km. Predictions have moved too."
    )
    assert verdict(log().windows[3]) == "No drift in 30 features. Predictions have not moved."
    few = Window(log().windows[3].summary, (feature(state="warn"), unknown(feature="hour"), feature("prediction.score")))
    assert verdict(few) == (
        "No drift in 2 features. 1 may drift, which one more such window would confirm: amount. Of 1 nothing can be said. "
        "Predictions have moved."
    )


def test_ranked_by_state_severity_and_excess() -> None:
    made = [
        feature(feature="ok", state="ok", severity="none", psi_excess=9.0),
        unknown(feature="unknown"),
        feature(feature="warn", state="warn", severity="info", psi_excess=5.0),
        feature(feature="info", state="drift", severity="info", psi_excess=4.0),
        feature(feature="small", psi_excess=0.1),
        feature(feature="large", psi_excess=0.2),
    ]
    assert [one.feature for one in ranked(made)] == ["large", "small", "info", "warn", "unknown", "ok"]


def test_detail_shows_every_bin_and_adds_up() -> None:
    text = printed(lambda console: print_feature(console, log().windows[-24:], "amount"))
    one = feature()
    for name, count, base in zip(one.bins, one.counts, one.reference_counts, strict=True):
        assert re.search(rf"^{re.escape(name)} +{base:,} .* {count:,} ", text, re.MULTILINE), name
    assert sum(contributions(one)) == pytest.approx(one.psi)
    assert "last 24 windows" in text
    assert ".........wDDDDDDDDDDDDDD" in text
    with pytest.raises(StreamError, match="has no feature amuont; did you mean amount"):
        print_feature(Console(file=io.StringIO()), log().windows, "amuont")


def test_history_has_a_mark_a_window_and_gaps_where_a_feature_was_not() -> None:
    windows = [
        Window(one.summary, tuple(f for f in one.features if f.feature != "hour" or place > 10))
        for place, one in enumerate(log().windows)
    ]
    text = printed(lambda console: print_history(console, windows), width=140)
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert "." * 25 + "w" + "D" * 14 in lines["amount"]
    assert " " * 11 + "." * 29 in lines["hour"]
    assert set(names()) <= lines.keys()
    narrow = printed(lambda console: print_history(console, windows), width=80)
    assert max(map(len, narrow.splitlines())) <= 80


def test_small_plots() -> None:
    assert bars([0.0, 0.01, 0.5, 1.0, None], top=1.0) == "·▁▅█ "
    assert bars([0.0], top=0.0) == "·"
    assert histograms([1, 1], [0, 2]) == ("▅▅", "·█")
    assert histograms([0, 0], [0, 0]) == ("··", "··")
    assert gathered([4, 3, 2, 1, 1, 0], most=4) == [4, 3, 4, 0]
    assert squeezed([1, 5, None, 2, None, None], most=3) == [5, 2, None]
    assert len(squeezed(list(range(500)), most=30)) == 30


def test_figures_are_short_and_never_nan() -> None:
    assert [figures.number(value) for value in (0.31249, -0.0001, None, float("nan"))] == ["0.312", "0.000", "–", "–"]
    assert [figures.probability(value) for value in (1e-9, 0.0421, 1.0, None)] == ["<.001", ".042", "1.000", "–"]
    assert [figures.share(value) for value in (0.2512, 0.0, 0.0001, None)] == ["25.1%", "0%", "<0.1%", "–"]
    assert figures.stretch(1_777_852_800, 1_777_942_800) == "2026-05-04 00:00 to 2026-05-05 01:00 UTC"
    assert [figures.duration(value) for value in (5400, 59.4, None)] == ["1.5 h", "59 s", "–"]
    assert len(figures.shown("a" * 5_000)) == figures.NAME_CHARACTERS
    assert figures.listed(["a", "b", "c"], most=2) == "a, b and 1 more"
    assert folded("payment_by_user.amount.mean.1h", 16).splitlines() == ["payment_by_user.", "amount.mean.1h"]
    assert folded("a" * 40, 16).replace("\n", "") == "a" * 40
