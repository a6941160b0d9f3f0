"""The plan on paper for 10^15 sequences: what the scheduler would take, as a table for docs/how-to/shards.md."""

from __future__ import annotations

from collections.abc import Iterator

from verify.report.progress import duration
from verify.shards.simulation import Costs, Plan, simulate

#: Sequences of the plan.
SEQUENCES = 10**15
#: Workers of the plan.
WORKERS = 1000
#: Sizes with what one core of the engine runs in a second, as the benchmark measured it, and cases of one batch.
MEASURED = {"(94, 20)": (2.5e6, 2**12), "(10, 6)": (50e6, 2**16)}
#: Bytes of a row of the ledger: a claim, or findings with their digest, as JSON.
ROW_BYTES = 400


def rows() -> Iterator[tuple[str, Plan]]:
    """Yield the plan for each size; minutes each."""
    for size, (rate, unit) in MEASURED.items():
        yield size, simulate(SEQUENCES, WORKERS, Costs(rate=rate), unit=unit)


def table() -> str:
    """Return the table."""
    lines = [
        "| size | each worker, a second | time | shards | run again | workers busy | driver busy | ledger at most |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size, plan in rows():
        rate, _ = MEASURED[size]
        cells = (
            size,
            f"{rate:,.0f}",
            duration(plan.seconds),
            f"{plan.shards:,}",
            f"{plan.lost:,}",
            f"{100 * plan.busy:.0f} %",
            f"{100 * plan.driver:.1f} %",
            f"{plan.rows:,} rows, {plan.rows * ROW_BYTES / 2**20:.1f} MiB",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201 # what it is for
