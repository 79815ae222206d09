"""The page: one file that needs nothing else, says what the records say, and takes nothing from them as markup."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.drift.history import columns, worst
from streams.drift.null import chance
from streams.drift.page import page
from streams.drift.plots import COLUMNS_MAX
from streams.monitor.reading import DriftLog, Window
from tests.streams.drift_world import log, names
from tests.streams.test_drift_table import feature, unknown

MADE = 1_778_000_000.0
EVIL = "<script>alert(1)</script>&$x_1$\"'"
VOID = {"meta", "br", "wbr", "path", "use"}


class Outline(HTMLParser):
    """What a browser would see: elements, ids, links to other places, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            self.ids += [value or ""] if name == "id" and tag != "path" and "svg" not in self.open else []
            self.links += [value or ""] if name in ("href", "src", "xlink:href", "action") else []

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def whole() -> str:
    return page(log(), MADE)


def one_window(*features: object, **changes: object) -> DriftLog:
    summary = msgspec.structs.replace(log().latest.summary, **changes)
    return DriftLog((Window(summary, features),), None)  # type: ignore[arg-type]


def test_it_says_what_the_records_say(whole: str) -> None:
    seen = Outline(whole).text
    assert "4 of 30 features drift: merchant_category, device_age_days, amount, distance_km. Predictions have moved too." in seen
    assert all(name in seen for name in names())
    amount = feature("amount")
    assert f"PSI is {amount.psi:.3f}; by chance alone 99 of 100 windows of this size stay below" in seen
    assert f"{amount.bins[-2]} from 10.0% to {amount.counts[-2] / amount.n:.1%}" in seen
    assert "merchant_category has values that training never saw in 25% of events" in seen
    assert "2 of 30 features differ" in seen
    assert "Made 2026-05-05 16:53 UTC by Tidegate from the records on the topic card-fraud.drift" in seen
    assert not re.search(r"\b(nan|None|Undefined)\b", seen)


def test_the_worst_is_first_and_has_a_plot_the_ok_have_none(whole: str) -> None:
    rows = re.findall(r'<tr class="(\w+)"><th scope="row">(.*?)</th>', whole)
    plain = [(state, re.sub(r"<[^>]*>", "", name)) for state, name in rows]
    assert [name for state, name in plain if state == "drift"][:4] == [
        "merchant_category",
        "device_age_days",
        "amount",
        "distance_km",
    ]
    headings = re.findall(r'<h3 id="plot-([^"]*)"', whole)
    assert headings[:4] == [name for _, name in plain[:4]]
    assert {name for name in headings if name.startswith("prediction")} == {
        f"prediction.{of}" for of in ("score", "decision", "confidence")
    }
    assert len(headings) == 7
    assert whole.count("<figure>") == len(headings) + 2  # the states of all windows, and the decisions


def test_it_needs_nothing_and_is_well_formed(whole: str) -> None:
    seen = Outline(whole)
    assert not seen.open
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(seen.tags)
    assert all(link.startswith("#") for link in seen.links)
    assert not re.search(r"@import|url\((?!#)|src=", whole)
    anchors = {link[1:] for link in seen.links if link.startswith(("#plot", "#glossary"))}
    assert anchors <= set(seen.ids)
    assert len(seen.ids) == len(set(seen.ids))
    assert whole.count("<svg") == whole.count('role="img"')  # each says in words what it shows


def test_the_same_records_make_the_same_page() -> None:
    assert page(one_window(feature()), MADE) == page(one_window(feature()), MADE)


def test_records_are_text_wherever_they_are_shown() -> None:
    evil = feature(feature=EVIL, why=EVIL, bins=[EVIL, *feature().bins[1:]])
    told = log().latest.summary
    told = msgspec.structs.replace(
        told,
        pipeline=EVIL,
        model=EVIL,
        window=EVIL,
        reference=EVIL,
        checks=[replace(told.checks[0], check=EVIL, subject=EVIL, text=EVIL, passed=False)],
        feeds=[replace(told.feeds[0], group=EVIL, fresh=False)],
    )
    skew = log().skew
    assert skew is not None
    differing = msgspec.structs.replace(skew.features[0], feature=EVIL, mismatches=3, ratio=0.5)
    text = page(DriftLog((Window(told, (evil,)),), msgspec.structs.replace(skew, features=[differing])), MADE)
    seen = Outline(text)
    assert "script" not in seen.tags
    assert not seen.open
    assert seen.text.count("<script>alert(1)</script>&$x_1$") >= 14  # whole, also in the plots: a $ begins no formula


