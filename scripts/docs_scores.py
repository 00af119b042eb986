"""Write docs/scores.md from the registry of scores: ``python scripts/docs_scores.py``.

The part of the page on recording a training is written by hand, and stays.
"""

from collections.abc import Mapping
from pathlib import Path

from fiftyone_drop.scoring import SCORES, Score, Whole

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scores.md"
FAMILIES = {
    "logits": ("One forward pass", "a model, stored logits, or nothing: query models then"),
    "features": ("One forward pass and the last layer's inputs", "a model that reads images"),
    "model": ("Per-sample gradients", "a model that reads images"),
    "embeddings": ("Geometry", "a model that reads images"),
    "dynamics": ("Training dynamics", "a training run: `DynamicsRecorder`"),
    "nothing": ("Baseline", "nothing"),
}
INTRODUCTION = """\
# Difficulty scores

The tables are written by `scripts/docs_scores.py` from the registry; a test compares them. "Hard"
says which end is hard, and so what `apply_drop(select=..., keep="hardest")` keeps first. A switch
is passed to `compute_scores` or `DynamicsRecorder` by its name; its default comes first.

`compute_scores` computes all of its scores in one pass over the images. `DynamicsRecorder` records
all of its scores from the logits of one training run: see
[Recording a training](#recording-a-training). For a score of your own see
[Your own score, your own rule](extending.md).
"""
BY_HAND = "## Recording a training\n"


def render(scores: Mapping[str, Score] = SCORES) -> str:
    """The page."""
    parts = [INTRODUCTION]
    for needs, (title, words) in FAMILIES.items():
        members = [score for score in scores.values() if score.needs == needs]
        if members:
            parts.append(f"## {title}\n\nNeeds {words}.\n")
            parts.append("| score | hard | what it is | switches | source |\n|---|---|---|---|---|")
            parts += [_row(score) for score in members]
            parts.append("")
    return "\n".join(parts) + "\n" + BY_HAND + PAGE.read_text().partition(BY_HAND)[2]


def _row(score: Score) -> str:
    end = score.hard or f"no end; {score.kept_first} is kept first"
    switches = "<br>".join(
        f"`{name}`: {allowed if isinstance(allowed, Whole) else ', '.join(map(repr, allowed))}"
        for name, allowed in score.conventions.items()
    )
    cells = [f"`{score.name}`", end, score.description, switches, score.source]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(render())
