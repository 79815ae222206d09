"""One monitor of a pipeline is at work, further ones stand by: windows are of all partitions together.

The group's leader gives every partition to one member, the one that has them if it is still there. When it is gone, Kafka
asks a leader again, and the next owner goes on from the checkpoint. (Faust's own assignor is not asked in an app without tables.)
"""

from collections.abc import Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

OWNS = b"owns"


class OneOwner(AbstractPartitionAssignor):  # type: ignore[misc]
    """A member says with each join whether it has the partitions."""

    name = "tidegate-one-owner"
    version = 0

    def __init__(self) -> None:
        self.owns = False

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(self.version, list(topics), OWNS if self.owns else b"")

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Everything to one member: the owner, or the first by its id."""
        owner = min(members, key=lambda member: (members[member].user_data != OWNS, member))
        topics = sorted({topic for metadata in members.values() for topic in metadata.subscription})
        everything = [(topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in topics]
        return {
            member: ConsumerProtocolMemberAssignment(self.version, everything if member == owner else [], b"")
            for member in members
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        self.owns = bool(assignment.assignment)
