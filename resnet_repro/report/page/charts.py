"""What the page's charts draw: which lines, of which runs, beside which of the paper's.

A chart is plain values for `charts.js`. Its lines say where their numbers lie (a run's rows, the
paper's curve, or points of a table), so that every number is in the page once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.colors import to_hex

from resnet_repro.models.names import parse
from resnet_repro.paper.artifacts import Arm
from resnet_repro.paper.published import FIGURES, ITERATIONS, curve, curve_name, layer_std
from resnet_repro.records.metrics import STUDIED
from resnet_repro.report.load.frames import Frames, Run
from resnet_repro.report.load.seeds import family
from resnet_repro.report.page.data import ChartData
from resnet_repro.report.page.points import Chart, Tag, bars, empty_chart, values
from resnet_repro.report.plots.style import RGB, arm_colours, arm_label, colour, palette
from resnet_repro.report.tables import Table

# What every chart of curves lets a reader switch off beside its arms.
TRAIN: Tag = {"key": "training_error", "dash": "dashed"}
TEST: Tag = {"key": "test_error"}
OURS: Tag = {"key": "ours"}
PAPERS: Tag = {"key": "papers", "pale": "yes"}


def artifact_charts(table: Table, frames: Frames, data: ChartData) -> list[Chart]:
    """The charts of one artifact, in the order they are shown.

    Bars of counts; responses by layer and norms of gradients where the claims are about them;
    none of studies; otherwise the training curves, and for a table its values by arm.
    """
    artifact = table.artifact
    if artifact.counted:
        return [bars(table)]
    metrics = {claim.metric for claim in artifact.claims}
    if "layer_std" in metrics:
        return [_layers(table, frames, data, order) for order in ("original", "sorted")]
    if metrics & STUDIED.keys():
        return []  # its figure shows what was studied
    families = _families(artifact.arms)
    if "gradient_norm" in metrics:
        found = [_gradients(artifact.name, arms, frames, data, f) for f, arms in families]
        return [chart for chart in found if chart["lines"]]
    charts = [] if artifact.name.startswith("fig") else values(table)
    found = [_curves(artifact.name, arms, frames, data, family) for family, arms in families]
    return charts + [chart for chart in found if chart["lines"]]


def run_charts(anchor: str, run: Run, data: ChartData) -> list[Chart]:
    """One run's errors, gradients and layer responses, as far as it has them."""
    index, hue = data.index(run), to_hex(palette()[0])
    stages = data.stages([index])
    errors = empty_chart(f"{anchor}-errors", "errors", "iterations", "error")
    errors["factors"] = [[TRAIN | {"colour": hue}, TEST | {"colour": hue}]]
    errors["lines"] = [
        {"tags": [i], "runs": [index], "of": f"metrics.{name}"}
        for i, name in enumerate(("train_error", "test_error"))
    ]
    charts = [errors]
    if stages:
        chart = empty_chart(f"{anchor}-gradients", "gradients", "iterations", "norm", log=True)
        chart["factors"] = [_stage_tags(stages)]
        chart["lines"] = [
            {"tags": [i], "runs": [index], "of": f"gradients.{stage}"}
            for i, stage in enumerate(stages)
        ]
        charts.append(chart)
    if data.has_layers(index):
        chart = empty_chart(f"{anchor}-layers", "responses", "layer", "std")
        chart["factors"] = [[{"key": "std", "colour": hue}]]
        chart["lines"] = [{"tags": [0], "runs": [index], "of": "layers.std"}]
        charts.append(chart)
    return charts


def _families(arms: Sequence[Arm]) -> list[tuple[str, list[Arm]]]:
    """Plain and residual nets, which the paper draws beside each other."""
    found = {kind: [a for a in arms if family(a.network) == kind] for kind in ("plain", "residual")}
    return [(kind, its) for kind, its in found.items() if its]


def _hues(arms: Sequence[Arm]) -> dict[str, str]:
    found: dict[str, RGB] = arm_colours(arms)
    return {name: to_hex(rgb) for name, rgb in found.items()}


def _arm_tags(arms: Sequence[Arm]) -> list[Tag]:
    hues = _hues(arms)
    return [{"name": arm_label(arm), "colour": hues[arm.name]} for arm in arms]


def _depth_tag(arm: Arm) -> Tag:
    """As in Fig. 7: plain nets dashed, residual nets solid, a depth in one colour."""
    tag = {"name": arm_label(arm), "colour": to_hex(colour(arm.network))}
    return tag | ({"dash": "dashed"} if parse(arm.network).plain else {})


def _stage_tags(stages: Iterable[str]) -> list[Tag]:
    return [
        {"name": stage, "colour": to_hex(hue)}
        for stage, hue in zip(stages, palette(), strict=False)
    ]


