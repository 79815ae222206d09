"""Scoring with Quix Streams as its documentation shows: an Application, a StreamingDataFrame, `apply`, `to_topic`.

    python -m benchmarks.peers.quix_documented

Two output topics are two branches of the frame, the offset comes from `message_context()`, both as documented. Quix Streams is
synchronous, and so is its Redis client: one pipeline to read and one to merge, because merchants and countries are met under
every key, which its own state, kept by message key, cannot hold. Settings are its defaults, but for a group that starts at the
first event.
"""

from types import SimpleNamespace
from typing import Any

from quixstreams import Application, message_context
from redis import Redis

from benchmarks.peers.borrowed import GROUP, SOURCE, TOPICS, Borrowed
from benchmarks.peers.one_event import Command, Position
from featurestore.redis_store import MERGE_SCRIPT


class Scoring:
    """The functions of the frame. Messages come one by one, so what a merge needs is kept until the message is published."""

    def __init__(self, borrowed: Borrowed) -> None:
        self._borrowed, self._store = borrowed, borrowed.store
        self._redis = Redis.from_url(borrowed.settings.redis)
        self._redis.script_load(MERGE_SCRIPT)
        self._merges: list[Command] = []

    def score(self, value: dict[str, Any], key: bytes, timestamp: int, headers: Any) -> dict[str, Any]:
        context, payment = message_context(), SimpleNamespace(**value)
        position = Position(context.topic, context.partition, context.offset, timestamp / 1000)
        parts = self._store.parts(payment, position)
        result = self._store.serve(payment, position, parts, self._pipelined(self._store.reads(parts)))
        self._merges = result.merges
        (prediction,) = self._borrowed.predictions([(payment, key.decode(), position)], result.served)
        return {"prediction": prediction, "vector": self._borrowed.vector(prediction["prediction_id"], result.served)}

    def merge(self, _: dict[str, Any]) -> None:
        self._pipelined(self._merges)

    def _pipelined(self, commands: list[Command]) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return pipe.execute()


def main() -> None:
    borrowed = Borrowed.from_environment()
    app = Application(
        broker_address=borrowed.settings.kafka,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        state_dir=borrowed.settings.cache.parent / "quix",
    )
    payments = app.topic(SOURCE, value_deserializer="json")
    predictions = app.topic(TOPICS.predictions, value_serializer="json")
    vectors = app.topic(TOPICS.features, value_serializer="json")
    scoring = Scoring(borrowed)
    scored = app.dataframe(payments).apply(scoring.score, metadata=True)
    scored.apply(lambda value: value["vector"]).to_topic(vectors)
    scored.apply(lambda value: value["prediction"]).to_topic(predictions).update(scoring.merge)
    app.run()


if __name__ == "__main__":
    main()
