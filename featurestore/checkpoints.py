"""What a process that counts must find again after a crash: named fields in Redis, replaced as one, by one writer at a time.

Positions and counts that belong together are written together: no crash leaves one without the other. A writer that was thought
dead and comes back finds another version than the one it wrote, and is refused. What the fields hold is the caller's affair.
"""

import uuid
from collections.abc import Callable, Mapping
from importlib import resources

from redis.exceptions import ResponseError

from featurestore.errors import CheckpointTakenError, LayoutError
from featurestore.redis_client import connect, sha

SCRIPT = resources.files("featurestore").joinpath("checkpoint.lua").read_text()
SCRIPT_SHA = sha(SCRIPT)
_OWN = (b"version", b"writer")


class Checkpoint:
    """One checkpoint by its name. ``on_retry`` is called each time a call is tried again because Redis was away."""

    def __init__(self, url: str, name: str, on_retry: Callable[[], None] = lambda: None) -> None:
        self._client = connect(url, [SCRIPT], on_retry)
        self._key = f"tidegate:checkpoint:{{{name}}}".encode()
        self._name, self._writer, self._version = name, uuid.uuid4().hex.encode(), 0

    async def read(self) -> dict[bytes, bytes]:
        """All fields; none where nothing was written yet. What is written next replaces what was read here."""
        (held,) = await self._client.execute([("HGETALL", self._key)])
        try:
            if isinstance(held, Exception):
                raise held
            pairs = held.items() if isinstance(held, dict) else zip(held[::2], held[1::2], strict=True)
            found: dict[bytes, bytes] = dict(pairs)
            self._version = int(found.get(b"version", 0))
        except (ValueError, ResponseError) as error:
            key = self._key.decode()
            raise LayoutError(
                f"{key} is no checkpoint ({error}); to begin without it: redis-cli -u $REDIS_URL del '{key}'"
            ) from error
        return {field: value for field, value in found.items() if field not in _OWN}

    async def write(self, fields: Mapping[bytes, bytes]) -> None:
        """Sets these fields and leaves the others; an empty value removes its field.

        CheckpointTakenError where another has written since this object read or wrote, or where Redis lost what it held.
        """
        command = [
            "EVALSHA", SCRIPT_SHA, 1, self._key, self._version, self._version + 1, self._writer,
            *(part for pair in fields.items() for part in pair),
        ]  # fmt: skip
        (answer,) = await self._client.execute([tuple(command)])
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            raise CheckpointTakenError(
                f"another process has taken {self._name} over, or Redis lost its data; what was not written is read again"
            )
        self._version += 1

    async def close(self) -> None:
        await self._client.aclose()
