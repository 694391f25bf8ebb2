"""The command: parses, calls, prints. Nothing here computes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import typer
from rich.console import Console

from resnet_repro import artifacts, overview, runner
from resnet_repro.display import (
    RunDisplay,
    artifact_rows,
    plan_rows,
    print_rows,
    stage_rows,
    status_rows,
)
from resnet_repro.errors import UserError
from resnet_repro.records.files import write_atomic

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Deep Residual Learning for Image Recognition (He et al., 2015), artifact by artifact.",
)
CACHE = Path(platformdirs.user_cache_dir("resnet_repro"))

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Results = Annotated[
    Path, typer.Option("--results-dir", metavar="DIR", help="Folder of your records.")
]


Switch = Literal["auto", "on", "off"]


def _out() -> Console:
    return Console(markup=False, emoji=False)


def _print_json(value: Any) -> None:
    sys.stdout.write(_json_text(value))


def _json_text(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


@app.command("list")
def list_command(results_dir: Results = runner.LOCAL, as_json: AsJson = False) -> None:
    """The artifacts, and what is recorded of each."""
    found = overview.list_artifacts([runner.RECORDED, results_dir])
    if as_json:
        _print_json(found)
        return
    print_rows(_out(), "Artifacts", *artifact_rows(found))


@app.command()
def describe(
    network: str,
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON here instead.")
    ] = None,
) -> None:
    """A network's layers, parameters and multiply-adds, stage by stage, counted."""
    from resnet_repro.models import describe as counting

    found = counting.to_json(counting.describe(network))
    if out is not None:
        write_atomic(out, _json_text(found).encode())
        return
    if as_json:
        _print_json(found)
        return
    shape = " x ".join(str(n) for n in found["input"])
    print_rows(_out(), f"{network}, one {shape} image", *stage_rows(found))


@app.command()
def run(
    artifact: Annotated[str, typer.Argument(help="Such as table6; `list` shows them all.")],
    arms: Annotated[
        str, typer.Option(metavar="A,B", help="Some of the artifact's arms; all unless given.")
    ] = "",
    seeds: Annotated[str, typer.Option(metavar="0,1", help="One run each.")] = "0",
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="P", help="paper, short, imagenette, demo or smoke; the artifact's own if not."
        ),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(metavar="N", help="Scale the schedule to N; recorded as custom-N."),
    ] = None,
    switches: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a switch of the recipe; recorded as P+KEY=VALUE. May be repeated.",
        ),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the data are; $RESNET_REPRO_DATA or data/ if not."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Another data set, such as image-folder for any subset."),
    ] = None,
    corrupt: Annotated[
        Literal["fail", "skip"], typer.Option(help="What to do about image files that are none.")
    ] = "fail",
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Processes that read image files.")
    ] = None,
    accumulate: Annotated[
        int, typer.Option(metavar="K", min=1, help="Compute each batch in K parts, to save memory.")
    ] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option()] = "auto",
    precision: Annotated[Literal["auto", "fp32", "tf32", "bf16"], typer.Option()] = "auto",
    kernels: Annotated[Switch, typer.Option(help="Own CPU kernels.")] = "auto",
    compile: Annotated[Switch, typer.Option(help="Compile the networks' blocks.")] = "auto",
    graph: Annotated[Switch, typer.Option(help="A step as one CUDA graph.")] = "auto",
    results_dir: Results = runner.LOCAL,
    figures_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: figures in the results folder.")
    ] = None,
    cache_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Where checkpoints are kept.")
    ] = CACHE,
    checkpoint_every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Time between two checkpoints.")
    ] = 30.0,
    jobs: Annotated[int, typer.Option(metavar="K", min=1, help="Runs at once.")] = 1,
    wandb: Annotated[
        Literal["disabled", "offline", "online"],
        typer.Option(help="Mirror the curves to Weights & Biases."),
    ] = "disabled",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run: print the plan as JSON.")
    ] = False,
) -> None:
    """Train what is missing of an artifact, then compare it with the paper."""
    if as_json and not dry_run:
        raise UserError("--json goes with --dry-run here; `compare --json` prints results")
    experiment = artifacts.load(artifact)
    request = runner.Request(
        experiment.artifact,
        tuple(name for name in arms.split(",") if name),
        tuple(_whole(text, "--seeds") for text in seeds.split(",")),
        protocol,
        iterations,
        tuple(_switch(text) for text in switches or ()),
        dataset,
        results_dir,
    )
    from resnet_repro.mirror import require_wandb
    from resnet_repro.train.device import choose
    from resnet_repro.train.distributed import joined

    if wandb != "disabled":
        require_wandb()
    with joined(device) as world:
        settings = runner.Settings(
            device=choose(
                device,
                precision,
                kernels=kernels,
                compile=compile,
                graph=graph,
                parts=accumulate,
                workers=workers,
                photographs=runner.of_photographs(experiment.artifact),
            ),
            data_root=data_root,
            cache=cache_dir,
            results=results_dir,
            jobs=jobs,
            checkpoint_seconds=checkpoint_every,
            wandb=wandb if world.first else "disabled",
            corrupt=corrupt,
        )
        out = _out() if world.first else Console(quiet=True)
        planned = world.first_does(lambda: runner.plan(request, settings.device.kind))
        if as_json:
            _print_json(overview.plan_json(planned))
            return
        print_rows(out, "Plan", *plan_rows(planned))
        if dry_run:
            return
        with RunDisplay(planned, out) as display:
            ends = runner.execute(request, settings, display, display.say, world)
    if world.first:
        _summary(out, ends, artifact, results_dir, figures_dir or results_dir / "figures")
    bad = [end for end in ends.values() if end in ("busy", "failed", "stopped")]
    if bad:
        raise typer.Exit(130 if "stopped" in bad else 1)


