"""Scores and a run while the database ends twice and comes back: the same values."""

import json
import os
import subprocess
import sys
import time

from servers import Server

OUTAGES = """
import json, sys
from pathlib import Path
import fiftyone as fo
import fiftyone_drop as fod
from digit_models import CLASSES, TRANSFORM, network
from fiftyone_drop import store

images, address = sys.argv[1:]
store.STATEMENT, store.BATCH = 4, 8

class Outages:
    # Ends the server in the middle of scoring, and again in the middle of writing

    def __init__(self):
        self.bars, self.ended = {}, []

    def __call__(self, bar):
        steps = self.bars.setdefault(id(bar), [])
        steps.append(bar.iteration)
        self.held = [*getattr(self, "held", []), bar]  # so that no other gets its number
        if len(self.bars) not in self.ended and len(self.ended) < 2 and bar.iteration >= 32:
            self.ended.append(len(self.bars))
            print(["stop", "kill"][len(self.ended) - 1], flush=True)
            sys.stdin.readline()  # it has ended

dataset = fo.Dataset("away", persistent=True)
dataset.add_samples(
    [
        fo.Sample(filepath=path, ground_truth=fo.Classification(label=label))
        for path, label in json.loads(Path(images).read_text())
    ]
)
names = ["el2n", "grand", "k_center"]

def score(prefix, progress, **where):
    fields = fod.compute_scores(
        dataset, "ground_truth", names, model=network(), transform=TRANSFORM,
        classes=CLASSES, batch_size=16, prefix=prefix, progress=progress, **where
    )
    dataset.reload()
    return [dataset.values(field) for field in fields]

whole = score("whole_", False)
assert None not in sum(whole, [])
outages = Outages()
cluster = fod.Cluster(address, chunk=16) if address else None
assert score("again_", outages, cluster=cluster) == whole
scored, *written = outages.bars.values()
assert len(outages.ended) == 2, outages.ended
assert scored[-1] == len(dataset), scored  # every image once: no other bar counts images
assert len(written) >= 2, written  # the write began again
recalls = dict.fromkeys(CLASSES, 0.5)
kept = fod.apply_drop(dataset, 0.5, recalls=recalls, key="whole", progress=False)
outages = Outages()
outages.ended.append(0)  # it has no images to score
again = fod.apply_drop(dataset, 0.5, recalls=recalls, key="again", progress=outages)
assert len(outages.ended) == 2
assert again.values("id") == kept.values("id")
assert dataset.values("again_keep_at") == dataset.values("whole_keep_at")
assert fod.list_drops(dataset) == ["again", "whole"]
print("the same values")
"""


def come_back_from(digits, folder, address=""):
    """Score and prune a hundred digits, on the cluster at an address or here, through outages."""
    images = folder / "images.json"
    images.write_text(json.dumps([(str(p), n) for p, n in zip(*digits, strict=True)][:100]))
    server = Server(folder / "db", folder / "log")
    server.start()
    about = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    about |= {"FIFTYONE_DATABASE_URI": server.uri}
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", OUTAGES, images, address],
            env=os.environ | about,
            text=True,
            **pipes,
        ) as client:
            said = ""
            for said in map(str.strip, client.stdout):
                if said in ("stop", "kill"):
                    getattr(server, said)()
                    client.stdin.write("ended\n")
                    client.stdin.flush()
                    time.sleep(0.5)
                    server.start()
        assert said == "the same values"
    finally:
        server.kill()
