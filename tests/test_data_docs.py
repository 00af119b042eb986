"""The examples of docs/data.md run as they stand there."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
SCORES, TABLES, PICTURES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def page(dataset, recalls, tmp_path, monkeypatch):
    """The names that the page says there are."""
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


def test_the_blocks_of_the_page_run(page):
    dataset = page["dataset"]
    exec(SCORES, page)
    assert dataset.values("loss") == dataset.values("el2n") == page["frame"]["loss"].tolist()
    assert dataset.get_field("certainty").info["hard"] == "low"
    exec(TABLES, page)
    assert len(page["table"]) == len(page["both"]) == 10
    assert page["bins"][["kept", "pruned"]].sum().sum() == 300
    assert list(page["accuracies"].index) == ["before"]
    exec(PICTURES, page)
    assert page["figure"].layout.title.text == "Loss"
    assert Path("loss.html").stat().st_size > 1000
