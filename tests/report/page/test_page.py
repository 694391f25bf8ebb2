"""The HTML page: one file, every link leads somewhere, every run is there, in two languages."""

from __future__ import annotations

import hashlib
import html
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from resnet_repro import paths
from resnet_repro.errors import UserError
from resnet_repro.messages import Message, _, translated
from resnet_repro.paper import artifacts
from resnet_repro.paper.artifacts import Published
from resnet_repro.paper.other_reproductions import load_reproductions
from resnet_repro.paper.published import published_for
from resnet_repro.records import schema, store
from resnet_repro.records.evaluations import Evaluation, write_evaluation
from resnet_repro.report import page as page_package
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.page import run_anchor, texts
from resnet_repro.report.page.data import script_json
from resnet_repro.report.page.layers import read_network
from resnet_repro.report.sections.summary import count_states, own_values
from resnet_repro.report.tables import table
from resnet_repro.report.verdicts.claims import claim_higher, claim_near, claim_throughout
from resnet_repro.report.write import update_between_markers, write_report
from tests.conftest import REPO
from tests.helpers.records import Fake, write

PACKAGE = Path(page_package.__file__).parent


@dataclass
class Found(HTMLParser):
    """What a page links to, embeds and names."""

    hrefs: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    policy: str = ""
    scripts: list[str] = field(default_factory=list)
    open_script: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script":
            self.open_script = True
            self.scripts.append("")
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(values["content"])
        for name, into in (("href", self.hrefs), ("src", self.sources), ("id", self.anchors)):
            if values.get(name):
                into.append(str(values[name]))

    def handle_data(self, data: str) -> None:
        if self.open_script:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self.open_script = False

    @property
    def data(self) -> dict[str, Any]:
        """The page's numbers, from its first script, which is none."""
        values: dict[str, Any] = json.loads(self.scripts[0])
        return values


NAMES = ["fig1", "table6"]

FAKES = (
    Fake("resnet20", 8.7),
    Fake("resnet20", 8.9, seed=1),
    Fake("plain20", 9.7, protocol="short"),
)


def report(folder: Path, names: list[str] = NAMES, readme: Path | None = None) -> Path:
    """Write a report on the records in `folder`; returns its page."""
    places = (folder / "figures", folder / "tables")
    readmes = [readme] if readme else []
    page = folder / "report.html"
    write_report([folder / "recorded"], *places, names, page=page, readmes=readmes)
    return folder / "report.html"


def parse(page: Path) -> Found:
    parser = Found()
    parser.feed(page.read_text())
    return parser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write(folder / "recorded", *FAKES)
    return report(folder)


@pytest.fixture(scope="module")
def found(page: Path) -> Found:
    return parse(page)


def test_the_page_holds_all_it_shows_and_may_fetch_nothing(page: Path, found: Found) -> None:
    assert found.sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in found.sources)
    # Links that a reader may follow, to what other reproductions report; nothing is fetched.
    away = {href for href in found.hrefs if href.startswith(("http", "//", "/"))}
    assert away == {copy.url for copy in load_reproductions()}
    assert found.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in found.policy
    assert page.stat().st_size < 8_000_000


def test_every_link_leads_somewhere(page: Path, found: Found) -> None:
    assert len(found.anchors) == len(set(found.anchors))
    inner = [href[1:] for href in found.hrefs if href.startswith("#")]
    outer = [href for href in found.hrefs if not href.startswith(("#", "https:"))]
    assert set(inner) <= set(found.anchors)
    assert outer
    assert all((page.parent / href).is_file() for href in outer)


def test_every_run_has_its_section_and_its_numbers_lead_to_its_record(
    page: Path, found: Found
) -> None:
    for record in store.read_records(page.parent / "recorded"):
        anchor = run_anchor(record.run)
        assert anchor in found.anchors
        assert f"#{anchor}" in found.hrefs
        relative = record.folder.relative_to(page.parent).as_posix()
        for name in ("execution.json", "result.json"):
            assert f"{relative}/{name}" in found.hrefs
        lines = len(asdict(record.spec)) - 1 + len(record.spec.recipe)  # every switch, too
        assert found.hrefs.count(f"{relative}/spec.json") == lines + 1
        assert f"{anchor}-result-test_error" in found.anchors
        assert f"{anchor}-spec-iterations" in found.anchors


def test_every_number_of_the_paper_and_the_suite_has_a_link_of_its_own(found: Found) -> None:
    for part in ("paper", "suite", "difference"):
        assert f"v-table6-resnet20-test_error-paper-{part}" in found.anchors
        assert f"#v-table6-resnet20-test_error-paper-{part}" in found.hrefs


