"""How often the rule of the verdicts says what, simulated: the tables of docs/verdicts.md.

`python -m resnet_repro.report.verdicts.error_rates` writes them between the page's markers. Seeds
scatter normally with the standard deviation that the paper prints; what is known of it is
estimated anew in every draw, with the degrees of freedom that Table 6 gives when its nets of 20 to
110 layers have n seeds each and the paper's own five runs join them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from resnet_repro.markup import Grid, markdown_grid
from resnet_repro.paper.published import seed_std_prior
from resnet_repro.report.statistics import standard_error, t_quantile
from resnet_repro.report.verdicts.joint import LEVEL
from resnet_repro.report.verdicts.rule import JUDGED, MARGIN
from resnet_repro.report.write import update_between_markers

DIFFERENCES = (0.0, 0.3, 0.5)  # true ones, in points
SEEDS = (1, 3, 5)
PUBLISHED = (1, 5)  # runs behind a published value
DRAWS = 400_000
TABLE6 = (1, 1, 1, 1, 5, 1)  # published runs of 20, 32, 44, 56, 110 and 1202 layers
SEVERAL = 5  # of them all but the last have several seeds
PAGE = Path("docs/verdicts.md")
MARKERS = ("rates", "together")


@dataclass(frozen=True)
class Rates:
    """How often each verdict is given, as parts of 1; by name."""

    difference: float
    n: int
    n_published: int
    df: int
    verdicts: dict[str, float]


def papers_spread() -> tuple[float, int]:
    """The standard deviation between the paper's runs of ResNet-110, in points, and its df."""
    printed = seed_std_prior("cifar10", "test_error")
    assert printed is not None  # Table 6 prints it
    return printed


def degrees(n: int) -> int:
    """Of the spread when SEVERAL arms have n seeds each, beside the paper's own runs."""
    return papers_spread()[1] + SEVERAL * (n - 1)


def verdicts_of(
    d: NDArray[np.float64], s: NDArray[np.float64], df: int, n: int, n_published: int
) -> dict[str, NDArray[np.bool_]]:
    """verdicts.verdict_of for many differences and spreads at once: which have which verdict."""
    error = s * standard_error(1.0, n, n_published)
    reproduced = np.abs(d) + t_quantile(df, 0.95) * error < MARGIN
    inside = np.abs(d) <= t_quantile(df) * error
    outside = ~reproduced & ~inside
    found = (reproduced, ~reproduced & inside, outside & (d < 0), outside & (d > 0))
    return dict(zip(JUDGED, found, strict=True))


def rates(difference: float, n: int, n_published: int, draws: int = DRAWS) -> Rates:
    """The verdicts' rates where the true difference is that many points."""
    true, _ = papers_spread()
    df = degrees(n)
    rng = np.random.Generator(np.random.Philox(0))
    d = rng.normal(difference, standard_error(true, n, n_published), draws)
    s = true * np.sqrt(rng.chisquare(df, draws) / df)
    found = verdicts_of(d, s, df, n, n_published)
    shares = {name: float(which.mean()) for name, which in found.items()}
    return Rates(difference, n, n_published, df, shares)


def together(difference: float, n: int, draws: int = DRAWS // 4) -> tuple[float, float]:
    """Of a Table 6 all of whose arms are that far off: how often any is better or worse by
    itself, and how often the joint test finds them not consistent together."""
    true, _ = papers_spread()
    df = degrees(n)
    rng = np.random.Generator(np.random.Philox(1))
    s = true * np.sqrt(rng.chisquare(df, draws) / df)
    single = np.zeros(draws, bool)
    total = np.zeros(draws)
    for n_published in TABLE6:
        error = standard_error(1.0, n, n_published)
        d = rng.normal(difference, true * error, draws)
        found = verdicts_of(d, s, df, n, n_published)
        single |= found["better"] | found["worse"]
        total += (d / error) ** 2
    p = fdtrc(len(TABLE6), df, total / (len(TABLE6) * s**2))
    return float(single.mean()), float((p < LEVEL).mean())


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def rates_text() -> str:
    """The rates of single verdicts as a Markdown table."""
    rows = [
        (
            f"{found.difference:.1f}",
            str(found.n),
            str(found.n_published),
            str(found.df),
            *(_percent(found.verdicts[name]) for name in JUDGED),
        )
        for difference in DIFFERENCES
        for n_published in PUBLISHED
        for n in SEEDS
        for found in [rates(difference, n, n_published)]
    ]
    columns = ("true difference", "n", "n published", "degrees of freedom", *JUDGED)
    return markdown_grid(Grid(columns, tuple(rows)))


def together_text() -> str:
    """The same of the whole of Table 6."""
    rows = [
        (f"{difference:.1f}", str(n), *(_percent(part) for part in together(difference, n)))
        for difference in DIFFERENCES
        for n in SEEDS
    ]
    columns = (
        "true difference of every arm",
        "n",
        "any arm better or worse",
        "not consistent together",
    )
    return markdown_grid(Grid(columns, tuple(rows)))


def main(path: Path = PAGE) -> None:
    """Renew the page's tables. Raises UserError for a page without the markers."""
    for name, text in zip(MARKERS, (rates_text(), together_text()), strict=True):
        update_between_markers(path, name, text)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
