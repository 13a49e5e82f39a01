"""How many pulses an RRD holds in spans of time: arguments for `rrdtool graphv -` that print, and what they printed.

Spans are pairs of Unix seconds, [start, end), on the grid of the rows that are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Span = tuple[int, int]
Total = tuple[float | None, int]  # pulses (None: nothing is known) and known seconds


def total_arguments(rrd: Path, spans: Sequence[Span], step_seconds: int) -> list[str]:
    """Arguments that print, for each span [start, end) in Unix seconds, its pulses and its known seconds.

    rrdgraph's TOTAL is the sum over the known steps of value x step, computed in C from every single row; the
    picture that is not drawn has a pixel for every step, so that no row is merged with its neighbour.
    """
    start, end = spans[0][0], spans[-1][1]
    arguments = ["--start", str(start), "--end", str(end), "--width", str(max(10, (end - start) // step_seconds))]
    arguments += ["--step", str(step_seconds)]
    for number, (begin, until) in enumerate(spans):
        arguments += [
            # the last row of a DEF is the one that BEGINS at its end
            f"DEF:d{number}={rrd}:pulses:AVERAGE:start={begin}:end={until - step_seconds}:step={step_seconds}",
            f"CDEF:k{number}=d{number},UN,0,1,IF",
            f"VDEF:p{number}=d{number},TOTAL",
            f"VDEF:s{number}=k{number},TOTAL",
            f"PRINT:p{number}:%.6lf",
            f"PRINT:s{number}:%.0lf",
        ]
    return arguments


def totals(prints: Sequence[str]) -> list[Total]:
    """The total of each span, from what `total_arguments` printed."""
    pairs = zip(prints[::2], prints[1::2], strict=True)
    known = ((pulses, 0 if "nan" in seconds else int(seconds)) for pulses, seconds in pairs)
    return [(float(pulses) if seconds else None, seconds) for pulses, seconds in known]
