"""The plot of bench_messages.py: an SVG that is readable in light and dark."""

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 320, 70, 50, 20
COLORS = {"inbound": "#2563eb", "outbound": "#9a6700"}


def draw(points: Sequence[Mapping[str, float]]) -> str:
    """`points` have `stored`, and microseconds of processor per message as `inbound` and `outbound`."""
    first, last = math.log10(points[0]["stored"]), math.log10(points[-1]["stored"])
    top = 100 * math.ceil(max(point[name] for point in points for name in COLORS) / 100)
    plot_width, plot_height = WIDTH - LEFT - 90, HEIGHT - TOP - BOTTOM

    def x(stored: float) -> float:
        return LEFT + (math.log10(stored) - first) / max(last - first, 1.0) * plot_width

    def y(us: float) -> float:
        return TOP + (1 - us / top) * plot_height

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Processor time of a message by number of stored messages" font-family="sans-serif" '
        'font-size="12" fill="#6b7280">'
    ]
    for us in (0, top // 4, top // 2, top * 3 // 4, top):
        parts.append(f'<path d="M{LEFT} {y(us):.1f}h{plot_width}" stroke="#6b7280" stroke-opacity=".3"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(us) + 4:.1f}" text-anchor="end">{us} us</text>')
    for point in points:
        at = f'x="{x(point["stored"]):.1f}" y="{HEIGHT - BOTTOM + 18}"'
        parts.append(f'<text {at} text-anchor="middle">{point["stored"]:,.0f}</text>')
    middle = LEFT + plot_width / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        "stored messages; processor time of one more</text>"
    )
    for name, color in COLORS.items():
        line = " ".join(f"{x(point['stored']):.1f},{y(point[name]):.1f}" for point in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        at = f'x="{x(points[-1]["stored"]) + 8:.1f}" y="{y(points[-1][name]) + 4:.1f}"'
        parts.append(f'<text {at} fill="{color}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