def _curves(name: str, arms: Sequence[Arm], frames: Frames, data: ChartData, family: str) -> Chart:
    """Training and test error of each arm and protocol, the mean over seeds; the paper's behind."""
    chart = empty_chart(f"{name}-{family}", family, "training", "error")
    chart["group"] = name
    chart["factors"] = [_arm_tags(arms), [TRAIN, TEST], [OURS, PAPERS]]
    for i, arm in enumerate(arms):
        for j, split in enumerate(("train", "test")):
            for protocol, runs in _protocols(frames, arm).items():
                chart["lines"].append(
                    {
                        "tags": [i, j, 0],
                        "protocol": protocol,
                        "runs": [data.index(run) for run in runs],
                        "of": f"metrics.{split}_error",
                    }
                )
            paper = _paper_curve(name, arm, split, data)
            if paper:
                chart["lines"].append({"tags": [i, j, 1], "paper": paper})
    return _only_used(chart)


def _paper_curve(artifact: str, arm: Arm, split: str, data: ChartData) -> str:
    """The paper's curve of an arm, the artifact's own figure first; empty without one."""
    network = curve_name(arm.network)
    if network is None or arm.changes:  # the paper drew its own recipe
        return ""
    for figure in sorted(FIGURES, key=lambda f: (f != artifact, f != "fig6")):
        key = f"{figure} {network} {split}"
        if FIGURES[figure] != arm.dataset:
            continue
        if key in data.paper:
            return key
        try:
            points = curve(figure, network, split)
        except KeyError:
            continue
        return data.add_paper(
            key, points["iteration"], points["error_pct"], ITERATIONS[arm.dataset]
        )
    return ""


def _protocols(frames: Frames, arm: Arm) -> dict[str, list[Run]]:
    return {
        protocol: frames.runs_of(arm.dataset, arm.name, protocol)
        for protocol in frames.protocols_of(arm.dataset, arm.name)
    }


def _gradients(
    name: str, arms: Sequence[Arm], frames: Frames, data: ChartData, family: str
) -> Chart:
    """The norm of each stage's gradient; seeds are averaged by the logarithm."""
    chart = empty_chart(f"{name}-{family}", family, "training", "norm", log=True)
    chart["group"] = name
    run = [data.index(r) for arm in arms for r in frames.runs_of(arm.dataset, arm.name)]
    stages = data.stages(run)
    dashes: tuple[Tag, ...] = ({}, {"dash": "dashed"}, {"dash": "dotted"})
    chart["factors"] = [
        _stage_tags(stages),
        [{"name": arm_label(arm), **dash} for arm, dash in zip(arms, dashes, strict=False)],
    ]
    for j, arm in enumerate(arms[: len(dashes)]):
        for protocol, runs in _protocols(frames, arm).items():
            having = [data.index(r) for r in runs if data.runs[data.index(r)]["gradients"]]
            if not having:
                continue
            chart["lines"] += [
                {
                    "tags": [i, j],
                    "protocol": protocol,
                    "runs": having,
                    "of": f"gradients.{stage}",
                    "mean": "log",
                }
                for i, stage in enumerate(stages)
            ]
    return _only_used(chart)


def _layers(table: Table, frames: Frames, data: ChartData, order: str) -> Chart:
    """Fig. 7: std of each layer's response, in order or sorted, the paper's behind."""
    artifact = table.artifact
    chart = empty_chart(f"{artifact.name}-{order}", f"responses_{order}", "layer", "std")
    chart["group"] = artifact.name
    chart["factors"] = [[_depth_tag(arm) for arm in artifact.arms], [OURS, PAPERS]]
    for i, arm in enumerate(artifact.arms):
        for protocol, runs in _protocols(frames, arm).items():
            having = [data.index(r) for r in runs if data.has_layers(data.index(r))]
            if having:
                chart["lines"].append(
                    {
                        "tags": [i, 0],
                        "protocol": protocol,
                        "runs": having,
                        "of": "layers.std",
                        "sorted": order == "sorted",
                    }
                )
        network = curve_name(arm.network)
        if network is not None and arm.dataset == "cifar10":
            points = layer_std(network, "sorted" if order == "sorted" else "original")
            key = f"{artifact.name} {network} {order}"
            data.add_paper(key, points["layer_index"], points["std"], 0)
            chart["lines"].append({"tags": [i, 1], "paper": key})
    return _only_used(chart)


def _only_used(chart: Chart) -> Chart:
    """The chart without tags that no line has, and without a factor that tells nothing apart."""
    lines, factors = chart["lines"], chart["factors"]
    for f, tags in enumerate(factors):
        used = sorted({line["tags"][f] for line in lines})
        factors[f] = [tags[i] for i in used]
        for line in lines:
            line["tags"][f] = used.index(line["tags"][f])
    return chart
