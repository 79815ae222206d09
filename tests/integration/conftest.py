"""A shop for the tests that ask for one: empty, or with events counted. And what workers said where a test fails."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import redis

from tests.integration.shop import TILES, Shop, trade
from tests.integration.transport_world import World


@pytest.fixture
def shop(kafka: str, redis_url: str, redis_client: redis.Redis, tmp_path: Path, unique: Callable[[str], str]) -> Iterator[Shop]:
    """One that has sold nothing yet."""
    made = Shop(kafka, redis_url, tmp_path, unique("shop"))
    yield made
    made.stop()


@pytest.fixture
def counted_shop(shop: Shop) -> Shop:
    """One with 700 events counted, as workers left them."""
    shop.send(trade(shop.pipeline(TILES), 0, 700))
    shop.commit_as_if_served()
    assert shop.call("backfill", shop.file(TILES)).exit_code == 0
    return shop


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure in CI is all there is: its report has what the workers of the test's world wrote."""
    report = yield
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and isinstance(world, World):
        report.sections.append(("What the workers wrote", world.told()))
    return report
