"""Renew the notebooks: `python -m teaching renew`, `seeds`, `translate`."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import typer
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from resnet_repro.errors import UserError
from teaching import guide, translation
from teaching.execution import execute
from teaching.lessons import MEASURED, conclusions, lessons, solution_of, write
from teaching.measured import Measured, read_measured, write_measured

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Names = Annotated[list[str] | None, typer.Argument(help="Numbers of notebooks, such as 01; all.")]


def _chosen(names: list[str] | None) -> list[str]:
    known = {lesson.stem[:2]: lesson.stem for lesson in lessons()}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise UserError(f"no notebook {unknown[0]}: give some of {', '.join(known)}")
    return [known[name] for name in names or known]


@app.command()
def renew(names: Names = None) -> None:
    """Execute notebooks and their solutions, keep the outputs; then translate."""
    by_stem = {lesson.stem: lesson for lesson in lessons()}
    for stem in _chosen(names):
        done = execute(by_stem[stem])
        write(by_stem[stem], done.notebook)
        write(solution_of(by_stem[stem]), done.solution)
        measured = _so_far()
        values = measured.conclusions.get(stem, {})
        first = {words: number for words, (number, _) in conclusions(done.notebook).items()}
        kept = {words: [number, *values.get(words, ())[1:]] for words, number in first.items()}
        write_measured(
            dataclasses.replace(
                measured,
                seconds={**measured.seconds, stem: round(done.seconds)},
                conclusions={**measured.conclusions, stem: kept},
            )
        )
        print(f"{stem}: {done.seconds:.0f} s of processor time", flush=True)
    translate()


@app.command()
def seeds(
    names: Names = None,
    number: Annotated[int, typer.Option(help="How many seeds, from 0 on.", min=2)] = 3,
) -> None:
    """Execute notebooks from seeds 1, 2, ... and record what they conclude."""
    by_stem = {lesson.stem: lesson for lesson in lessons()}
    for stem in _chosen(names):
        for seed in range(1, number):
            found = conclusions(execute(by_stem[stem], seed).notebook)
            measured = _so_far()
            values = measured.conclusions.get(stem, {})
            if values.keys() != found.keys() or any(len(v) < seed for v in values.values()):
                raise UserError(f"{stem} has no seed {seed - 1}: run `renew` first")
            new = {words: [*values[words][:seed], found[words][0]] for words in found}
            write_measured(
                dataclasses.replace(measured, conclusions={**measured.conclusions, stem: new})
            )
            print(f"{stem}, seed {seed}", flush=True)


@app.command()
def translate(
    check: Annotated[bool, typer.Option(help="Change nothing; exit with 1 if it would.")] = False,
) -> None:
    """Bring the guide, the catalogue and what is made from it up to date."""
    problems = [*guide.renew(check=check), *translation.renew(check=check)]
    for problem in problems:
        print(problem)
    if check and problems:
        raise typer.Exit(1)


def _so_far() -> Measured:
    return read_measured() if MEASURED.exists() else Measured()


if __name__ == "__main__":
    try:
        app()
    except (UserError, CellExecutionError, CellTimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
