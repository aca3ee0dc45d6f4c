"""The forecast as a drawing (SVG): which share of the bad candidates is rolled back by when. Pure."""

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from controller.cli.forecasts import end_of, lasting, percent
from controller.rehearsal.forecast import Forecast, Plan, weights_over_time


_WIDTH, _HEIGHT = 900, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 270, 108, 60
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito: told apart by everybody."""
_DASHES = ("", "8 3", "3 3", "8 3 2 3", "1 3", "12 4", "5 5")
_GAP = 18
_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
    f'height="{_HEIGHT}" font-family="sans-serif" font-size="13" role="img">'
)


def picture(name: str, plan: Plan, forecasts: Sequence[Forecast]) -> str:
    """Draw one line per bad candidate; the first forecast, the good one's, gives the steps."""
    good, *bad = forecasts
    end = end_of(good, bad)
    title = f"{name}: how soon a bad version is rolled back"
    below = f"{plan.traffic.rps:.4g} requests/s, {plan.of_bad} simulated releases of each version"
    last = (_WIDTH - _RIGHT + 28, _TOP - 26, "rolled back in the end:", 'fill="#555"')
    parts = [
        _HEAD,
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 26, title, 'font-size="17" font-weight="bold"'),
        _text(_LEFT, 46, below, 'fill="#555"'),
        _text(*last),
        *_axes(end),
        *_steps(good, end),
        *_lines(bad, end),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axes(end: float) -> Iterator[str]:
    right, floor = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>'
        yield _text(_LEFT - 8, y + 4, percent(share), 'text-anchor="end"')
    for at in _ticks(end):
        x = _x(at, end)
        yield f'<line x1="{x:.1f}" y1="{floor}" x2="{x:.1f}" y2="{floor + 5}" stroke="#333"/>'
        yield _text(x, floor + 20, lasting(at), 'text-anchor="middle"')
    yield f'<line x1="{_LEFT}" y1="{floor}" x2="{right}" y2="{floor}" stroke="#333"/>'
    yield _text((_LEFT + right) / 2, floor + 44, "since the new version was found", 'text-anchor="middle"')
    middle = (_TOP + floor) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 20 {middle:.1f})"'
    yield _text(20, middle, "releases rolled back by then", turned)


def _steps(good: Forecast, end: float) -> Iterator[str]:
    """Mark when a good release gets to each weight, half of the time."""
    free = 0.0
    for weight, at in weights_over_time(good.runs):
        if at > end:
            continue
        x = _x(at, end)
        yield (
            f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" stroke="#999" '
            'stroke-dasharray="2 4"/>'
        )
        if x >= free:
            yield _text(x, _TOP - 8, f"{weight}%", 'text-anchor="middle" fill="#555"')
            free = x + 36
    yield _text(_LEFT, _TOP - 26, "weight of a good version by then:", 'fill="#555"')


def _lines(bad: Sequence[Forecast], end: float) -> Iterator[str]:
    """Draw steps up at each rollback; labels stand beside the ends, and keep apart."""
    ends: list[tuple[float, int]] = []
    for at, each in enumerate(bad):
        y, path = _y(0), [f"M{_LEFT},{_y(0):.1f}"]
        for number, took in enumerate(sorted(run.took for run in each.rolled_back), start=1):
            if took > end:
                break
            y = _y(number / len(each.runs))
            path.append(f"H{_x(took, end):.1f}V{y:.1f}")
        path.append(f"H{_WIDTH - _RIGHT}")
        yield f'<path d="{"".join(path)}" fill="none" stroke-width="2" {_stroke(at)}/>'
        ends.append((y, at))
    for place, (y, at) in zip(_apart([y for y, _ in sorted(ends)]), sorted(ends), strict=True):
        edge = _WIDTH - _RIGHT
        yield f'<path d="M{edge},{y:.1f}L{edge + 10},{place:.1f}H{edge + 24}" fill="none" {_stroke(at)}/>'
        words = f"{bad[at].effect.name}: {percent(bad[at].caught)}"
        yield _text(edge + 28, place + 4, words, f'fill="{_COLOURS[at % len(_COLOURS)]}"')


def _apart(places: Sequence[float]) -> list[float]:
    """Move labels down until none covers another, and up again if the last one would fall off."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + _GAP) if moved else place)
    lowest = float(_HEIGHT - _BOTTOM)
    for at in range(len(moved) - 1, -1, -1):
        moved[at] = min(moved[at], lowest)
        lowest = moved[at] - _GAP
    return moved


def _stroke(at: int) -> str:
    colour, dash = _COLOURS[at % len(_COLOURS)], _DASHES[at % len(_DASHES)]
    return f'stroke="{colour}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _ticks(end: float) -> list[float]:
    """Choose at most eight round times."""
    for step in (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400):
        if end / step <= 8:
            return [float(at) for at in range(0, int(end) + 1, step)]
    return [0.0, end]


def _x(seconds: float, end: float) -> float:
    return _LEFT + seconds / end * (_WIDTH - _RIGHT - _LEFT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def _text(x: float, y: float, words: str, how: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {how}>{escape(words)}</text>'
