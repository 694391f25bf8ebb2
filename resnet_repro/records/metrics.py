"""Every number that tables, claims and figures give of a network: its name, words and source."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_repro.messages import _
from resnet_repro.records.datasets import PHOTOGRAPHS
from resnet_repro.records.evaluations import CENTER, DENSE, TEN_CROP
from resnet_repro.records.probes import PROBES


@dataclass(frozen=True)
class Metric:
    """One of METRICS.

    words: what it is. unit: its unit, and what it was averaged over. evaluation, value: of those
    that are measured of a finished run later, the evaluation's name and which of its values.
    counted, printed: of those that are counted, the counts' name of it and the paper's unit.
    """

    words: str
    unit: str = ""
    evaluation: str = ""
    value: str = ""
    counted: str = ""
    printed: str = ""

    @property
    def title(self) -> str:
        """The words with the unit."""
        return _("{what}, {unit}", what=self.words, unit=self.unit) if self.unit else self.words


# By name, in the order of a table's rows.
METRICS = {
    # Of the single view; on ImageNet the top-1 error of the centre crop.
    "test_error": Metric(_("test error"), "%"),
    # On ImageNet's validation images (Tables 2 to 4); dense: fully convolutional, several sizes.
    "center_top5_error": Metric(_("top-5 error, centre crop"), "%", CENTER, "top5_error"),
    "ten_crop_top1_error": Metric(_("top-1 error, 10-crop"), "%", TEN_CROP, "top1_error"),
    "ten_crop_top5_error": Metric(_("top-5 error, 10-crop"), "%", TEN_CROP, "top5_error"),
    "dense_top1_error": Metric(_("top-1 error, dense"), "%", DENSE, "top1_error"),
    "dense_top5_error": Metric(_("top-5 error, dense"), "%", DENSE, "top5_error"),
    "train_error": Metric(_("training error"), "%"),
    # Of the responses of the 3x3 layers (Fig. 7).
    "layer_std": Metric(_("mean std of layer responses")),
    "gradient_norm": Metric(
        _("conv1's gradient norm times its weights' norm"), _("median over rows")
    ),
    "warmup_ended": Metric(_("end of the warm-up"), _("iterations")),
    # Of CIFAR networks' weights.
    **{
        name: Metric(*words, evaluation=probe, value=name)
        for probe, declared in PROBES.items()
        for name, words in declared.metrics.items()
    },
    # Of a network, trained or not.
    "flops": Metric(_("multiply-adds"), counted="multiply_adds", printed=_("{number} billion")),
    "params": Metric(_("parameters"), counted="parameters", printed="{number} M"),
    # Of an ensemble, which is no run's.
    "top1_error": Metric(_("top-1 error"), "%"),
    "top5_error": Metric(_("top-5 error"), "%"),
}
OF_ENSEMBLES = ("top1_error", "top5_error")

EVALUATED = {name: metric for name, metric in METRICS.items() if metric.evaluation}
STUDIED = {name: metric for name, metric in EVALUATED.items() if metric.evaluation in PROBES}
ERRORS = {name: metric for name, metric in EVALUATED.items() if name not in STUDIED}
COUNTED = {name: metric for name, metric in METRICS.items() if metric.counted}
OF_RUNS = tuple(name for name in METRICS if name not in {*COUNTED, *OF_ENSEMBLES})


def metric_words(metric: str, dataset: str) -> str:
    """A metric with its unit; of photographs also which error the run's own test gives."""
    if metric == "test_error" and dataset in PHOTOGRAPHS:
        return _("{what}, {unit}", what=_("top-1 error, centre crop"), unit="%")
    return METRICS[metric].title
