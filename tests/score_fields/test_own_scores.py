"""A score of the user's own goes everywhere that a registered score goes."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.scoring import SCORES, Accumulator, Whole, register_score

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRANSFORM = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])


@pytest.fixture(autouse=True)
def registry(tmp_path, monkeypatch):
    """The registered scores; what a test registers goes with it, and so do its checkpoints."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = dict(SCORES)
    yield SCORES
    SCORES.clear()
    SCORES.update(before)


@pytest.fixture
def small(make_dataset):
    """40 digits."""
    return make_dataset(40)


def register(name, needs, hard="high", **more):
    return register_score(
        name, hard=hard, needs=needs, description=f"The test's {name}.", source="a test", **more
    )


def register_one_of_each_need():
    @register("confusion", "logits", conventions={"rival": ("strongest", "all")})
    def confusion(logits, labels, *, rival):
        others = torch.softmax(logits, 1).scatter(1, labels[:, None], 0)
        return others.amax(1) if rival == "strongest" else others.sum(1)

    @register("energy", "features", "low", conventions={"power": Whole(2, 1)})
    def energy(logits, labels, features, *, power):
        return features.abs().pow(power).sum(1)

    @register("sensitivity", "model")
    def sensitivity(module, inputs, labels):
        inputs = inputs.clone().requires_grad_()
        loss = nn.functional.cross_entropy(module(inputs), labels, reduction="sum")
        return torch.autograd.grad(loss, inputs)[0].flatten(1).norm(dim=1)

    @register("extremity", "embeddings", hard=None, kept_first="low", uses_labels=False)
    def extremity(embeddings, labels):
        table = np.asarray(embeddings, np.float64)
        return np.linalg.norm(table - table.mean(0), axis=1)

    @register("last_digits", "nothing", uses_labels=False)
    def last_digits(keys):
        return np.array([int(key[-4:], 16) for key in keys])

    return ["confusion", "energy", "sensitivity", "extremity", "last_digits"]


class MeanEntropy(Accumulator):
    """Mean entropy of the predictions from some epoch on."""

    def __init__(self, n, *, first):
        super().__init__()
        self.first = first
        self.state = {"sum": np.zeros(n), "count": np.zeros(n), "epoch": np.zeros((), int)}

    def column(self, logits, labels):
        return torch.distributions.Categorical(logits=logits).entropy()

    def see(self, samples, values):
        if self.state["epoch"] >= self.first:
            np.add.at(self.state["sum"], samples, values)
            np.add.at(self.state["count"], samples, 1)

    def end_epoch(self):
        self.state["epoch"] += 1

    def result(self):
        return self.state["sum"] / self.state["count"]


def network():
    torch.manual_seed(0)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 8), nn.Tanh())
    return module.append(nn.Linear(8, 10)).eval()


def expected_scores(samples, module):
    """The five scores of a dataset, one sample at a time."""
    table = {name: [] for name in ("confusion", "energy", "sensitivity", "features", "last_digits")}
    for sample in samples:
        image = TRANSFORM(Image.open(sample.filepath).convert("RGB"))[None].requires_grad_()
        y = CLASSES.index(sample.ground_truth.label)
        features = module[:-1](image)
        log_p = module[-1](features)[0].log_softmax(0)
        (gradient,) = torch.autograd.grad(-log_p[y], image)
        table["confusion"].append(max(p for c, p in enumerate(log_p.exp().tolist()) if c != y))
        table["energy"].append((features**2).sum().item())
        table["sensitivity"].append(gradient.norm().item())
        table["features"].append(features[0].tolist())
        table["last_digits"].append(int(sample.id[-4:], 16))
    features = np.array(table.pop("features"))
    table["extremity"] = np.linalg.norm(features - features.mean(0), axis=1)
    return table


