"""How much of the paper is reproduced, counted from the values it prints as its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resnet_repro.messages import _, joined
from resnet_repro.paper.published import DETECTION, PublishedValue, csv_rows, table_values
from resnet_repro.records.metrics import COUNTED
from resnet_repro.report.tables import Table

ERROR_RATES, EXACT_COUNTS, CLAIMS = _("error rates"), _("exact counts"), _("claims")

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
class Part:
    """What is counted by itself: how many of it are in which state, a key of STATES."""

    title: str
    states: dict[str, int]
    words: str  # the states as a reader counts them

    @property
    def total(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True)
class Summary:
    """How many of the paper's own numbers and of the claims are in which state.

    errors, counts: error rates, and what is counted exactly, by state; `sources`: the one and the
    other for each of the paper's tables that has any, by title. claims: by verdict, each under the
    protocol its artifact asks for.
    """

    errors: dict[str, int]
    counts: dict[str, int]
    sources: dict[str, dict[str, dict[str, int]]]
    claims: dict[str, int]

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """Error rates, exact counts and claims, which say different things, apart."""
        claims = dict.fromkeys(STATES, 0)
        for verdict, n in self.claims.items():
            claims[state(verdict)] += n
        return (
            Part(ERROR_RATES, self.errors, _listed(self.errors, "reproduced")),
            Part(EXACT_COUNTS, self.counts, _listed(self.counts, "reproduced")),
            Part(CLAIMS, claims, _listed(self.claims, "holds")),
        )

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        errors, counts, claims = self.parts
        return _(
            "{errors} error rates of the paper's own networks: {error_states}. {counts} exact "
            "counts: {count_states}. {claims} claims: {claim_verdicts}.",
            errors=errors.total,
            error_states=errors.words,
            counts=counts.total,
            count_states=counts.words,
            claims=claims.total,
            claim_verdicts=claims.words,
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
    sources: dict[str, dict[str, dict[str, int]]] = {}
    kinds = {title: dict.fromkeys(order, 0) for title in (ERROR_RATES, EXACT_COUNTS)}
    for value, name in found.items():
        title = EXACT_COUNTS if value.metric in COUNTED else ERROR_RATES
        kind = sources.setdefault(value.where, {})
        kind.setdefault(title, dict.fromkeys(order, 0))[name] += 1
        kinds[title][name] += 1
    return Summary(kinds[ERROR_RATES], kinds[EXACT_COUNTS], sources, _claims(tables))


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
