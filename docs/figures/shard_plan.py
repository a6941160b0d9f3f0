"""The plan on paper for 10^15 sequences: what the scheduler would take, as a table for docs/how-to/shards.md."""

from __future__ import annotations

from fractions import Fraction

from verify.shards.simulation import Costs, Plan, simulate

#: Sequences of the plan.
SEQUENCES = 10**15
#: Workers of the plan.
WORKERS = 1000
#: Sizes with what one core of the engine runs in a second, as the benchmark measured it, and cases of one batch.
MEASURED = {"(94, 20)": (2_500_000, 2**12), "(10, 6)": (50_000_000, 2**16)}
#: Bytes of a row of the ledger: a claim, or findings with their digest, as JSON; a test measures it.
ROW_BYTES = 400
#: Seconds that the two simulated runs would take if nothing were lost: so many that each worker has several shards of
#: full length, which are of 1,000 s at these costs. A run in the middle of its way does the same over and over.
SIMULATED = (8_000, 16_000)


def plans(size: str) -> tuple[Plan, Plan]:
    """Return the two simulated runs of a size."""
    rate, unit = MEASURED[size]
    one, other = (simulate(rate * WORKERS * span, WORKERS, Costs(rate=rate), unit=unit) for span in SIMULATED)
    return one, other


def at_full_length(one: Plan, other: Plan, value: str) -> float:
    """Return what a number of the plan is at :data:`SEQUENCES`, on the line through two simulated runs."""
    first, last = (Fraction(getattr(plan, value)) for plan in (one, other))
    slope = (last - first) / (other.units - one.units)
    return float(last + slope * (SEQUENCES - other.units))


def table() -> str:
    """Return the table."""
    lines = [
        "| size | each worker, a second | time | worker hours | shards | run again | ledger at most |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, (rate, _) in MEASURED.items():
        one, other = plans(size)
        seconds = at_full_length(one, other, "seconds")
        rows = max(one.rows, other.rows)
        cells = (
            size,
            f"{rate:,}",
            f"{seconds / 3600:.1f} hours ({100 * SEQUENCES / (seconds * WORKERS * rate):.0f} % of the best)",
            f"{seconds * WORKERS / 3600:,.0f}",
            f"{at_full_length(one, other, 'shards'):,.0f}",
            f"{at_full_length(one, other, 'lost'):,.0f}",
            f"{rows:,} rows, {rows * ROW_BYTES:,} bytes",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201 # what it is for