def test_what_cannot_be_said_is_a_dash_and_an_empty_window_a_page() -> None:
    nothing = page(
        one_window(
            unknown(),
            state="unknown",
            severity="none",
            decision_rate=None,
            decision_band=None,
            quality_score=None,
            checks=[],
            feeds=[],
            reference=None,
        ),
        MADE,
    )
    seen = Outline(nothing).text
    assert "No feature could be judged." in seen
    assert not re.search(r"\b(nan|None|Undefined)\b", seen)
    assert "What has moved" not in seen
    assert "No comparison of served features" in seen
    empty = Outline(page(one_window(why="100 events are too few", state="unknown"), MADE)).text
    assert "100 events are too few" in empty


def bytes_of(features: int, windows: int) -> int:
    """Of a page on which so many features drift, in and out of drift over so many windows."""
    first, states = log().latest.features[0], ("drift", "ok", "warn")
    made = [
        tuple(
            msgspec.structs.replace(first, feature=f"{place}_of_the_features", state=states[turn % 3])
            for place in range(features)
        )
        for turn in range(windows)
    ]
    wide = tuple(Window(log().latest.summary, one) for one in reversed(made))
    return len(page(DriftLog(wide, None), MADE).encode())


def test_fifty_features_that_all_drift_stay_under_two_megabytes() -> None:
    few, more = bytes_of(1, COLUMNS_MAX), bytes_of(3, COLUMNS_MAX)
    assert few + 49 * (more - few) / 2 < 2_000_000


def test_of_more_windows_than_columns_each_column_is_the_worst_of_some() -> None:
    windows = log().windows
    parts = columns(windows, 7)
    assert [one for part in parts for one in part] == list(windows)
    assert {len(part) for part in parts} == {5, 6}
    assert columns(windows, 100) == [(one,) for one in windows]
    found = worst(windows[20:27], "amount")
    assert found is not None
    assert (found.state, found.window) == ("drift", "000026")
    assert worst(windows, "no such") is None
    assert "each mark the worst of up to 2" in page(
        DriftLog(tuple(Window(one.summary, (feature(),)) for one in windows * 3), None), MADE
    )


def test_model_versions_are_told_with_their_begin() -> None:
    old, new = log().windows[0], log().windows[-1]
    older = Window(msgspec.structs.replace(old.summary, model_version=6), ())
    seen = Outline(page(DriftLog((older, Window(new.summary, ())), None), MADE)).text
    assert "6, 7 since 2026-05-05 15:00 UTC" in seen


def test_chance_alone_stays_below_its_line_about_as_often_as_it_says() -> None:
    """Windows 0 to 24 of the independent features have no drift: one in a hundred lies above; the alarm's line is never lower."""
    found = [(one, chance(one)) for window in log().windows[:25] for one in window.features if "24h" not in one.feature]
    above = sum(expected is not None and (one.psi or 0) > expected.high for one, expected in found)
    assert 0 <= above / len(found) < 0.03
    assert all(expected is not None and expected.alarm >= expected.high > expected.mean > 0 for _, expected in found)
    assert chance(unknown()) is None


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_without_the_libraries_of_pages_the_error_names_what_installs_them(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("page", "plots"):
        monkeypatch.delitem(sys.modules, f"streams.drift.{module}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    found = CliRunner().invoke(main, ["drift", "report", "pipeline.py", str(tmp_path / "drift.html")])
    expected = f"Error: a page needs {library}, which is not installed; run: pip install 'tidegate[reports]'\n"
    assert (found.exit_code, found.output) == (1, expected)
