"""Evaluations on disk: what they may hold, where they lie, and what `verify` finds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from resnet_repro.errors import UserError
from resnet_repro.paths import RECORDED
from resnet_repro.records import schema, store
from resnet_repro.records.counts import multiply_adds, read_count
from resnet_repro.records.evaluations import (
    Evaluation,
    ensemble_path,
    evaluation_path,
    find_ensembles,
    find_evaluations,
    read_ensembles,
    read_evaluation,
    read_evaluations,
    write_ensemble,
    write_evaluation,
)
from resnet_repro.records.verify import ensemble_problems, problems
from resnet_repro.report.load.records import read_frames
from resnet_repro.sweep import status
from tests.helpers.records import Fake, ensemble, imagenet, write

TEN_CROP = Evaluation(
    "ten_crop",
    "0" * 64,
    {"crops": "10", "sizes": [256], "crop": 224, "bn": "moving"},
    {"top1_error": 25.03, "top5_error": 7.76, "images": 50_000},
    {"device": "cpu"},
)

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.dictionaries(
    st.text(max_size=8).filter(lambda name: not name.endswith(("_error", "_errors"))),
    st.recursive(numbers, lambda x: st.lists(x, max_size=3)),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(values=values, settings=st.dictionaries(texts, st.none() | texts | st.lists(numbers)))
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object], settings: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("record")
    told = replace(TEN_CROP, values=values, settings=settings)
    assert write_evaluation(folder, told) == evaluation_path(folder, "ten_crop")
    assert read_evaluations(folder) == [told]


def test_a_second_of_one_name_replaces_the_first(tmp_path: Path) -> None:
    for top1 in (25.0, 24.0):
        write_evaluation(tmp_path, replace(TEN_CROP, values={"top1_error": top1}))
    [found] = read_evaluations(tmp_path)
    assert found.number("top1_error") == 24.0
    assert math.isnan(found.number("top5_error"))
    assert [p.name for p in (tmp_path / "evaluations").iterdir()] == ["ten_crop.json"]


def test_names_may_say_what_is_unusual_and_nothing_leads_elsewhere(tmp_path: Path) -> None:
    name = "dense+sizes=224,256+bn=recomputed"
    write_evaluation(tmp_path, replace(TEN_CROP, name=name))
    assert [e.name for e in read_evaluations(tmp_path)] == [name]
    for bad in ("../result", "", ".hidden", "a/b"):
        with pytest.raises(UserError, match="cannot name a folder"):
            write_evaluation(tmp_path, replace(TEN_CROP, name=bad))
    assert len(find_evaluations(tmp_path)) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, "high", True, None, [1.0, math.nan], {"a": 1}])
def test_values_are_finite_numbers_or_lists_of_them(tmp_path: Path, bad: object) -> None:
    with pytest.raises(UserError, match="top1_error is not a finite number"):
        write_evaluation(tmp_path, replace(TEN_CROP, values={"top1_error": bad}))
    with pytest.raises(UserError, match="JSON cannot hold"):
        write_evaluation(tmp_path, replace(TEN_CROP, settings={"crop": tmp_path}))
    assert find_evaluations(tmp_path) == []


DAMAGE = [
    ('"schema": 1', '"schema": 2', "another schema"),
    ('"name": "ten_crop"', '"name": "dense"', "holds the evaluation 'dense'"),
    ('"top1_error": 25.03', '"top1_error": "low"', "not a finite number"),
    ('"top1_error": 25.03', '"top1_error": NaN', "not whole JSON"),
    ('"execution": {', '"execution": [{', "not whole JSON"),
    ('"values": {', '"value": {', "unknown field `value`"),
    ('"settings": {', '"settings": null, "more": {', "unknown field `more`|got `null`"),
    (f'"spec_hash": "{"0" * 64}"', '"spec_hash": 0', "Expected `str`, got `int`"),
]


@pytest.mark.parametrize(("old", "new", "says"), DAMAGE, ids=[d[2] for d in DAMAGE])
def test_damaged_evaluations_are_named_in_one_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    path = write_evaluation(tmp_path, TEN_CROP)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=says) as caught:
        read_evaluation(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_object_where_a_list_stands_is_refused(tmp_path: Path) -> None:
    path = write_evaluation(tmp_path, TEN_CROP)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"settings": []}))
    with pytest.raises(UserError, match="Expected `object`, got `array`"):
        read_evaluation(path)


# Ensembles


def test_an_ensemble_lies_where_no_run_does(tmp_path: Path) -> None:
    write(tmp_path, imagenet("resnet50", 22.9, 6.7))
    path = ensemble(tmp_path, "dense-of2-0a1b2c3d", "resnet50/paper/seed0", "resnet101/paper/seed0")
    assert path == ensemble_path(tmp_path, "imagenet", "dense-of2-0a1b2c3d")
    # Even one that is named like a run's folders.
    write_ensemble(tmp_path, "imagenet", replace(TEN_CROP, name="seed0"))
    assert [str(run) for run, _ in store.find_runs(tmp_path)] == ["imagenet/resnet50/paper/seed0"]
    assert find_ensembles(tmp_path) == [path, path.with_name("seed0.json")]
    [(dataset, where, found), _] = read_ensembles(tmp_path)
    assert (dataset, where) == ("imagenet", path)
    assert found.members == ["resnet50/paper/seed0", "resnet101/paper/seed0"]
    assert found.spec_hash == ""


def test_members_are_read_in_either_form() -> None:
    told: list[object] = ["a/paper/seed0", {"run": "b/paper/seed1"}, {"network": "resnet50-v1.5"}]
    found = replace(TEN_CROP, settings={"members": told})
    assert found.members == ["a/paper/seed0", "b/paper/seed1", "resnet50-v1.5"]
    assert TEN_CROP.members == []


def test_an_ensemble_without_members_is_a_problem(tmp_path: Path) -> None:
    good = ensemble(tmp_path, "good", "resnet50/paper/seed0")
    assert ensemble_problems(good) == []
    bad = write_ensemble(tmp_path, "imagenet", TEN_CROP)
    assert ensemble_problems(bad) == [f"{bad}: names no members"]
    bad.write_text("{}")
    [problem] = ensemble_problems(bad)
    assert "another schema" in problem


# verify, and the report


def about(found: list[str]) -> list[str]:
    """Fabricated records name no files in result.json, which is a problem of its own."""
    return [text for text in found if "does not name" not in text]


def test_verify_finds_an_evaluation_of_another_spec(tmp_path: Path) -> None:
    fake = imagenet("resnet50", 22.9, 6.7)
    write(tmp_path, fake)
    folder = fake.run.folder(tmp_path)
    assert about(problems(fake.run, folder)) == []
    path = write_evaluation(folder, replace(TEN_CROP, spec_hash="1" * 64))
    assert about(problems(fake.run, folder)) == [f"{path}: made from another spec than spec.json"]
    with pytest.raises(UserError, match="evaluation 'ten_crop' was made from another spec"):
        read_frames([tmp_path])
    path.write_text("[]")
    assert len(about(problems(fake.run, folder))) == 1
    assert any("ten_crop.json" in p["problem"] for p in status.verify(tmp_path)["problems"])


def test_gradients_have_the_stages_of_their_network(tmp_path: Path) -> None:
    fakes = (imagenet("resnet50"), Fake("resnet20", gradients=(0.1, 0.2, 0.3, 0.4, 0.5)))
    write(tmp_path, *fakes)
    for fake in fakes:
        assert about(problems(fake.run, fake.run.folder(tmp_path))) == []
    found = read_frames([tmp_path]).gradients
    assert tuple(found.columns[-6:]) == schema.STAGES
    assert found[found["arm"] == "resnet20"]["layer4"].isna().all()
    assert found[found["arm"] == "resnet20"]["fc"].unique().tolist() == [0.5]
    assert found[found["arm"] == "resnet50"]["layer4"].unique().tolist() == [0.5]
    path = fakes[0].run.folder(tmp_path) / "gradients.csv"
    path.write_text(path.read_text().replace("layer4", "layer5"))
    [problem] = about(problems(fakes[0].run, path.parent))
    assert "gradients.csv has other columns" in problem


# What a step costs


def test_multiply_adds_are_those_committed_scaled_by_the_area() -> None:
    count = read_count(RECORDED / "counts" / "resnet34-A.json").multiply_adds
    assert multiply_adds("resnet34-A") == multiply_adds("resnet34-A", 224) == count
    assert multiply_adds("resnet34-A", 112) == round(count / 4)
    assert multiply_adds("resnet20", 32) == multiply_adds("resnet20")
    assert multiply_adds("resnet20-w8") is None


def test_multiply_adds_of_a_results_folder(tmp_path: Path) -> None:
    assert multiply_adds("resnet20", None, tmp_path) is None
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts" / "resnet32.json").write_text("{}")
    with pytest.raises(UserError, match="missing required field `name`"):
        multiply_adds("resnet32", None, tmp_path)
