"""The doctor compares versions: packages with what is asked for, Kafka with what this was tried on."""

from __future__ import annotations

import importlib.metadata

import pytest

from streams.embedded.broker_version import metadata_level, release
from streams.embedded.checks_versions import kafka_version, packages
from streams.embedded.external import broker_addresses


def test_the_packages_that_are_installed_here_suit() -> None:
    found = packages()
    assert found.status == "ok"
    assert f"confluent-kafka {importlib.metadata.version('confluent-kafka')}" in found.found


def test_a_package_that_is_missing_or_of_another_version_fails() -> None:
    def installed(name: str) -> str:
        if name == "redis":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    found = packages(["numpy<3,>=2", "redis>=6", "click>=1", "matplotlib>=3; extra == 'reports'"], installed)
    assert (found.status, found.found) == ("fail", "numpy 1.0 is not <3,>=2; redis is missing")
    assert "pip install" in found.remedy


@pytest.mark.integration
def test_a_real_broker_tells_its_release(kafka: str) -> None:
    found = kafka_version(broker_addresses(kafka))
    assert (found.status, found.found) == ("ok", "4.1 (at least; metadata.version 27)")


def test_a_broker_before_feature_levels_is_warned_about_and_one_that_is_silent() -> None:
    assert kafka_version([("here", 1)], lambda host, port: None).status == "warn"
    silent = kafka_version([("127.0.0.1", 1)])
    assert (silent.status, "127.0.0.1:1" in silent.found) == ("warn", True)


@pytest.mark.integration
def test_what_is_no_kafka_is_no_answer(redis_url: str) -> None:
    host, _, port = redis_url.removeprefix("redis://").partition("/")[0].partition(":")
    with pytest.raises(OSError, match=r"closed|timed out"):
        metadata_level(host, int(port), 2.0)


@pytest.mark.parametrize(("level", "name"), [(1, "older than 3.3"), (7, "3.3"), (24, "3.9"), (27, "4.1"), (28, "newer than 4.1")])
def test_a_level_is_the_release_that_ended_with_it(level: int, name: str) -> None:
    assert release(level) == name
