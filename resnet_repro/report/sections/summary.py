"""How much of the paper is reproduced, counted from the values it prints as its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resnet_repro.messages import _, joined
from resnet_repro.paper.published import DETECTION, PublishedValue, csv_rows, table_values
from resnet_repro.records.metrics import COUNTED
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


@dataclass(frozen=True)
class Summary:
    """How many of the paper's own numbers and of the claims are in which state.

    errors, counts: error rates, and what is counted exactly, by state; `sources`: both for each
    of the paper's tables. claims: by verdict, each under the protocol its artifact asks for.
    """

    errors: dict[str, int]
    counts: dict[str, int]
    sources: dict[str, dict[str, int]]
    claims: dict[str, int]

    @property
    def states(self) -> dict[str, int]:
        """Errors and counts together."""
        return {name: n + self.counts[name] for name, n in self.errors.items()}

    @property
    def total(self) -> int:
        return sum(self.states.values())

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        return _(
            "{errors} error rates of the paper's own networks: {error_states}. {counts} exact "
            "counts: {count_states}. {claims} claims: {claim_verdicts}.",
            errors=sum(self.errors.values()),
            error_states=_listed(self.errors, "reproduced"),
            counts=sum(self.counts.values()),
            count_states=_listed(self.counts, "reproduced"),
            claims=sum(self.claims.values()),
            claim_verdicts=_listed(self.claims, "holds"),
        )


def _listed(found: Mapping[str, int], always: str) -> str:
    """`3 reproduced, 34 missing`; those that are none are left out, but for `always`."""
    return joined(
        ", ",
        [
            _("{n} {state}", n=n, state=_WORDS.get(name, name.replace("_", " ")))
            for name, n in found.items()
            if n or name == always
        ],
    )


# In a sentence, where the verdict itself would not do.
_WORDS = {"holds": _("hold"), "fails": _("fail"), "differs": _("different")}


def not_attempted() -> str:
    """What of the paper is out of scope."""
    numbers = sorted(int(source.removeprefix("table")) for source in DETECTION)
    return _(
        "Not attempted: object detection and localization, Tables {first} to {last}.",
        first=numbers[0],
        last=numbers[-1],
    )


def state(verdict: str) -> str:
    """What a row's verdict comes to: a key of STATES."""
    return next((name for name, verdicts in STATES.items() if verdict in verdicts), "missing")


def own_values() -> list[PublishedValue]:
    """Every number in scope that the paper prints as its own, once.

    A standard deviation belongs to its mean, and so does the best of several runs.
    """
    values = [
        value
        for source in dict.fromkeys(row["table"] for row in csv_rows("tables.csv"))
        if source not in DETECTION
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
    kinds = {exact: dict.fromkeys(order, 0) for exact in (False, True)}
    for value, name in found.items():
        sources.setdefault(value.where, dict.fromkeys(order, 0))[name] += 1
        kinds[value.metric in COUNTED][name] += 1
    return Summary(kinds[False], kinds[True], sources, _claims(tables))


def _claims(tables: Sequence[Table]) -> dict[str, int]:
    """Each claim once, under its artifact's protocol; what was only tried under another is open."""
    verdicts = dict.fromkeys(("holds", "fails", "inconclusive", "missing"), 0)
    for table in tables:
        protocols = ("", table.artifact.protocol)
        for claim in table.artifact.claims:
            found = [r for r in table.claims if r.claim is claim and r.protocol in protocols]
            verdict = found[0].result.verdict if found else "missing"
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
    return verdicts
