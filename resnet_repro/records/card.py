"""The model card of a recorded CIFAR net, made from its record alone: Markdown with YAML before it.

The hub reads the front matter: https://huggingface.co/docs/hub/model-cards. JSON is YAML, so
that each value is written as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from resnet_repro.markup import Grid, markdown_grid, markdown_text
from resnet_repro.records.store import Record

HUB_DATASETS = {"cifar10": "uoft-cs/cifar10"}  # ours -> the hub's
TITLES = {"cifar10": "CIFAR-10", "cifar10-45k": "CIFAR-10, 45,000 images", "digits": "digits"}
PAPER = "1512.03385"


def model_card(record: Record, error: float, setup: str, usage: str) -> str:
    """The card's text.

    error: of the weights that it goes with, in %. setup: the protocol in words; usage: Python
    that loads them.
    """
    spec, execution = record.spec, record.execution
    title = TITLES.get(spec.dataset, spec.dataset)
    commits = ", ".join(execution.commits)
    facts = {
        "network": f"{spec.network}, {record.result.parameters:,} parameters",
        "test error of these weights": f"{error:.2f} %",
        "test error before rounding to half precision": _percent(record.result.test_error),
        "training error at the end": _percent(record.result.train_error),
        "runs": f"n = 1, seed {spec.seed}",
        "protocol": setup,
        "recipe version": str(spec.recipe_version),
        "data": f"{title}, digest {spec.dataset_digest}",
        "device": f"{execution.device_name}, {' and '.join(execution.precisions)}",
        "commit": commits + (", with uncommitted changes" if execution.any_dirty else ""),
        "ended": execution.ended,
    }
    parts = [
        _front_matter(record, error, title),
        f"# {spec.network} on {title}\n",
        "From a reproduction of *Deep Residual Learning for Image Recognition* "
        f"([arXiv:{PAPER}](https://arxiv.org/abs/{PAPER})). The last iterate of one run; nothing "
        "was chosen by the test images.\n",
        _table(facts),
        "To repeat it:\n",
        f"    {markdown_text(execution.command)}\n",
        "To use it, from images (N, C, H, W) of 0 ... 255 to logits; the mean image that is "
        "subtracted is among the weights:\n",
        f"```python\n{usage.strip()}\n```\n",
        "The recipe, switch by switch:\n",
        _table({name: json.dumps(value) for name, value in sorted(spec.recipe.items())}),
    ]
    return "\n".join(parts)


def _front_matter(record: Record, error: float, title: str) -> str:
    spec = record.spec
    data = {"name": title, "type": HUB_DATASETS.get(spec.dataset, spec.dataset), "split": "test"}
    metrics = [
        {"type": "accuracy", "name": "test accuracy, %", "value": round(100 - error, 4)},
        {"type": "error", "name": "test error, %", "value": round(error, 4)},
    ]
    task = {"type": "image-classification", "name": "Image classification"}
    values: dict[str, object] = {
        "license": "mit",
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "resnet", "reproduction", f"arxiv:{PAPER}"],
        "datasets": [HUB_DATASETS[spec.dataset]] if spec.dataset in HUB_DATASETS else [],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": spec.network,
                "results": [{"task": task, "dataset": data, "metrics": metrics}],
            }
        ],
    }
    lines = [f"{name}: {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(["---", *lines, "---", ""])


def _percent(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.2f} %"


def _table(facts: Mapping[str, str]) -> str:
    return markdown_grid(Grid(("", ""), tuple(facts.items())))
