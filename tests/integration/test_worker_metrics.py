"""A worker's page, of a real worker that has no events: what it says of itself, and that Redis is away."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from streams.embedded import EmbeddedRedis
from tests.integration.replay import wait_for
from tests.integration.shop import TILES, Shop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@dataclasses.dataclass
class Priced(Shop):
    """An hour of a worker costs 3.60 USD."""

    def file(self, tiles: int) -> str:
        path = Path(super().file(tiles))
        path.write_text(path.read_text().replace("shards=4,", "shards=4, cost_usd_per_hour=3.6,"))
        return str(path)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """One of its own, to be stopped."""
    with EmbeddedRedis(data_dir=tmp_path, appendonly=True) as server:
        yield server


@pytest.fixture
def shop(kafka: str, redis: EmbeddedRedis, tmp_path: Path, unique: Callable[[str], str]) -> Iterator[Shop]:
    made = Priced(kafka, redis.url, tmp_path, unique("shop"))
    yield made
    made.stop()


def page(said: Callable[[], str]) -> str:
    """The metrics of a worker that is at work."""
    wait_for(lambda: "/readyz" in said(), 90, "the worker at work")
    with urlopen(re.findall(r"(http://\S+)/readyz", said())[-1] + "/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def value(text: str, name: str) -> float:
    (found,) = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    return float(found)


def test_a_worker_without_events_says_that_redis_is_away_and_back(shop: Shop, redis: EmbeddedRedis) -> None:
    shop.deploy()
    said = shop.start_worker(TILES)
    first = page(said)
    assert value(first, "tidegate_store_unavailable") == 0
    assert value(first, "tidegate_process_resident_memory_bytes") > 50e6  # with Arrow, Numba and a model it has some 200 MB
    assert re.findall(r"^tidegate_process_start_time_seconds{(.*)}", first, re.MULTILINE) == [
        f'pipeline="{shop.name}",process="worker"'
    ]
    redis.stop()
    wait_for(lambda: value(page(said), "tidegate_store_unavailable") == 1, 60, "Redis said to be away")
    redis.start()
    wait_for(lambda: value(page(said), "tidegate_store_unavailable") == 0, 60, "Redis said to be back")
    last = page(said)
    assert value(last, "tidegate_process_start_time_seconds") == value(first, "tidegate_process_start_time_seconds")
    assert value(last, "tidegate_cost_usd_total") > value(first, "tidegate_cost_usd_total") > 0
