"""Write docs/scores.md from the registry of scores: ``python scripts/docs_scores.py``."""

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
is passed to `compute_scores` or `DynamicsRecorder` by its name; its default comes first. `picks` is
how many samples are picked one by one (0: all), and `zcore_draws` how many random points decide
(0: ten per sample, a million at most).

`compute_scores` computes all of its scores in one pass over the images. `DynamicsRecorder` records
all of its scores from the logits of one training run: [your own loop](howto/own-loop.md),
[Lightning](howto/lightning.md) or [Hugging Face](howto/hugging-face.md). For a score of your own
see [Your own score, your own rule](extending.md).

## One model and one convention per field

Scores of two models do not compare, and neither do those of two conventions. So a field holds the
scores of one: its `info` says which (`score`, `convention`, `model`), and has a fingerprint of the
model's weights, its classes, its transform and the code of layers that you wrote, or of the field
with stored logits; of the switches; of the label field, where the score uses labels; of the names
of the parameters that are not frozen, where it takes gradients in them; and of the score's code,
where it is [your own](extending.md).

- **More samples.** A call with the same model and convention adds to the field.
- **Another model or convention.** The new scores replace all of the old ones. If the call does not
  cover all samples that have a score, it is refused before anything is computed; `overwrite=True`
  clears the rest, and `prefix=` makes another field.
- **Scores that compare with those of the same call only.** Query models are trained for the
  samples of a call, and scores of embeddings (Geometry) depend on which samples these are. A later
  call cannot add to them. The same goes for a training that `DynamicsRecorder` records.
- **Scores from elsewhere.** `import_scores(..., model="resnet-50, run 7")` says which model they
  are from. Calls with the same words add to each other; without any, a call must cover all.
  [Scores in](data.md) has the files and tables that it takes.

A field holds the old scores until the new ones are whole, and then the new ones. A call that fails
leaves the old ones. After a crash the field may say that it is not whole: `apply_drop(select=...)`
and all others that read scores refuse it until the same call is made again.
"""


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
    return "\n".join(parts)


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
