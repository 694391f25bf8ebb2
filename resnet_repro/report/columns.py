"""The columns of an artifact's tables. Each is one entry here, and every writer reads the lists.

Writers for readers (terminal, Markdown, LaTeX, docs/results.md, the page) take the columns with a
title, those for programs (CSV, --json) all of them, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from resnet_repro.markup import Grid
from resnet_repro.messages import Message, _, joined
from resnet_repro.paper.published import PublishedValue
from resnet_repro.records.metrics import COUNTED, METRICS, metric_words
from resnet_repro.report.claims import ClaimRow
from resnet_repro.report.side_by_side import SideBySide
from resnet_repro.report.tables import ResultRow
from resnet_repro.report.verdicts.rule import Comparison

Cell = str | int | float | bool | None
R = TypeVar("R")


@dataclass(frozen=True)
class Column(Generic[R]):
    """A column of rows of one kind.

    key: its name for programs; empty for a column that only readers get. value: what programs
    get of a row, None for what is not there. title: its head for readers; without one they do not
    get it. text: what they get, the value as text if not given. number: whether it is one, and
    stands right. said: whether it has words, which are translated. ours: whether it is about a
    recorded result, of which `compare` has two, and readers see both where `compared`.
    """

    key: str
    value: Callable[[R], Cell]
    title: str = ""
    text: Callable[[R], str] | None = None
    number: bool = False
    said: bool = False
    ours: bool = False
    compared: bool = False

    def cell(self, row: R) -> str:
        """What readers get of a row; empty for what is not there."""
        if self.text is not None:
            return self.text(row)
        value = self.value(row)
        return value if isinstance(value, str) else "" if value is None else str(value)


def shown(columns: Sequence[Column[R]], rows: Sequence[R]) -> list[Column[R]]:
    """The columns that readers get; one that is empty throughout is left out."""
    return [c for c in columns if c.title and any(c.cell(row) for row in rows)]


def text_grid(columns: Sequence[Column[R]], rows: Sequence[R]) -> Grid:
    """Rows for readers."""
    found = shown(columns, rows)
    return Grid(
        tuple(c.title for c in found), tuple(tuple(c.cell(row) for c in found) for row in rows)
    )


def plain_rows(columns: Sequence[Column[R]], rows: Sequence[R]) -> list[dict[str, Cell]]:
    """Rows for programs."""
    return [{c.key: c.value(row) for c in columns if c.key} for row in rows]


def published_text(value: PublishedValue | None, metric: str) -> str:
    """`6.61 ± 0.16 (n = 5)`, `0.27 M`, `3.6 billion`, `9.68 (read off Fig. 6)`.

    Empty without a value.
    """
    if value is None:
        return ""
    text: str = value.text
    if METRICS[metric].printed:
        text = Message(METRICS[metric].printed, {"number": text})
    if value.std is not None:
        text += f" ± {value.std:.2f}"
    if value.n > 1:
        text += f" (n = {value.n})"
    return _("{value} ({where})", value=text, where=value.where) if value.read_off else text


def recorded_text(ours: Comparison, metric: str) -> str:
    """`8.79 ± 0.12 (n = 3)`, `269,722`; empty without a mean."""
    if ours.mean is None:
        return ""
    if metric in COUNTED:
        return f"{ours.mean:,.0f}"
    spread = "" if ours.std is None else f" ± {ours.std:.2f}"
    return f"{ours.mean:.2f}{spread} (n = {ours.n})"


def difference_text(difference: float | None, half_width: float | None) -> str:
    """`+0.16 ± 0.63`, in points."""
    if difference is None:
        return ""
    text = "0.00" if abs(difference) < 0.005 else f"{difference:+.2f}"
    return text if half_width is None else f"{text} ± {half_width:.2f}"


def best_text(row: ResultRow) -> str:
    """The best of our seeds beside the best the paper prints, where it prints one."""
    value = row.published_best
    if value is None:
        return ""
    published = _("paper {best} of {n}", best=value.text, n=value.n)
    if row.ours.best is None:
        return published
    ours = _("{best:.2f} of {n}", best=row.ours.best, n=row.ours.n)
    return joined("; ", (ours, published))


def _mean(row: ResultRow) -> Cell:
    if row.metric in COUNTED and row.ours.mean is not None:
        return int(row.ours.mean)
    return short(row.ours.mean)


def short(value: float | None) -> float | None:
    """Without the last digits of floating point, which say nothing."""
    return None if value is None else round(value, 6)


def _seeds(seeds: Sequence[int]) -> str | None:
    return " ".join(str(s) for s in seeds) or None


RESULTS: tuple[Column[ResultRow], ...] = (
    Column("arm", lambda r: r.arm, "arm"),
    Column("network", lambda r: r.network or None),
    Column("dataset", lambda r: r.dataset),
    Column(
        "metric",
        lambda r: r.metric,
        "metric",
        lambda r: metric_words(r.metric, r.dataset),
        said=True,
    ),
    Column("protocol", lambda r: r.protocol or None, "protocol"),
    Column(
        "paper",
        lambda r: r.published.value if r.published else None,
        _("paper"),
        lambda r: published_text(r.published, r.metric),
        number=True,
        said=True,
    ),
    Column("paper_text", lambda r: r.published.text if r.published else None),
    Column("paper_unit", lambda r: r.published.unit if r.published else None),
    Column("paper_std", lambda r: r.published.std if r.published else None),
    Column("paper_n", lambda r: r.published.n if r.published else None),
    Column("paper_where", lambda r: r.published.where if r.published else None),
    Column("paper_best", lambda r: r.published_best.value if r.published_best else None),
    Column(
        "suite",
        _mean,
        _("suite"),
        lambda r: recorded_text(r.ours, r.metric),
        number=True,
        ours=True,
        compared=True,
    ),
    Column("suite_std", lambda r: short(r.ours.std), ours=True),
    Column(
        "suite_best",
        lambda r: short(r.ours.best),
        _("best seed"),
        best_text,
        number=True,
        said=True,
        ours=True,
    ),
    Column("n", lambda r: r.ours.n, ours=True),
    Column("seeds", lambda r: _seeds(r.seeds), ours=True),
    Column(
        "difference",
        lambda r: short(r.ours.difference),
        "difference",
        lambda r: difference_text(r.ours.difference, r.ours.half_width),
        number=True,
        ours=True,
    ),
    Column("half_width", lambda r: short(r.ours.half_width), ours=True),
    Column(
        "verdict",
        lambda r: "quoted" if r.quoted else r.ours.verdict or None,
        "verdict",
        lambda r: _("quoted, not run here") if r.quoted else r.ours.verdict,
        said=True,
        ours=True,
        compared=True,
    ),
    Column("machines", lambda r: "; ".join(r.machines) or None),
    Column("precisions", lambda r: " ".join(r.precisions) or None),
    Column("commits", lambda r: " ".join(r.commits) or None),
)


def _of(
    side: Callable[[SideBySide], ResultRow], column: Column[ResultRow], *, yours: bool = False
) -> Column[SideBySide]:
    """A column of either side, named `yours` where it is the user's own."""
    key, title = column.key, column.title if column.compared or not column.ours else ""
    if yours:
        key = key.replace("suite", "yours") if "suite" in key else f"yours_{key}"
    titles = {"suite": _("yours"), "verdict": _("your verdict")}
    title = (titles if yours else {"verdict": _("suite's verdict")}).get(title, title)
    return Column(
        key,
        lambda both: column.value(side(both)),
        title,
        lambda both: column.cell(side(both)),
        number=column.number,
        said=column.said,
    )


