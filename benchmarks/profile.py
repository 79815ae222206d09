"""Where a saturated worker's time goes, by stage: py-spy's samples folded by which function of ours was on the stack."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

RATE = 200  # samples a second; py-spy stops the process for each
# The first one that matches any frame of a stack.
STAGES = (
    ("waiting", r"\bselect \("),  # py-spy cannot always tell that a thread sleeps
    ("metrics", r"\((.*/)?monitors/"),
    ("decode", r"\((.*/)?streams/codec\.py"),
    ("intern", r"\bgroup_chunk \("),
    ("read: Redis client", r"\bread \((.*/)?featurestore/redis_store\.py"),
    ("kernel and columns", r"\bserve \((.*/)?featurestore/(compute|session)\.py"),
    ("score", r"\bjudge \("),
    ("encode vectors", r"\bserved \((.*/)?streams/outputs\.py"),
    ("encode predictions", r"\bpredictions \((.*/)?streams/outputs\.py"),
    ("publish", r"\((.*/)?streams/publisher\.py"),
    ("merge: deltas", r"\bdeltas \("),
    ("merge: Redis client", r"\bmerge \((.*/)?featurestore/redis_store\.py"),
    ("merge: fences", r"\bmerge \("),
    ("fetch", r"\((.*/)?(aiokafka|streams/fetching\.py)"),
    ("flow", r"\((.*/)?streams/flow\.py"),
    ("transport, Faust, event loop", r""),
)


def record(pid: int, seconds: int, folder: Path, *, gil: bool) -> dict[str, int]:
    """Samples by stage of the threads that run (``gil``: that hold the interpreter)."""
    out = folder / f"profile-{'gil' if gil else 'all'}.raw"
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--duration", str(seconds)]
    command += ["--rate", str(RATE), "--format", "raw", "--output", str(out), *(["--gil"] if gil else [])]
    subprocess.run(command, check=True, capture_output=True, timeout=seconds + 60)
    return fold(out.read_text())


def fold(raw: str) -> dict[str, int]:
    """Samples by stage, most first; ``raw`` has a line a stack: frames from the outermost on, joined by ";", and a count."""
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        frames, _, count = line.rpartition(" ")
        found[stage_of(frames.split(";"))] += int(count)
    return dict(found.most_common())


def stage_of(frames: list[str]) -> str:
    """The stage of a stack.

    >>> stage_of(["Flow.__call__ (streams/flow.py:80)", "ServingModel.judge (streams/serving.py:40)", "predict (basic.py:9)"])
    'score'
    """
    for stage, pattern in STAGES[:-1]:
        if any(re.search(pattern, frame) for frame in frames):
            return stage
    return STAGES[-1][0]


def table(samples: dict[str, int], seconds: int) -> str:
    """Markdown: each stage's share of the samples, and of one core."""
    total = sum(samples.values())
    lines = [f"| stage | share of {total:,} samples | of a core |", "|---|---|---|"]
    lines += [f"| {stage} | {n / total:.1%} | {n / (RATE * seconds):.1%} |" for stage, n in samples.items()]
    return "\n".join(lines)