def test_every_chart_draws_what_the_page_holds(found: Found) -> None:
    data = found.data
    assert data["charts"]
    assert set(data["charts"]) <= set(found.anchors)
    drawn = 0
    for chart in data["charts"].values():
        assert chart["lines"], chart["id"]
        for line in chart["lines"]:
            assert len(line["tags"]) == len(chart["factors"])
            for tag, tags in zip(line["tags"], chart["factors"], strict=True):
                assert 0 <= tag < len(tags)
            if "paper" in line:
                assert data["paper"][line["paper"]]["y"]
            elif "runs" in line:
                of, _, column = line["of"].partition(".")
                assert all(data["runs"][run][of][column] for run in line["runs"])
                drawn += 1
    assert drawn
    curves = data["charts"]["chart-table6-residual"]["lines"]
    assert any("paper" in line for line in curves)
    assert any(line.get("runs") == [1, 2] for line in curves)  # the two seeds, averaged


def test_a_run_is_shown_with_its_evaluations(tmp_path: Path) -> None:
    write(tmp_path / "recorded", Fake("resnet20"))
    (record,) = store.read_records(tmp_path / "recorded")
    evaluation = Evaluation("ten_crop", record.spec.hash, {"crops": 10}, {"top1_error": 8.25}, {})
    write_evaluation(record.folder, evaluation)
    page = report(tmp_path, ["table6"])
    anchor = run_anchor(record.run)
    assert f"{anchor}-ten_crop-top1_error" in parse(page).anchors
    assert f"{anchor}-file-evaluations/ten_crop.json" in parse(page).anchors
    assert ">8.25<" in page.read_text()


def test_the_same_records_give_the_same_page(tmp_path: Path) -> None:
    pages = []
    for name in "ab":
        write(tmp_path / name / "recorded", FAKES[0])
        pages.append(report(tmp_path / name, ["table6"]).read_bytes())
    assert pages[0] == pages[1]


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'"


def test_what_records_say_is_escaped(tmp_path: Path) -> None:
    write(tmp_path / "recorded", Fake("resnet20", device_name=HOSTILE))
    (folder,) = (p.parent for p in (tmp_path / "recorded").rglob("spec.json"))
    run = schema.RunId("cifar10", "resnet20", "paper", 0)
    (record,) = store.read_records(tmp_path / "recorded")
    spec = replace(record.spec, recipe=record.spec.recipe | {HOSTILE: HOSTILE})
    store.write_spec(folder, run, spec)
    store.write_result(folder, replace(record.result, spec_hash=spec.hash))
    write_evaluation(folder, Evaluation("e", spec.hash, {HOSTILE: HOSTILE}, {}, {}))
    harmless = tmp_path / "harmless"
    write(harmless / "recorded", Fake("resnet20"))
    page = report(tmp_path, ["table6"])
    assert "alert(1)" in page.read_text()
    assert HOSTILE not in page.read_text()
    assert len(parse(page).scripts) == len(parse(report(harmless, ["table6"])).scripts)
    assert "x" not in parse(page).sources


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_json_in_a_script_is_whole_and_cannot_end_it(value: object) -> None:
    text = script_json({"value": value, "sign": "</script>"})
    assert json.loads(text) == {"value": value, "sign": "</script>"}
    assert not set("<>&\u2028\u2029") & set(text)


def test_json_in_a_script_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        script_json(float("nan"))


# --- How much of the paper


def test_every_number_of_the_papers_own_is_counted_once() -> None:
    values = own_values()
    assert len(values) == len(set(values))
    assert all(value.own and not value.read_off for value in values)
    # Table 6: six errors and six counts of parameters; 110 layers' best and std are its mean's.
    assert sum(value.source == "table6" for value in values) == 12


def test_a_value_counts_in_its_best_state(tmp_path: Path) -> None:
    fakes = (
        Fake("resnet20", 8.75, parameters=269_722),
        Fake("resnet20", 12.0, protocol="short"),
        Fake("resnet32", 9.0, protocol="short", parameters=464_154),
        Fake("resnet44", 20.0),
    )
    write(tmp_path, *fakes)
    frames = read_frames([tmp_path])
    names = ("fig6", "table6")  # both show the same values
    found = count_states([table(artifacts.load(name).artifact, frames) for name in names])
    errors, exact, claims = found.parts
    assert errors.total + exact.total == len(own_values())
    assert claims.total == sum(len(artifacts.load(name).artifact.claims) for name in names)
    of_table6 = found.sources["Table 6"]
    assert of_table6["error rates"]["reduced"] == 1  # 32 layers; 20 layers has better
    assert of_table6["error rates"]["differs"] == 1  # 44 layers: too high
    # What is counted exactly doesn't make error rates reproduced.
    assert of_table6["error rates"]["reproduced"] + of_table6["error rates"]["consistent"] == 1
    assert of_table6["exact counts"]["reproduced"] == 3
    [of_table1] = found.sources["Table 1"].values()
    assert of_table1["missing"] == sum(of_table1.values())


