"""Scores over presentations, against their definitions and AUM's package; own accumulators."""

import numpy as np
import pytest
import torch
from histories import irregular, labels, record, regular, trainings
from hypothesis import given, settings
from hypothesis import strategies as st
from score_references import REFERENCES

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import Accumulator, DynamicsRecorder, register_score

# Made-up trainings present samples unevenly; a test of its own looks for the warning
pytestmark = pytest.mark.filterwarnings("ignore:Samples were presented unevenly")

SWITCHES = {
    "forgetting": {"never_learned": st.sampled_from(["max", "inf", "zero"])},
    "first_learned": {},
    "aum": {"aum_on": st.sampled_from(["logits", "softmax"])},
}


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.filterwarnings("ignore:After .* no sample has a value")
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_any_training_scores_as_the_definition_says(name, data):
    history, targets = data.draw(trainings())
    switches = {switch: data.draw(values) for switch, values in SWITCHES[name].items()}
    scores = record(history, targets, scores=[name], **switches).finish()[name]
    expected = REFERENCES[name](history, targets, **switches)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("history", [regular, irregular])
def test_aum_is_that_of_its_authors_package(history, tmp_path):
    # A GPU machine that has PyTorch alone lacks the package
    aum = pytest.importorskip("aum", reason="AUM's package, which it is compared with, is missing")
    calculator = aum.AUMCalculator(str(tmp_path))
    for epoch in history():
        samples = [i for i, _ in epoch]
        logits = torch.tensor(np.array([z for _, z in epoch]))
        calculator.update(logits, torch.from_numpy(labels()[samples]), samples)
    scores = record(history(), scores=["aum"]).finish()["aum"]
    for i, score in enumerate(scores):
        if calculator.counts[i]:
            assert score == pytest.approx(calculator.sums[i] / calculator.counts[i], rel=1e-5)
        else:
            assert np.isnan(score)


class LastEntropy(Accumulator):
    """The entropy of the newest prediction, by a column of its own."""

    def __init__(self, n):
        super().__init__()
        self.state = {"entropy": np.full(n, np.nan)}

    def column(self, logits, labels):
        return torch.distributions.Categorical(logits=logits).entropy()

    def see(self, samples, values):
        self.state["entropy"][samples] = values

    def result(self):
        return self.state["entropy"]


def test_ones_own_accumulator_may_compute_a_column_of_its_own(registry):
    register = register_score(
        "last_entropy", hard="high", needs="dynamics", description="Entropy.", source="a test"
    )
    assert register(LastEntropy) is LastEntropy
    scores = record(regular(), scores=["last_entropy", "aum"]).finish()
    last = np.array([z for _, z in sorted(regular()[-1], key=lambda row: row[0])])
    np.testing.assert_allclose(scores["last_entropy"], REFERENCES["entropy"](last, None), rtol=1e-5)
    np.testing.assert_array_equal(scores["aum"], record(regular(), scores=["aum"]).finish()["aum"])


@pytest.mark.parametrize(
    ("attribute", "value", "argument"),
    [("column", "entropyy", "column"), ("forward", "validation", "forward")],
)
def test_an_accumulator_that_asks_for_something_unknown_is_refused(
    registry, attribute, value, argument
):
    broken = type("Broken", (LastEntropy,), {attribute: value})
    register_score("broken", hard="high", needs="dynamics", description="None.", source="a test")(
        broken
    )
    with pytest.raises(DropError, match="must be one of") as error:
        DynamicsRecorder(2, [0, 1], scores=["broken"])
    assert error.value.argument == argument


def test_an_accumulator_whose_result_has_another_shape_is_refused(registry):
    class Wrong(LastEntropy):
        def result(self):
            return self.state["entropy"][:, None]

    register_score("wrong", hard="high", needs="dynamics", description="None.", source="a test")(
        Wrong
    )
    recorder = DynamicsRecorder(2, [0, 1], scores=["wrong"])
    with pytest.raises(DropError, match=r"'wrong' must return .* shape \(2,\).*\(2, 1\)"):
        recorder.finish()
