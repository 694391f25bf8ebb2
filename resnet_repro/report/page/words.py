"""The page's own words by key; what artifacts, tables and notes say comes from where it is made."""

from __future__ import annotations

from resnet_repro.messages import _

WORDS = {
    "title": _("Deep Residual Learning for Image Recognition, rerun"),
    "intro": _(
        "What He, Zhang, Ren and Sun published (arXiv:1512.03385) beside what the runs "
        "recorded here gave. A result is the last iterate on the test set, the mean over "
        "every seed run."
    ),
    "skip": _("Skip to the results"),
    "contents": _("Contents"),
    "state": _("What is reproduced"),
    "first": _("Table 6 and Fig. 6"),
    "verdicts": _("Verdicts"),
    "artifacts": _("All tables and figures"),
    "networks": _("Networks"),
    "runs": _("Runs"),
    "switch_language": _("中文"),
    "switch_language_label": _("Show this page in Chinese"),
    "dark": _("Dark theme"),
    "light": _("Light theme"),
    "to_dark": _("Switch to the dark theme"),
    "to_light": _("Switch to the light theme"),
    "no_script": _(
        "Without JavaScript the page shows its tables and the figures as pictures; charts, "
        "sorting and the language switch need it."
    ),
    # How much of the paper
    "how_counted": _(
        "Counted once each, in the state of its best comparison. Exact counts (multiply-adds, "
        "parameters) are reproduced when they print the same; a claim counts under the protocol "
        "its artifact asks for."
    ),
    "by_table": _("Table by table"),
    "source": _("source"),
    "total": _("total"),
    # Verdicts
    "reproduced": _("reproduced"),
    "consistent": _("consistent"),
    "differs": _("differs"),
    "undetermined": _("undetermined"),
    "inconclusive": _("inconclusive"),
    "reduced": _("reduced"),
    "not_comparable": _("not comparable"),
    "diverged": _("diverged"),
    "missing": _("missing"),
    # The table of verdicts
    "artifact": _("artifact"),
    "what": _("what"),
    "protocol": _("protocol"),
    "published": _("paper"),
    "recorded": _("suite"),
    "difference": _("difference"),
    "verdict": _("verdict"),
    "records": _("runs (seeds)"),
    "all": _("all"),
    "filters": _("Filters"),
    "reset": _("Reset"),
    "shown": _("{n} of {total} rows"),
    "show_all": _("Show all {n} rows"),
    "show_fewer": _("Show fewer"),
    "nothing_shown": _("No row has all of this."),
    "claim": _("claim"),
    "caption_verdicts": _(
        "Every comparison of every artifact. A column's heading sorts; a number is a link to "
        "itself."
    ),
    # An artifact
    "claims": _("Claims"),
    "notes": _("Notes"),
    "copies": _("What other reproductions report ({n})"),
    "still": _("The figure as a picture"),
    "arm": _("arm"),
    "metric": _("metric"),
    "higher": _("higher"),
    "lower": _("lower"),
    "over": _("over"),
    "n": _("n"),
    # Charts
    "chart_help": _(
        "Bars: the standard deviation over seeds, ours or as published. Names switch lines off. "
        "Drag to zoom, double-click to go back; with the chart in focus, arrow keys read values."
    ),
    "plain": _("Plain nets"),
    "residual": _("Residual nets"),
    "errors": _("Errors"),
    "gradients": _("Gradient norms"),
    "responses": _("Layer responses"),
    "responses_original": _("Layers in order"),
    "responses_sorted": _("Layers sorted by response"),
    "multiply_adds": _("Multiply-adds"),
    "training_error": _("training error"),
    "test_error": _("test error"),
    "ours": _("ours"),
    "papers": _("the paper's"),
    "counted": _("counted"),
    "error": _("error, %"),
    "norm": _("norm of the loss gradient"),
    "std": _("std of the response"),
    "billions": _("billions"),
    "iterations": _("iterations"),
    "iteration": _("iteration"),
    "fraction": _("part of training, %"),
    "layer": _("layer"),
    "network": _("network"),
    "linear": _("linear"),
    "log": _("log"),
    "scale": _("Vertical axis"),
    "zoom_out": _("Zoom out"),
    "lines": _("Lines"),
    "no_values": _("nothing recorded"),
    # Networks
    "networks_intro": _(
        "Drawn from the committed counts, not by hand: what a layer costs follows from its "
        "definition, and the layers of each stage sum to what was counted. m-adds: "
        "multiply-adds on one image."
    ),
    "fig2": _("Fig. 2: a residual block"),
    "fig2_text": _(
        "The layers learn the residual F(x) = H(x) − x; the shortcut carries x past them by "  # noqa: RUF001
        "identity mapping, without parameters, and the sum is what they were to learn."
    ),
    "fig5": _("Fig. 5: basic block and bottleneck"),
    "fig5_text": _(
        "On 56×56 maps: the block of ResNet-34 and the bottleneck of ResNet-50. Four times "  # noqa: RUF001
        "the channels enter the bottleneck, and it costs about the same."
    ),
    "fig3": _("Fig. 3: VGG-19, plain-34 and ResNet-34"),
    "fig3_text": _(
        "A row is a layer, its bar as long as its multiply-adds, on one scale for all three. "
        "Curves on the left are shortcuts; dashed where the size changes and channels are "
        "padded with zeros (option A). Point at a layer for every digit."
    ),
    "cifar": _("The CIFAR-10 nets by depth"),
    "cifar_text": _(
        "A tick is a layer, 110 to a line, to one scale: 6n + 2 layers in three stages, a "
        "shortcut over every pair. A plain net is the same without the shortcuts."
    ),
    "stage": _("stage"),
    "layers": _("layers"),
    "parameters": _("parameters"),
    "output": _("output"),
    "total_row": _("whole network"),
    "stage_table": _("Stage by stage"),
    # Runs
    "runs_intro": _(
        "Every run behind the numbers above, with all it was asked and all it measured. "
        "Values lead to their file, where the page lies beside the records."
    ),
    "runs_untold": _(
        "{n} runs of later seeds have no section here, for the page to stay small: the charts of "
        "errors average them, too, those of gradients and responses only the runs below. Of long "
        "runs charts draw some rows."
    ),
    "open_all": _("Open all"),
    "close_all": _("Close all"),
    "result": _("Result"),
    "spec": _("Spec"),
    "spec_note": _("What decides the result; hashed."),
    "execution": _("Execution"),
    "execution_note": _("How it was computed; recorded, not hashed."),
    "evaluations": _("Evaluations"),
    "files": _("Files"),
    "file": _("file"),
    "digest": _("SHA-256"),
    "repeat": _("Repeat it"),
    "rows": _("Every row of metrics.csv"),
    "seed": _("seed {n}"),
    "final_test": _("test error {value} %"),
    "none": _("none"),
    "made_by": _(
        "Written by `report` from the records alone. Charts: uPlot {version}, MIT licence."
    ),
    "top": _("Top"),
}
