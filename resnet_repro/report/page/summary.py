"""How much of the paper is reproduced, counted from the values it prints as its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.messages import _
from resnet_repro.paper.published import PublishedValue, csv_rows, table_values
from resnet_repro.report.tables import Table

# What a verdict comes to in the count. A value takes the first of these that any row gives it.
STATES = {
    "reproduced": ("reproduced", _("equal"), _("holds")),
    "consistent": ("consistent",),
    "differs": (_("better"), _("worse"), "differs", _("fails")),
    "undetermined": ("undetermined",),
    "inconclusive": ("inconclusive",),  # claims alone
    "diverged": ("diverged",),
    "reduced": ("reduced",),
    "not_comparable": ("not comparable",),
    "missing": ("missing", ""),
}
NAMED = ("reproduced", "consistent", "reduced", "missing")  # in the headline, even at 0


@dataclass(frozen=True)
class Summary:
    """Numbers of the paper's own by state; `sources`: the same for each of its tables."""

    states: dict[str, int]
    sources: dict[str, dict[str, int]]
    claims: dict[str, int]  # by verdict

    @property
    def total(self) -> int:
        return sum(self.states.values())


def state(verdict: str) -> str:
    """What a row's verdict comes to: a key of STATES."""
    return next((name for name, verdicts in STATES.items() if verdict in verdicts), "missing")


def own_values() -> list[PublishedValue]:
    """Every number the paper prints as its own, once.

    A standard deviation belongs to its mean, and so does the best of several runs.
    """
    values = [
        value
        for source in dict.fromkeys(row["table"] for row in csv_rows("tables.csv"))
        for value in table_values(source)
        if value.own and value.statistic != "std"
    ]
    means = {_place(value) for value in values if value.statistic == "mean"}
    return [v for v in values if v.statistic != "best" or _place(v) not in means]


def _place(value: PublishedValue) -> tuple[str, ...]:
    return value.source, value.row, value.metric, value.dataset, value.test_protocol


def count_states(tables: Sequence[Table]) -> Summary:
    """The state of every value of the paper's own, by the best of its comparisons."""
    order = list(STATES)
    found: dict[PublishedValue, str] = dict.fromkeys(own_values(), "missing")
    for table in tables:
        for row in table.rows:
            if row.published in found and not row.quoted:
                here = state(row.ours.verdict)
                found[row.published] = min(here, found[row.published], key=order.index)
    sources: dict[str, dict[str, int]] = {}
    for value, name in found.items():
        place = sources.setdefault(value.where, dict.fromkeys(order, 0))
        place[name] += 1
    states = Counter(found.values())
    claims = Counter(claim.result.verdict for table in tables for claim in table.claims)
    return Summary({name: states[name] for name in order}, sources, dict(claims))