def test_one_score_of_each_need_is_computed_from_images(small):
    names, module = register_one_of_each_need(), network()
    written = fod.compute_scores(
        small, scores=names, model=module, transform=TRANSFORM, classes=CLASSES
    )
    assert sorted(written) == sorted(names)
    for name, values in expected_scores(small, module).items():
        np.testing.assert_allclose(small.values(name), values, rtol=1e-4)
        info = small.get_field(name).info
        assert info["score"] == name
        assert info["description"] == f"The test's {name}."
        assert (info["hard"], info["kept_first"]) == (SCORES[name].hard, SCORES[name].kept_first)
    assert small.get_field("energy").info["convention"] == {"power": 2}


def test_its_switches_are_arguments_and_its_field_selects(small):
    register_one_of_each_need()
    arguments = {"model": network(), "transform": TRANSFORM, "classes": CLASSES}
    fod.compute_scores(small, scores=["confusion"], rival="all", **arguments)
    assert small.get_field("confusion").info["convention"] == {"rival": "all"}
    view = small.apply_drop(density=0.25, rule="none", select="confusion")
    hardest = sorted(small.values("confusion"))[-10:]
    assert sorted(view.values("confusion")) == hardest
    with pytest.raises(DropError, match=r"must be one of \['strongest', 'all'\]") as error:
        fod.compute_scores(small, scores=["confusion"], rival="none", **arguments)
    assert error.value.argument == "rival"


@pytest.mark.parametrize("needs", ["logits", "features", "model", "embeddings", "nothing"])
def test_a_result_that_is_not_one_number_per_sample_is_refused(small, needs):
    register("wrong", needs)(lambda *arguments: torch.zeros(3, 1))
    with pytest.raises(DropError, match=r"'wrong' must return .* but returned the shape \(3, 1\)"):
        fod.compute_scores(
            small, scores=["wrong"], model=network(), transform=TRANSFORM, classes=CLASSES
        )
    assert not small.has_field("wrong")


def test_a_score_that_takes_gradients_gets_them_inside_no_grad(small):
    names, module = register_one_of_each_need(), network()
    with torch.no_grad():
        fod.compute_scores(
            small, scores=names[2:3], model=module, transform=TRANSFORM, classes=CLASSES
        )
    expected = expected_scores(small, module)["sensitivity"]
    np.testing.assert_allclose(small.values("sensitivity"), expected, rtol=1e-4)


def test_a_cell_that_runs_twice_computes_by_its_newest_function(small):
    import fiftyone as fo

    logits = np.eye(10)[np.arange(40) % 10]
    small.set_values("predictions", [fo.Classification(label="x", logits=row) for row in logits])
    for factor in (1, 2):

        @register("scaled", "logits", uses_labels=False)
        def scaled(logits, labels, factor=factor):
            return factor * logits[:, 3]

        fod.compute_scores(small, "ground_truth", ["scaled"], model="predictions", classes=CLASSES)
        assert small.values("scaled") == (factor * logits[:, 3]).tolist()


def register_scaled(factor, needs="logits"):
    """Run the cell that defines ``scaled``, with a function of its own that it calls."""

    def times(values):
        return factor * values

    @register("scaled", needs, uses_labels=False)
    def scaled(first, *labels):
        return times(first[:, 3] if needs == "logits" else np.arange(len(first)))


class Broken(nn.Module):
    """A network that is interrupted at a call, the first of which tries it out."""

    def __init__(self, at=None):
        super().__init__()
        self.inner, self.calls = network(), [0, at]

    def forward(self, images):
        self.calls[0] += 1
        if self.calls[0] == self.calls[1]:
            raise KeyboardInterrupt
        return self.inner(images)


