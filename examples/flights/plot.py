"""Feature importances as an SVG bar chart, written by hand so that the example needs no plotting library."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

ROW, LABELS, BARS = 20, 330, 420  # pixels: height of a row, width of the names, length of the longest bar


def importances(shares: Mapping[str, float], most: int = 20) -> str:
    """The ``most`` largest of the shares (0 to 1, largest first), one bar each."""
    shown = list(shares.items())[:most]
    longest = max((share for _, share in shown), default=1.0) or 1.0
    rows = [_row(i, name, share, share / longest * BARS) for i, (name, share) in enumerate(shown)]
    width, height = LABELS + BARS + 70, ROW * len(shown) + 40
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            '<text x="10" y="20" font-weight="bold">Share of the gain of all splits</text>',
            *rows,
            "</svg>\n",
        ]
    )


def _row(place: int, name: str, share: float, length: float) -> str:
    y = 32 + place * ROW
    return (
        f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABELS}" y="{y + 2}" width="{length:.1f}" height="{ROW - 6}" fill="#2b6c9f"/>'
        f'<text x="{LABELS + length + 6:.1f}" y="{y + 13}">{share:.1%}</text>'
    )
