"""Every block of Python on every page runs as it stands there, and every link leads somewhere."""

import re
import socket
import uuid
import warnings
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
import torch
from pages import DOCS, ROOT, all_pages, run
from temporary import deleting_datasets
from torch import nn
from torchvision.transforms import v2

import fiftyone_drop as fod
from fiftyone_drop.scoring import SCORES

DIGITS, IMAGES = "fiftyone-drop-digits", "my-images"
# Pages that say what there must be before: a test of their own makes it, and looks at the result
TRAINERS = {"howto/lightning.md": "lightning_aum", "howto/hugging-face.md": "hf_aum"}
OWN = {"cluster.md", "extending.md", "data.md", "offsets.md", "howto/own-loop.md", *TRAINERS}


@pytest.fixture(scope="module")
def bare(all_digits):
    """The digits as `make demo` has them: labels and no tags."""
    with deleting_datasets() as made:
        made.append(all_digits.select_fields("ground_truth").clone(persistent=True))
        made[0].untag_samples("train")
        yield made[0]


@pytest.fixture(scope="module")
def prepared(bare):
    """The dataset of the pages, as the last block of docs/start.md makes it."""
    import fiftyone as fo

    with deleting_datasets() as made:
        made.append(bare.clone(DIGITS, persistent=True))
        names = run("start.md", {"fo": fo}, "A dataset for the other pages")
        fo.delete_dataset(DIGITS)
        made[0] = names["dataset"]
        made[0].name = f"prepared-{uuid.uuid4().hex}"
        yield made[0]


