"""What is asked of Kafka while it is young, or comes back from a restart."""

import subprocess
import sys

import pytest

from streams.embedded import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
ASK = """
import sys
from streams.chunk import TP
from streams.topic_facts import TopicFacts
facts = TopicFacts(sys.argv[1])
print([facts.committed(f"group-{number}", [TP("topic", 0)]) for number in range(3)])
"""


def test_a_group_without_a_coordinator_yet_has_committed_nothing() -> None:
    """A Kafka nobody committed to has no coordinators; librdkafka's admin client would end the process at that."""
    with Stack.start(redis=False) as stack:
        command = [sys.executable, "-c", ASK, stack.bootstrap_servers]
        asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    nothing = "{TP(topic='topic', partition=0): None}"
    assert (asked.returncode, asked.stdout) == (0, f"[{nothing}, {nothing}, {nothing}]\n"), asked.stderr
