"""The demo's stories: a file each. story.py says what a story is."""

import importlib

from streams.demo.story import Story

STORIES = {"flights": "Flights", "payments": "Payments"}  # --example: the class, in the module of that name
DEFAULT = "flights"


def find_story(name: str) -> Story:
    """The story of that name, one of STORIES."""
    story: Story = getattr(importlib.import_module(f"streams.demo.stories.{name}"), STORIES[name])()
    return story