@pytest.fixture
def shell(prepared, bare, tmp_path, monkeypatch):
    """The names of a fresh shell in an empty folder, in a database with the two datasets."""
    import fiftyone as fo

    monkeypatch.chdir(tmp_path)
    before = set(fo.list_datasets())
    bare.clone(DIGITS, persistent=True)
    prepared.clone(IMAGES, persistent=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        warnings.simplefilter("default", fod.DropWarning)  # 300 digits are few, which is said
        yield {"__name__": "__main__"}
    for name in set(fo.list_datasets()) - before:  # pages make datasets, and replace these two
        fo.delete_dataset(name)


@pytest.mark.parametrize("page", [page for page in all_pages() if page not in OWN])
def test_every_block_of_the_page_runs_in_a_fresh_shell(page, shell):
    run(page, shell)


def test_a_page_with_a_test_of_its_own_has_python():
    assert set(all_pages()) >= OWN


def links():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if "://" not in target:
                yield page, unquote(target)


def anchors(page):
    """The anchors of the headings, as code hosts make them."""
    return set(anchors_of(page.read_text()))


def anchors_of(text):
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def test_every_link_inside_the_repository_leads_to_a_file_and_a_heading():
    broken = []
    for page, target in links():
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append((str(page.relative_to(ROOT)), target))
    assert broken == []


def clicks_to(page, anchor=""):
    """The fewest links to follow from the README to a page, or to a heading on it.

    The headings of a page are links beside it, on the site and on code hosts.
    """
    found = [
        (source, (source.parent / target.partition("#")[0]).resolve(), target.partition("#")[2])
        for source, target in links()
        if target.partition("#")[0].endswith(".md")
    ]
    at = {(ROOT / "README.md", "")}
    for clicks in range(5):
        if any(there == page and anchor in ("", heading) for there, heading in at):
            return clicks
        pages = {there for there, _ in at}
        at = {(there, heading) for source, there, heading in found if source in pages}
        at |= {(there, heading) for there in pages for heading in anchors(there)}
    raise AssertionError(f"no way leads to {page}")


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_every_page_is_at_most_two_clicks_from_the_readme(page):
    assert clicks_to(page) <= 2


# What a new user wants, the page and the heading that answer it, and what the answer has in it
TASKS = {
    "prune my training split to 5,000 images and export it": (
        "howto/budgets.md",
        ["size=", "match_tags", ".export("],
    ),
    "I have logits in a file": ("howto/predictions.md#logits-in-a-file", ["np.load", "logits="]),
    "my run disappeared from the App": ("faq.md#runs", ["list_drops", "drop_view", "persistent"]),
    "my classes are long-tailed": ("howto/long-tails.md", ["class_offsets", "min_per_class="]),
    "two of us prune the same dataset": ("howto/shared.md", ["key=", "lease", "overwrite=True"]),
    "which samples were cut and why": (
        "howto/which-were-cut.md",
        ["-pruned", "load_drop", "_keep_at"],
    ),
    "train in my own PyTorch loop": ("howto/train.md", ["DataLoader(", "suggested_epochs("]),
    "a new batch of images arrived": ("howto/grown.md", ["extend_drop("]),
    "undo everything": (
        "howto/undo.md",
        ["delete_drop(", "delete_sample_field(", "update-and-remove"],
    ),
    "a billion rows in Parquet": ("cluster.md#above-100-million", ["plan_parquet(", "kept_only"]),
    "some of my labels are wrong": ("howto/label-noise.md", ["drop_above=", "drop_below="]),
    "keep all cats and at most 100 of each other class": (
        "choosing.md#which",
        ["protect=", "max_per_class="],
    ),
    "the App shows no operator": ("faq.md#getting-started", ["install-plugin"]),
}


@pytest.mark.parametrize(("place", "answer"), TASKS.values(), ids=TASKS)
def test_a_task_of_a_new_user_is_answered_at_most_two_clicks_from_the_readme(place, answer):
    name, _, anchor = place.partition("#")
    page = DOCS / name
    assert clicks_to(page, anchor) <= 2
    text = page.read_text()
    if anchor:  # from this heading to the next one of its depth
        sections = re.split(r"^(?=#{1,2} )", text, flags=re.MULTILINE)
        text = next(s for s in sections if anchors_of(s)[:1] == [anchor])
    assert [words for words in answer if words not in text] == []


def test_the_reference_pages_are_those_of_the_code():
    import docs_reference

    assert docs_reference.API.read_text() == docs_reference.api(), "run: make docs"
    assert docs_reference.OPERATORS.read_text() == docs_reference.operators(), "run: make docs"


@pytest.mark.slow
def test_the_notebook_is_the_tutorial_and_runs(shell):
    import docs_notebook
    import nbformat

    there = nbformat.read(docs_notebook.NOTEBOOK, 4)
    made = docs_notebook.executed()
    assert [c.source for c in there.cells] == [c.source for c in made.cells], "run: make notebook"
    assert there.cells[-1].outputs[0].output_type == "display_data"
    assert made.cells[-1].outputs[0].output_type == "display_data"


# -- pages with names of their own ----------------------------------------------------------------


@pytest.fixture
def registries():
    """The registered scores and rules; those of a test go with it."""
    from fiftyone_drop.rules import RULES

    tables = [(table, dict(table)) for table in (SCORES, RULES)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)


@pytest.fixture
def extending(dataset, registries):
    """What docs/extending.md says there is: labelled images, and a classifier of them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 10))
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    model.transform = lambda image: transform(image)  # as a module it would become a layer
    model.classes = sorted(dataset.distinct("ground_truth.label"))
    return {"dataset": dataset, "model": model, "__name__": "__main__"}


SCORE = slice(0, 2)  # blocks of docs/extending.md, before its rules


def test_the_scores_of_the_page_on_extending_run(extending, dataset):
    run("extending.md", extending, only=SCORE)
    assert dataset.get_field("confusion").info["convention"] == {"rival": "all"}
    assert len(extending["view"]) == 150
    for label in extending["model"].classes:
        own = dataset.match({"ground_truth.label": label})
        kept = extending["view"].match({"ground_truth.label": label}).values("confusion")
        assert sorted(kept) == sorted(own.values("confusion"))[-len(kept) :]

    recorder, logits = extending["recorder"], torch.randn(2, 300, 10)
    for epoch in logits:
        recorder.update(range(300), epoch)
        recorder.end_epoch()
    recorder.finish()
    p = logits.double().softmax(2)
    expected = -(p * p.log()).sum(2).mean(0)
    np.testing.assert_allclose(dataset.values("mean_entropy"), expected, rtol=1e-5)


def test_the_rules_of_the_page_on_extending_run(extending, dataset):
    run("extending.md", extending)
    classes = extending["model"].classes
    sizes = dataset.count_values("ground_truth.label")
    weights = [sizes[name] ** 0.5 * (1 - extending["recalls"][name]) for name in classes]
    kept = fod.drop_view(dataset, "by_error", 0.1).count_values("ground_truth.label")
    quotas = 30 * np.array(weights) / sum(weights)
    np.testing.assert_allclose([kept[name] for name in classes], quotas, atol=1.5)

    members = [dataset.match({"ground_truth.label": name}) for name in classes]
    weights = [len(own) * own.mean("confusion") for own in members]
    kept = extending["view"].count_values("ground_truth.label")
    quotas = 60 * np.array(weights) / sum(weights)
    np.testing.assert_allclose([kept[name] for name in classes], quotas, atol=1.5)
    run("extending.md", extending)  # cells that run twice


@pytest.fixture
def data(dataset, recalls, tmp_path, monkeypatch):
    """What docs/data.md says there is: two runs, and a table of scores."""
    monkeypatch.chdir(tmp_path)
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    dataset.apply_drop(0.5, label_field="ground_truth", rule="none", key="random")
    paths = dataset.values("filepath")
    folder = str(Path(paths[0]).parents[1])
    values = np.random.default_rng(0).random(300)
    frame = pd.DataFrame(
        {
            "file": [path.replace(folder, "/cluster/images") for path in paths],
            "label": dataset.values("ground_truth.label"),
            "epoch": 7,
            "loss": values,
            "confidence": 1 - values,
        }
    )
    return {"dataset": dataset, "folder": folder, "frame": frame}


def test_the_blocks_of_the_page_on_tables_run(data):
    dataset = data["dataset"]
    run("data.md", data)
    assert dataset.values("loss") == dataset.values("el2n") == data["frame"]["loss"].tolist()
    assert dataset.get_field("certainty").info["hard"] == "low"
    assert len(data["table"]) == len(data["both"]) == 10
    assert data["bins"][["kept", "pruned"]].sum().sum() == 300
    assert list(data["accuracies"].index) == ["before"]
    assert data["figure"].layout.title.text == "Loss"
    assert Path("loss.html").stat().st_size > 1000


@pytest.fixture
def torchrun(monkeypatch):
    """The environment that torchrun gives, of one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))


def test_any_loop_and_several_processes_record_all_presentations(shell, torchrun):
    names = run("howto/own-loop.md", shell)
    for field, epochs in (("aum", 3), ("dual", 3), ("ddp_aum", 2)):
        assert None not in names["view"].values(field)
        assert names["dataset"].get_field(field).info["presentations"] == [epochs, epochs]
    assert names["hardest"].values("aum") == sorted(names["view"].values("aum"))


@pytest.mark.parametrize(("page", "field"), TRAINERS.items())
def test_trainers_record_all_presentations(page, field, shell):
    view = run(page, shell)["view"]
    assert None not in view.values(field)
    assert view._root_dataset.get_field(field).info["presentations"] == [2, 2]