# --- Networks

COUNTS = sorted((paths.RECORDED / "counts").glob("*.json"))
DRAWN = [path for path in COUNTS if not path.stem.endswith("-v1.5")]  # halved elsewhere


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_a_networks_layers_are_those_it_is_named_after(path: Path) -> None:
    """That they sum to the counts is checked by reading them."""
    net = read_network(path)
    weighted = [layer for layer in net.layers if layer.kind in ("conv", "fc")]
    assert len(weighted) == net.depth
    assert len({layer.name for layer in net.layers}) == len(net.layers)


def test_a_layer_costs_what_its_definition_says() -> None:
    layers = {layer.name: layer for layer in read_network(_count("resnet34-B")).layers}
    first = layers["layer2.0.conv1"]
    assert (first.words, first.output) == ("3x3, 128", (128, 28, 28))
    assert first.parameters == 64 * 128 * 9 + 2 * 128
    assert first.multiply_adds == 64 * 128 * 9 * 28 * 28
    assert layers["layer2.0.downsample"].parameters == 64 * 128 + 2 * 128
    vgg = {layer.name: layer for layer in read_network(_count("vgg19")).layers}
    assert vgg["fc.0"].parameters == 512 * 7 * 7 * 4096 + 4096


def test_layers_that_do_not_sum_to_the_count_are_refused(tmp_path: Path) -> None:
    value = json.loads(_count("resnet20").read_text())
    value["stages"][1]["layers"] = "4 x [3x3, 16; 3x3, 16]"
    path = tmp_path / "resnet20.json"
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match="the layers of layer1 sum to"):
        read_network(path)
    value["stages"][1]["layers"] = "three blocks"
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match="cannot read the layers 'three blocks'"):
        read_network(path)


def _count(name: str) -> Path:
    return paths.RECORDED / "counts" / f"{name}.json"


def test_every_layer_of_fig_3_is_drawn(found: Found) -> None:
    for name in ("vgg19", "plain34", "resnet34-A"):
        for layer in read_network(_count(name)).layers:
            assert f"net-{name}-{layer.name}" in found.anchors


# --- Two languages

HAN = re.compile("[\u4e00-\u9fff]")
SAME = {"n", "digest"}  # signs, no language
HOLES = re.compile(r"\{[^}]*\}")


def test_every_word_is_there_in_both_languages() -> None:
    for key, (en, zh) in texts.texts().items():
        if key in SAME:
            assert en == zh
        elif key == "switch_language":  # each names the other
            assert HAN.search(en)
        else:
            assert HAN.search(zh), key
            assert not HAN.search(en), key


def test_every_word_is_used_and_every_used_one_is_there() -> None:
    files = [*PACKAGE.glob("*.*"), PACKAGE.parent / "sections" / "summary.py"]
    source = "".join(
        p.read_text() for p in files if p.suffix in (".js", ".py", ".j2") and p.name != "words.py"
    )
    known = set(texts.texts())
    named = set(re.findall(r"\b(?:t|only|label|text|own)\(\"(\w+)\"", source))
    assert named <= known
    unused = {key for key in known if not re.search(rf"[\"'.]{key}\b|\b{key}:", source)}
    assert unused - {f"responses_{order}" for order in ("original", "sorted")} == set()


@pytest.mark.slow
def test_nothing_on_the_page_is_in_one_language_only(tmp_path: Path) -> None:
    """Of the committed records, and of runs that make every verdict and note appear.

    A sentence that is listed here is no message where it is made: mark it with `_`. What an
    artifact declares in English alone may stay so.
    """
    declared = [artifacts.load(name).artifact for name in artifacts.names()]
    english = {
        text
        for a in declared
        for text in (a.title, a.says, a.section, *a.notes, *(claim.text for claim in a.claims))
        if not isinstance(text, Message)
    }
    fakes = [
        *(Fake(f"resnet{d}", 7.0 + s, seed=s) for d in (20, 32, 44, 110) for s in (0, 1)),
        *(Fake(f"plain{d}", d / 4, d / 8) for d in (20, 32, 44, 56)),
        Fake("resnet56", None, None, status="diverged"),
        Fake("resnet110-nowarmup", 7.0, network="resnet110", dirty=True),
        Fake("resnet56-B", 7.0, precision="bf16", device_name="Other", protocol="short"),
        *(Fake(n, 5.0, protocol="demo", dataset="digits") for n in ("plain20-w8", "plain56-w8")),
    ]
    write(tmp_path / "recorded", *fakes)
    places = [tmp_path / "recorded", paths.RECORDED]
    for number, results in enumerate(places):
        page = tmp_path / f"{number}.html"
        write_report([results], tmp_path / "figures", tmp_path / "tables", page=page)
        marked = re.findall(r"data-untranslated>([^<]*)<", page.read_text())
        assert sorted({*map(html.unescape, marked)} - english) == []