def _whole(text: str, option: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{option} '{text}': give whole numbers with commas between") from None


def _switch(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: give KEY=VALUE, such as bn_batch=64")
    return name, value


def _summary(
    out: Console, ends: dict[Any, str], artifact: str, results: Path, figures: Path
) -> None:
    """What was run and how it compares; figures and tables are written beside it."""
    from resnet_repro.report.write import result_rows, write_report

    counted = {end: list(ends.values()).count(end) for end in dict.fromkeys(ends.values())}
    out.print(", ".join(f"{n} {end}" for end, n in counted.items()), highlight=False)
    written = write_report([results], figures, results / "tables", [artifact])
    for title, grid in result_rows(artifact, results) if written else []:
        print_rows(out, title, grid.columns, grid.rows)
    for path in written:
        out.print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    arch: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="Such as resnet50-v1.5; several are an ensemble."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|torchvision",
            help="Of each --arch: .safetensors, .pth, torchvision or torchvision:IMAGENET1K_V2.",
        ),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A recorded run instead; several are an ensemble."),
    ] = None,
    data_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where val/ is; $RESNET_REPRO_DATA or data/ if not."),
    ] = None,
    dataset: Annotated[
        Literal["imagenet", "imagenette", "image-folder"] | None,
        typer.Option(help="The runs' own, or imagenet, if not given."),
    ] = None,
    crops: Annotated[
        Literal["center", "10", "dense"],
        typer.Option(help="Centre crop, ten crops, or everywhere at several sizes."),
    ] = "center",
    sizes: Annotated[
        str,
        typer.Option(metavar="256,...", help="Shorter sides in pixels; the paper's if not given."),
    ] = "",
    crop: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="The runs' own, or 224, if not given.")
    ] = None,
    bn: Annotated[
        Literal["moving", "recomputed"],
        typer.Option(help="BN's statistics: the weights' own, or over all training images."),
    ] = "moving",
    mean: Annotated[
        Literal["torchvision", "pixel", "channel", "channel-std"],
        typer.Option(help="What is subtracted, with --arch; all but the first of train/."),
    ] = "torchvision",
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option()] = "auto",
    precision: Annotated[Literal["auto", "fp32", "tf32", "bf16"], typer.Option()] = "auto",
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Processes that read image files.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(metavar="N", min=1, help="Crops to compute at once.")
    ] = 64,
    cache_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Where mean images are kept.")
    ] = CACHE,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON here, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Test networks with weights, or recorded runs, on validation images."""
    arch, weights = arch or [], weights or []
    if len(arch) != len(weights):
        raise UserError(f"{len(arch)} --arch and {len(weights)} --weights: give one for each")
    from resnet_repro import evaluation_command as command
    from resnet_repro import evaluation_display as shown
    from resnet_repro.train.device import choose

    request = command.Request(
        networks=tuple(zip(arch, weights, strict=True)),
        runs=tuple(run or ()),
        crops=crops,
        sizes=tuple(_whole(text, "--sizes") for text in sizes.split(",") if text),
        crop=crop,
        bn=bn,
        mean=mean,
        dataset=dataset,
        data_root=data_root,
        batch_size=batch_size,
    )
    chosen = choose(
        device,
        precision,
        kernels="off",
        compile="off",
        graph="off",
        photographs=True,
        workers=workers,
    )
    # Only the result goes to standard output.
    steps = shown.Steps(Console(markup=False, emoji=False, stderr=True))
    with steps.bars:
        found = command.evaluate(request, chosen, cache_dir, steps.say, steps.step)
    if out is not None:
        write_atomic(out, _json_text(shown.to_json(found)).encode())
    if as_json:
        _print_json(shown.to_json(found))
        return
    print_rows(_out(), "Evaluation", *shown.result_rows(found))
    for path in (found.path, out):
        if path is not None:
            _out().print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def status(results_dir: Results = runner.LOCAL, as_json: AsJson = False) -> None:
    """Every run in your results folder and how far it is."""
    found = overview.status(results_dir)
    if as_json:
        _print_json(found)
        return
    print_rows(_out(), "Runs", *status_rows(found))


@app.command()
def compare(artifact: str, results_dir: Results = runner.LOCAL, as_json: AsJson = False) -> None:
    """Published, recorded and yours, side by side."""
    from resnet_repro.report.write import compare_json, compare_rows

    if as_json:
        rows = compare_json(artifact, runner.RECORDED, results_dir)
        _print_json({"artifact": artifact, "rows": rows})
        return
    print_rows(_out(), artifact, *compare_rows(artifact, runner.RECORDED, results_dir))


@app.command()
def report(
    artifact: Annotated[
        list[str] | None, typer.Argument(help="Some artifacts; all that have records if not.")
    ] = None,
    results_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Records to report on.")
    ] = runner.RECORDED,
    figures_dir: Annotated[Path, typer.Option(metavar="DIR")] = runner.ROOT / "figures",
    tables_dir: Annotated[Path, typer.Option(metavar="DIR")] = runner.ROOT / "results" / "tables",
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The HTML page; report.html beside the tables' folder."),
    ] = None,
    readme: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file whose marked parts are renewed.")
    ] = None,
    results_page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Markdown page of every artifact.")
    ] = None,
) -> None:
    """Write every table and figure from the records alone."""
    from resnet_repro.report.write import write_report

    places = {
        "page": page or tables_dir.parent / "report.html",
        "readme": readme,
        "results_page": results_page,
    }
    for path in write_report([results_dir], figures_dir, tables_dir, artifact or None, **places):
        _out().print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def verify(
    results_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Records to check.")
    ] = runner.RECORDED,
    as_json: AsJson = False,
) -> None:
    """Check every finished record: schema, hashes, completeness, agreement."""
    found = overview.verify(results_dir)
    if as_json:
        _print_json(found)
    else:
        for item in found["problems"]:
            _out().print(f"{item['run']}: {item['problem']}", highlight=False, soft_wrap=True)
        _out().print(f"{found['records']} records, {len(found['problems'])} problems")
    if found["problems"]:
        raise typer.Exit(1)


@app.command()
def data(
    name: Annotated[
        str,
        typer.Argument(help="cifar10, cifar10-45k, digits, imagenet, imagenette or image-folder."),
    ],
    data_root: Annotated[Path | None, typer.Option(metavar="DIR")] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch CIFAR-10 first (170 MB).")
    ] = False,
) -> None:
    """Read a data set and say what is in it."""
    from resnet_repro.data import cifar10, load
    from resnet_repro.data.dataset import Dataset

    if download:
        if not name.startswith("cifar10"):
            raise UserError(f"{name} needs no download")
        cifar10.download(data_root or cifar10.default_root())
    found = load(name, data_root)
    shape = "files"
    if isinstance(found, Dataset):
        shape = " x ".join(str(n) for n in found.train.images.shape[1:])
    rows = [
        (split, len(part), shape, part.digest)
        for split, part in (("train", found.train), ("test", found.test))
    ]
    print_rows(_out(), name, ("split", "images", "shape", "digest"), rows)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; bad input gives one line on standard error and status 2."""
    return _guarded(lambda: app(arguments, standalone_mode=False))


def run_script(path: str) -> None:
    """What `python experiments/<artifact>.py ...` does: `run <artifact> ...`, and exit."""
    raise SystemExit(main(["run", Path(path).stem, *sys.argv[1:]]))


def _guarded(call: Callable[[], Any]) -> int:
    try:
        value = call()
    except UserError as error:
        return 2 if error.told else _complain(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader left, as `| head` does
        return 0
    except Exception as error:
        # Typer's usage errors; their class has moved between its releases.
        say = getattr(error, "format_message", None)
        if say is None:
            raise
        return _complain(str(say())) if say() else 2  # no arguments: the help was shown
    return value if isinstance(value, int) else 0


def _complain(text: str) -> int:
    sys.stderr.write("error: " + " ".join(text.split()) + "\n")
    return 2