def test_an_interrupted_call_goes_on_with_the_same_function_and_begins_anew_with_a_corrected_one(
    small,
):
    arguments = {"transform": TRANSFORM, "classes": CLASSES, "batch_size": 10}
    register_scaled(1)
    fod.compute_scores(small, scores=["scaled"], model=network(), prefix="whole_", **arguments)
    expected = np.array(small.values("whole_scaled"))
    for factor, calls in [(1, 1 + 2), (2, 1 + 4)]:
        register_scaled(1)
        with pytest.raises(KeyboardInterrupt):
            fod.compute_scores(small, scores=["scaled"], model=Broken(at=4), **arguments)
        register_scaled(factor)
        module = Broken()
        fod.compute_scores(small, scores=["scaled"], model=module, **arguments)
        assert module.calls[0] == calls
        np.testing.assert_allclose(small.values("scaled"), factor * expected, rtol=1e-6)


def test_a_corrected_function_of_embeddings_finds_those_of_the_call_that_it_failed_in(small):
    arguments = {"transform": TRANSFORM, "classes": CLASSES, "batch_size": 10}
    register("lengths", "embeddings")(lambda embeddings, labels: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fod.compute_scores(small, scores=["lengths"], model=Broken(), **arguments)
    register("lengths", "embeddings")(lambda table, labels: np.linalg.norm(table, axis=1))
    module = Broken()
    fod.compute_scores(small, scores=["lengths"], model=module, **arguments)
    assert module.calls[0] == 1
    assert small.exists("lengths").count() == 40


@pytest.mark.parametrize("needs", ["logits", "nothing"])
def test_the_same_function_adds_to_its_field_and_a_corrected_one_replaces_all_of_it(small, needs):
    arguments = {"model": network(), "transform": TRANSFORM, "classes": CLASSES}
    register_scaled(1, needs)
    fod.compute_scores(small[:10], scores=["scaled"], **arguments)
    register_scaled(1, needs)
    fod.compute_scores(small[10:20], scores=["scaled"], **arguments)
    before = small.values("scaled")
    assert small.exists("scaled").count() == 20
    register_scaled(2, needs)
    with pytest.raises(DropError, match=r"overwrite: 20 samples .*'scaled'"):
        fod.compute_scores(small[20:], scores=["scaled"], **arguments)
    assert small.values("scaled") == before
    fod.compute_scores(small, scores=["scaled"], **arguments)
    assert small.exists("scaled").count() == 40


def test_a_training_records_it_and_its_file_is_imported(small, make_dataset, tmp_path):
    register("mean_entropy", "dynamics", conventions={"first": Whole(0, 0)})(MeanEntropy)
    logits = torch.randn(3, 40, 10, generator=torch.Generator().manual_seed(0))
    recorder = fod.DynamicsRecorder(small, scores=["mean_entropy", "aum"], first=np.int64(1))
    for epoch in logits:
        recorder.update(small.values("id"), epoch)
        recorder.end_epoch()
    assert sorted(recorder.finish()) == ["aum", "mean_entropy"]
    p = logits[1:].double().softmax(2)
    expected = -(p * p.log()).sum(2).mean(0)
    np.testing.assert_allclose(small.values("mean_entropy"), expected, rtol=1e-5)
    assert small.get_field("mean_entropy").info["convention"] == {"first": 1}

    recorder.save(tmp_path / "run.npz")
    assert "imported_mean_entropy" in fod.import_scores(
        small, tmp_path / "run.npz", prefix="imported_"
    )
    assert small.values("imported_mean_entropy") == small.values("mean_entropy")
    assert small.get_field("imported_mean_entropy").info["hard"] == "high"


def test_scores_from_elsewhere_have_its_direction(small):
    register_one_of_each_need()
    values = dict(zip(small.values("id"), np.linspace(0, 1, 40), strict=True))
    fod.import_scores(small, {"energy": values})  # says no `hard`, as it would have to otherwise
    assert small.get_field("energy").info["hard"] == "low"


def test_the_table_of_the_docs_has_a_row_for_it():
    from docs_scores import render

    register_one_of_each_need()
    switch = "`power`: a whole number >= 1 (default 2)"
    assert f"| `energy` | low | The test's energy. | {switch} | a test |" in render()