def test_an_artifact_in_english_alone_is_english_on_both() -> None:
    assert 'lang="en"' in texts.said("Nobody translated this.")


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (artifacts.load("fig6").artifact.section, "第 4.2 节、图 6"),
        (
            published_for(Published("plain20", "test_error", "fig6", "plain-20"))[0].where,
            "读自图 6，50,000-64,000 次迭代的均值",  # noqa: RUF001
        ),
        (
            claim_near(3.4, 0.2, (1, 1), 0.5, by=3.5).detail,
            "最终值、预期 3.5、界限 0.5",
        ),
        (
            claim_throughout([[2.0, 0.0], [3.0, 0.0]], [[0.0, 0.0], [0.5, 0.0]], 0.0, 3).detail,
            "2 行中的 1 行、0 个超出噪声、不计随机水平的 3 行",
        ),
        (
            claim_higher(1.0, None, (1, 1)).label,
            "成立（单个种子，离散程度未知）",  # noqa: RUF001
        ),
        ("missing", "尚缺"),
        (_("Nobody translated this, at {n} layers.", n=20), None),
        ("Nobody translated this.", None),
    ],
)
def test_messages_are_translated_with_what_fills_them(english: str, chinese: str | None) -> None:
    assert translated(english, "zh_CN") == chinese


READMES = ("README.md", "README.zh-CN.md")


@pytest.mark.parametrize(
    "pattern",
    [
        r"^#+ ",  # headings, by level
        r"<!-- \w+:(?:start|end) -->",
        r"^    +[^#\s][^#\n]*?(?= *(?:#|$))",  # commands, without their comments
        r"\]\(((?!README)[^)]+)\)",  # links
        r"^<!-- (?!state)\w+:start -->.*?^<!-- \w+:end -->",  # what is written by commands
    ],
)
def test_both_readmes_say_the_same(pattern: str) -> None:
    flags = re.MULTILINE | (re.DOTALL if ".*?" in pattern else re.NOFLAG)
    first, second = (re.findall(pattern, (REPO / name).read_text(), flags) for name in READMES)
    assert first
    second = [re.sub(r"\.zh-CN\.md$", ".md", text) for text in second]  # a guide's own translation
    assert first == second


def test_each_readme_leads_to_the_other() -> None:
    for name, other in (READMES, READMES[::-1]):
        assert f"]({other})" in (REPO / name).read_text().splitlines()[0]


def test_the_charting_library_is_the_one_that_is_named() -> None:
    vendor = PACKAGE / "vendor"
    named = re.findall(r"\| (\S+) \| ([0-9a-f]{64}) \|", (vendor / "README.md").read_text())
    assert len(named) == 2
    for name, digest in named:
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
    assert "The MIT License" in (vendor / "uPlot.LICENSE").read_text()


# --- The README


def test_the_readme_is_renewed_between_its_markers(tmp_path: Path) -> None:
    write(tmp_path / "recorded", *FAKES)
    readme = tmp_path / "README.md"
    readme.write_text(
        "before\n<!-- table6:start -->\nstale\n<!-- table6:end -->\nbetween\n"
        "<!-- time:start -->\n<!-- time:end -->\n<!-- state:start --><!-- state:end -->\nafter\n"
    )
    report(tmp_path, ["table6"], readme)
    text = readme.read_text()
    assert "stale" not in text
    assert "| ResNet-20 | 269,722 | 8.75 | 8.80 ± 0.14 (n = 2) |" in text.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "37 error rates" in text
    assert text.startswith("before\n<!-- table6:start -->\n")
    assert "\n<!-- table6:end -->\nbetween\n<!-- time:start -->\n| network |" in text
    assert text.endswith("<!-- state:end -->\nafter\n")


def test_a_file_without_the_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("<!-- a:end --> <!-- a:start -->")
    with pytest.raises(UserError, match="needs one line <!-- a:start -->"):
        update_between_markers(path, "a", "text")
    assert path.read_text() == "<!-- a:end --> <!-- a:start -->"
