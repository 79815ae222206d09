"""One monitor of a pipeline is at work, further ones stand by: windows are of all partitions together.

The group's leader gives every partition to one member, the one that has them if it is still there. When it is gone, Kafka
asks the leader again, and the next one goes on from the checkpoint.
"""

from typing import Any

from faust.assignor.client_assignment import ClientAssignment
from faust.assignor.partition_assignor import PartitionAssignor


class OneOwner(PartitionAssignor):  # type: ignore[misc]
    """Faust's assignor for one member; the others are assigned nothing."""

    def _perform_assignment(self, cluster: Any, member_metadata: Any) -> Any:
        known = {member: self._get_client_metadata(metadata) for member, metadata in member_metadata.items()}
        owner = min(known, key=lambda member: (not known[member].assignment.active_tps, member))
        assigned = super()._perform_assignment(cluster, {owner: member_metadata[owner]})
        self._update_member_urls(known)
        standing_by = {member: ClientAssignment(actives={}, standbys={}) for member in known if member != owner}
        return {**assigned, **self._protocol_assignments(standing_by, {}, {}, {})}