# The paper and the suite as in RESULTS, then the user's own, and how far it is from the suite's.
SIDE_BY_SIDE: tuple[Column[SideBySide], ...] = (
    *(_of(lambda both: both.suite, column) for column in RESULTS),
    *(_of(lambda both: both.yours, column, yours=True) for column in RESULTS if column.ours),
    Column(
        "yours_minus_suite",
        lambda both: short(both.difference),
        _("yours - suite"),
        lambda both: difference_text(both.difference, both.half_width),
        number=True,
    ),
    Column("yours_minus_suite_half_width", lambda both: short(both.half_width)),
)


def _claimed(row: ClaimRow) -> str:
    """What a claim compares: of gradients each stage's, by the norms' logarithms."""
    if row.claim.metric == "gradient_norm":
        return _("log10 of each stage's gradient norm times its weights' norm")
    return metric_words(row.claim.metric, row.dataset)


def _side(name: str, mean: float | None, metric: str) -> str:
    if mean is None:
        return name
    if not name:
        return f"{mean:,g}"  # the claim's own number, as it is written there
    return f"{name} {mean:,.0f}" if metric in COUNTED else f"{name} {mean:.2f}"


def claim_difference_text(row: ClaimRow) -> str:
    """A claim's difference in its metric's unit; counts without decimals."""
    difference = row.result.difference
    if difference is not None and row.result.exact:
        return f"{difference:+,.0f}"
    return difference_text(difference, row.result.half_width)


def _runs_text(n: tuple[int, int]) -> str:
    """`3`, or `3, 1` where the two sides have not as many; a side that is a number has none."""
    higher, lower = n
    return f"{higher}, {lower}" if higher and lower and higher != lower else str(higher or "")


CLAIMS: tuple[Column[ClaimRow], ...] = (
    Column("claim", lambda r: r.claim.text, "claim", said=True),
    Column("metric", lambda r: r.claim.metric, "metric", _claimed, said=True),
    Column("scope", lambda r: r.claim.scope),
    Column("margin", lambda r: r.claim.margin),
    Column("by", lambda r: r.claim.by if r.claim.margin is not None else None),
    Column(
        "higher",
        lambda r: r.claim.higher,
        "higher",
        lambda r: _side(r.claim.higher, r.higher_mean, r.claim.metric),
        number=True,
    ),
    Column(
        "lower",
        lambda r: r.claim.lower or None,
        "lower",
        lambda r: _side(r.claim.lower, r.lower_mean, r.claim.metric),
        number=True,
    ),
    Column("protocol", lambda r: r.protocol or None, "protocol"),
    Column("higher_mean", lambda r: short(r.higher_mean)),
    Column("lower_mean", lambda r: short(r.lower_mean)),
    Column(
        "difference",
        lambda r: short(r.result.difference),
        "difference",
        claim_difference_text,
        number=True,
    ),
    Column("half_width", lambda r: short(r.result.half_width)),
    Column("higher_n", lambda r: r.result.n[0], "n", lambda r: _runs_text(r.result.n)),
    Column("lower_n", lambda r: r.result.n[1]),
    Column("higher_seeds", lambda r: _seeds(r.higher_seeds)),
    Column("lower_seeds", lambda r: _seeds(r.lower_seeds)),
    Column("detail", lambda r: r.result.detail or None, "over", said=True),
    Column("verdict", lambda r: r.result.verdict, "verdict", lambda r: r.result.label, said=True),
    Column("spread_known", lambda r: r.result.exact or r.result.half_width is not None),
)
