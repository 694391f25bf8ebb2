"""The notebooks' training is the recorded runs', without the record."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.evaluate.single_view import single_view_error
from resnet_repro.models.blocks import initialise
from resnet_repro.models.construct import construct
from resnet_repro.notebook import RATE, train, train_seeds, training_error
from resnet_repro.notebook.training import train_on_digits
from resnet_repro.paper import artifacts
from resnet_repro.records import schema, store
from resnet_repro.runtime.device import choose
from resnet_repro.sweep import plan
from resnet_repro.train.trainer import Trainer
from tests.helpers.training_jobs import pixels_of

pytestmark = pytest.mark.usefixtures("_one_thread")

NETWORK = "resnet8-w4"


def test_it_trains_as_a_recorded_run_does(tmp_path: Path) -> None:
    trained = train_on_digits(NETWORK, iterations=64, seed=3)
    artifact = artifacts.load("demo").artifact
    arm = artifacts.Arm(NETWORK, NETWORK, dataset="digits")
    request = plan.Request(
        dataclasses.replace(artifact, arms=(arm,), claims=()),
        seeds=(3,),
        iterations=64,
        changes=(("lr", str(RATE)),),
        results=tmp_path / "results",
    )
    settings = plan.Settings(
        choose("cpu", "fp32"), data_root=None, cache=tmp_path / "cache", results=request.results
    )
    (run,) = plan.execute(request, settings, lambda event: None)
    rows = store.read_table(run.folder(request.results) / "metrics.csv", schema.METRICS)
    recorded = {int(row["iteration"]): row for row in rows}
    for row in trained.rows:
        # The record has more rows, so its training figures are over shorter intervals.
        for key in ("lr", "test_loss", "test_error"):
            assert row[key] == pytest.approx(float(recorded[int(row["iteration"])][key]), rel=1e-4)
    assert trained.rows[-1]["iteration"] == 64


def test_the_model_comes_in_eval_mode_and_gives_the_last_row() -> None:
    trained = train_on_digits(NETWORK, iterations=10)
    assert not trained.model.training
    last = trained.rows[-1]
    loss, error = single_view_error(trained.model, trained.trainer.source)
    assert loss == pytest.approx(last["test_loss"], rel=1e-5)
    assert error == last["test_error"]


def test_the_training_error_is_that_of_the_images_it_learned_from(digits: Dataset) -> None:
    trained = train_on_digits(NETWORK, iterations=40)
    source = pixels_of(trained.trainer)
    mean = torch.from_numpy(digits.train.images).double().mean(0).float()
    x = torch.from_numpy(digits.train.images).float() - mean
    with torch.no_grad():
        wrong = trained.model(x).argmax(1) != torch.from_numpy(digits.train.labels)
    error = training_error(trained.model.train(), trained.source)
    assert error == pytest.approx(100 * wrong.double().mean().item(), abs=100 * 2 / len(wrong))
    assert trained.model.training  # the mode it came in
    assert len(source.train_labels) == len(wrong)


def test_rows_cover_every_iteration_once() -> None:
    rows = train_on_digits(NETWORK, iterations=35).rows
    at = [row["iteration"] for row in rows]
    assert at == sorted(set(at))
    assert at[-1] == 35
    assert 10 <= len(rows) <= 12
    assert all(0 <= row["train_error"] <= 100 for row in rows)


def test_keep_sees_the_network_before_the_first_step_and_after_each() -> None:
    seen: list[tuple[int, bool, float, bool]] = []

    def keep(done: int, trainer: Trainer) -> None:
        first = next(trainer.model.parameters())
        seen.append((done, trainer.model.training, first.sum().item(), first.grad is None))

    train_on_digits(NETWORK, iterations=3, keep=keep)
    assert [done for done, *_ in seen] == [0, 1, 2, 3]
    assert all(training for _, training, *_ in seen)
    assert len({total for *_, total, _ in seen}) == 4  # every step moved the weights
    assert [absent for *_, absent in seen] == [True, False, False, False]


def test_a_seed_repeats_itself_and_another_differs() -> None:
    once, again = (train_on_digits(NETWORK, iterations=6, seed=1) for _ in range(2))
    other = train_on_digits(NETWORK, iterations=6, seed=2)
    assert once.rows == again.rows
    assert once.rows != other.rows


@pytest.mark.parametrize(("network", "iterations"), [("resnet9", 10), (NETWORK, 0)])
def test_what_cannot_be_trained_is_refused(network: str, iterations: int) -> None:
    with pytest.raises(UserError):
        train_on_digits(network, iterations=iterations)


def test_training_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    train_on_digits(NETWORK, iterations=1)
    assert torch.get_num_threads() == before


def test_a_net_of_ones_own_trains_as_the_suites_does_from_the_same_weights() -> None:
    own = construct(NETWORK, in_channels=1)  # PyTorch's batch normalisation
    initialise(own, "fan_out", 5)
    rows = train_on_digits(own, iterations=4, seed=5, rows=4).rows
    wanted = train_on_digits(NETWORK, iterations=4, seed=5, rows=4).rows
    for row, suites in zip(rows, wanted, strict=True):
        assert row == pytest.approx(suites, rel=1e-3)


def test_several_nets_and_seeds_are_trained_by_their_names() -> None:
    seen: list[tuple[str, int]] = []

    def keep(name: str, done: int, trainer: Trainer) -> None:
        seen.append((name, done))

    own = construct(NETWORK, in_channels=1)
    nets = train(NETWORK, models={"mine": own}, iterations=1, keep=keep)
    assert seen == [(NETWORK, 0), (NETWORK, 1), ("mine", 0), ("mine", 1)]
    assert nets["mine"].model is own
    seeds = train_seeds(NETWORK, (0, 1), iterations=1)
    assert seeds[0].rows == nets[NETWORK].rows
    assert seeds[0].rows != seeds[1].rows
