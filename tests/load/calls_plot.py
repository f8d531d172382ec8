"""The plot of bench_calls.py: an SVG that is readable in light and dark."""

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 320, 60, 50, 20
COLORS = {"gateway": "#2563eb", "floor": "#9a6700"}


def draw(points: Sequence[Mapping[str, float]]) -> str:
    """`points` have `calls`, `core_share` and `floor_share`."""
    most = max(point["calls"] for point in points)
    top = max(1.0, *(point["core_share"] for point in points))
    plot_width, plot_height = WIDTH - LEFT - 110, HEIGHT - TOP - BOTTOM

    def x(calls: float) -> float:
        return LEFT + calls / most * plot_width

    def y(share: float) -> float:
        return TOP + (1 - share / top) * plot_height

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Processor time by number of calls" font-family="sans-serif" font-size="12" '
        'fill="#6b7280">'
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path d="M{LEFT} {y(share):.1f}h{plot_width}" stroke="#6b7280" stroke-opacity=".3"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for point in points:
        calls = point["calls"]
        parts.append(
            f'<text x="{x(calls):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{calls:.0f}</text>'
        )
    middle = LEFT + plot_width / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">calls; share of one core</text>'
    )
    for name, field in (("gateway", "core_share"), ("floor", "floor_share")):
        line = " ".join(f"{x(point['calls']):.1f},{y(point[field]):.1f}" for point in points)
        last = points[-1]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLORS[name]}" stroke-width="2"/>')
        at = f'x="{x(last["calls"]) + 8:.1f}" y="{y(last[field]) + 4:.1f}"'
        parts.append(f'<text {at} fill="{COLORS[name]}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
