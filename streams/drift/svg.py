"""A matplotlib figure as one small <svg> element that stands in HTML among others: what to draw is plots.py's."""

import io
import re
from hashlib import blake2s

from markupsafe import Markup
from matplotlib.figure import Figure

from streams.drift.figures import shown

METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # none: the same figure is the same text
EVERYWHERE = "svg path { stroke-linejoin: round; stroke-linecap: butt }"  # matplotlib says it of every element of the page


def svg(figure: Figure, label: str) -> Markup:
    """The figure's element, as wide as its place, with `label` for who cannot see it.

    Half of matplotlib's text goes: metadata, digits that nobody sees, and styles that are written out at each mark.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata=METADATA)
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # nothing refers to a group, and ids must be unique on a page
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, text)
    styles: dict[str, str] = {}
    text = re.sub(r' style="([^"]*)"', lambda found: f' class="{styles.setdefault(found[1], _name(found[1]))}"', text)
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*pt"', "", head)
    rules = "".join(f".{name} {{ {style} }}" for style, name in styles.items())
    opening = Markup(head) + Markup(' role="img" aria-label="{}">').format(shown(label))
    return opening + Markup(f"<style>{EVERYWHERE}{rules}</style>" + re.sub(r">\s+<", "><", rest))


def _rounded(attribute: re.Match[str]) -> str:
    """Coordinates to a tenth of a point, on one line; a point that is the one before is left out."""
    text = re.sub(r"\d+\.\d\d+", lambda found: f"{float(found[0]):.1f}", attribute[0])
    text = re.sub(r"(\nL [-\d. ]+)(?:\1)+", r"\1", text)
    return re.sub(r" ?\n", "", text) if text.startswith(' d="') else text


def _name(style: str) -> str:
    """A class of this style, the same in every figure: styles within a figure hold for the whole page."""
    return "s" + blake2s(style.encode(), digest_size=4).hexdigest()
