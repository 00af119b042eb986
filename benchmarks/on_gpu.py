"""Everything that needs a GPU, in one command: checks, prices, and the paper's experiment.

    python benchmarks/on_gpu.py --archive cifar10.tar.xz --out results --minutes 8

Needs PyTorch, pytest and this repository; no FiftyOne, no database, no network. In this order:

1. checks: the tests of devices, scoring, training and engine, on CUDA
2. prices: GraNd, the recorder and scores of JPEGs, each beside what it is compared with
3. fast: trainings of the preset ``fast``, most telling first, several at once, until time is up
4. paper: one training per method of the preset ``paper``, in the share ``--paper-share`` of what
   time is left for trainings, or in what ``fast`` leaves

Each part is a process of its own, which is ended at its limit with all of its children; what fails
is recorded, and the rest goes on. Results are small files in ``--out``, written as they come:
``log.jsonl`` (parts), ``prices.jsonl`` (as in benchmarks/results), ``fast.jsonl`` and
``paper.jsonl`` (as in benchmarks/results/paper), ``arrays.zip`` and ``logits.zip``. The same
command again goes on from there; ``--resume`` names a folder with the files of an earlier run.
``--cpu`` is a dry run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
PARTS = ("checks", "prices", "fast", "paper")
SHOWN, KEPT = 2000, 20_000  # characters: the end of what a part that failed has printed
SPARE = 5  # seconds, in which the last files are written
STARTING = 15  # seconds until a part has imported PyTorch and looks at the clock, and to end


@dataclass(frozen=True)
class Part:
    """A process.

    Attributes:
        name: for the log
        command: after "python"
        limit: seconds, at most
        done_once: whether it is not run again once it has come to its end
        quiet: whether the end of its output is enough
    """

    name: str
    command: Sequence[object]
    limit: float
    done_once: bool = True
    quiet: bool = False


@dataclass
class Session:
    """One call of the script: its folders, its log and its clock.

    Attributes:
        out: where results go
        scratch: decoded images, unpacked images, checkpoints
        end: when all must be done, of the monotonic clock
        device: "cuda" or "cpu"
    """

    out: Path
    scratch: Path
    end: float
    device: str
    start: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    def say(self, words: str) -> None:
        """Print with the time, at once."""
        print(f"[{time.monotonic() - self.start:5.0f} s] {words}", flush=True)

    def done(self) -> set[str]:
        """Parts that came to their end, now or in an earlier run, on this device."""
        path = self.out / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        records = [json.loads(line) for line in lines]
        return {r["part"] for r in records if r["ended"] == 0 and r["device"] == self.device}

    def log(self, **record: object) -> None:
        """Add a line to the log, at once."""
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps({"device": self.device} | record) + "\n")

    def begin(self, part: Part) -> subprocess.Popen[str]:
        """Start a part, as the leader of a group of processes that ends together."""
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, os.environ.get("PYTHONPATH", "")))),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            # Before CUDA starts, or deterministic algorithms are refused
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "BENCHMARK_RESULTS": str(self.out / "prices.jsonl"),
            "XDG_CACHE_HOME": str(self.scratch / "cache"),
        }
        if self.device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        return subprocess.Popen(
            [sys.executable, *map(str, part.command)],
            cwd=ROOT,
            env=environment,
            stdout=(self.scratch / f"{part.name}.txt").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=os.setpgrp,
        )

    def finish(self, part: Part, process: subprocess.Popen[str], begun: float) -> None:
        """Wait for a part, showing what it prints; end it at its limit; log what came out."""
        path = self.scratch / f"{part.name}.txt"
        patience = 1 if self.device == "cuda" else 10  # other machines may be busy
        limit = min(begun + patience * part.limit, self.end - SPARE)
        with path.open() as output:
            while process.poll() is None and time.monotonic() < limit:
                time.sleep(0.1)
                self._show(part, output.readlines())
            end_group(process)
            self._show(part, output.readlines())
        seconds, text, failed = time.monotonic() - begun, path.read_text(), process.returncode != 0
        self.log(
            part=part.name,
            ended=process.returncode,
            seconds=round(seconds, 1),
            date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            output=text[-KEPT:] if part.quiet or failed else "",
        )
        if part.quiet or failed:
            print(text[-SHOWN if failed else -SHOWN // 8 :].strip(), flush=True)
        words = f"FAILED ({process.returncode})" if failed else "done"
        self.say(f"{part.name}: {words}, {seconds:.0f} s")

    def _show(self, part: Part, lines: list[str]) -> None:
        for line in lines:
            if not part.quiet and not line.startswith("{"):  # records are in the files
                print("  " + line.rstrip()[:200], flush=True)

    def run(self, *parts: Part) -> None:
        """Run parts at once, but for those that are done already."""
        begun = []
        for part in parts:
            if part.done_once and part.name in self.done():
                self.say(f"{part.name}: done earlier")
            elif self.left < STARTING + SPARE:
                self.say(f"{part.name}: no time is left")
            else:
                self.say(f"{part.name}: begins")
                begun.append((part, self.begin(part), time.monotonic()))
        try:
            for each in begun:
                self.finish(*each)
        finally:
            for _, process, _ in begun:
                if process.poll() is None:
                    end_group(process)


def end_group(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# -- the parts ------------------------------------------------------------------------------------


NEED_FIFTYONE = "not fiftyones_hardness and not cleans_the_cache_too"


def checks(args: argparse.Namespace) -> list[Part]:
    """The tests that need no FiftyOne, without the conftest above their folders, which does."""
    rooms = {"devices": 4} if args.cpu else {"devices": 5, "scoring": 4, "training": 4, "engine": 1}
    parts = []
    for room, workers in rooms.items():
        command: list[object] = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
        command += ["-rfE", f"--confcutdir=tests/{room}", f"tests/{room}"]
        if args.cpu:
            command += ["-k", "own_randomness or scores_of_logits"]
        else:
            command += ["-k", NEED_FIFTYONE, *(["-n", workers] if workers > 1 else [])]
        parts.append(Part(f"checks of {room}", command, 100, quiet=True))
    return parts


def prices(args: argparse.Namespace, images: Path) -> Iterator[Part]:
    """Benchmarks, as small as they can be and still tell, one after the other."""
    grand = {"--samples": 2048, "--loop-samples": 64, "--batch": 256, "--repeats": 5}
    dynamics = {"--samples": 16_384, "--batch": 256, "--repeats": 5}
    scores = {"--samples": 3000, "--batch": 512, "--repeats": 2, "--workers": min(args.cores, 8)}
    models = ("resnet18", "vgg16_bn")
    if args.cpu:
        grand = {"--samples": 4, "--loop-samples": 2, "--batch": 2, "--repeats": 1, "--size": 16}
        dynamics = {"--samples": 16, "--batch": 8, "--repeats": 1, "--size": 16}
        scores = {"--samples": 4, "--batch": 2, "--repeats": 1}
        models = ("resnet18",)

    def part(name: str, script: str, options: Mapping[str, object]) -> Part:
        return Part(name, [BENCHMARKS / script, *(x for pair in options.items() for x in pair)], 60)

    for model in models:
        yield part(f"price of GraNd, {model}", "grand.py", {"--model": model} | grand)
    yield part("price of the recorder", "dynamics.py", dynamics)
    yield part("price of scores", "scoring_pass.py", {"--folder": images} | scores)


def experiment(args: argparse.Namespace, session: Session, preset: str, seconds: float) -> Part:
    """Trainings of a preset, which end after a number of seconds."""
    fast = preset == "fast"
    datasets, densities, seeds = ["balanced"], ["0.5"], ["0"]
    if not args.cpu:
        datasets += ["long-tailed-100"] * fast
        densities += ["0.3", *["0.2", "0.8"] * fast]
        seeds += ["1", "2"] * fast
    command: list[object] = [
        BENCHMARKS / "paper" / "run.py",
        *("--preset", preset, "--archive", args.archive, "--cache", session.scratch / "paper"),
        *("--results", session.out, "--minutes", (seconds - STARTING) / 60, "--brief"),
        *("--datasets", *datasets, "--methods", "full", "random", "random+drop", "el2n"),
        *("--densities", *densities, "--seeds", *seeds),
        *("--jobs", args.jobs, "--device", session.device),
    ]
    if args.cpu:
        command += ["--epochs", 1, "--per-class", 4]
    return Part(preset, command, seconds, done_once=False)


# -- the session ----------------------------------------------------------------------------------


def prepare(archive: Path, scratch: Path) -> None:
    """Unpack the archive, and decode its images; what is there already stays."""
    sys.path.append(str(BENCHMARKS / "paper"))
    from data import load

    load(archive, scratch / "paper")
    images = scratch / "images"
    if not images.exists():
        partial = scratch / "images.partial"
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(archive) as files:
            files.extractall(partial, filter="data")
        partial.rename(images)


def pack(session: Session) -> None:
    """Keep the arrays of trainings beside the results, so that a later run need not train again."""
    folder = session.scratch / "paper"
    for name, pattern in (("arrays.zip", "*/*.npz"), ("logits.zip", "*/logits/*.npz")):
        partial = session.scratch / name
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(folder.glob(pattern)):
                packed.write(path, path.relative_to(folder))
        shutil.copyfile(partial, session.out / name)


def take_up(session: Session, earlier: Path | None) -> None:
    """Begin with the files of an earlier run."""
    session.out.mkdir(parents=True, exist_ok=True)
    for path in [] if earlier is None else earlier.iterdir():
        if path.suffix in (".jsonl", ".zip") and not (session.out / path.name).exists():
            shutil.copyfile(path, session.out / path.name)
    packed = session.out / "arrays.zip"
    if packed.exists():
        with zipfile.ZipFile(packed) as arrays:
            arrays.extractall(session.scratch / "paper")


def run(args: argparse.Namespace, session: Session) -> None:
    """All parts."""
    take_up(session, args.resume)
    prepared = Part(
        "images",
        [__file__, "--prepare", "--archive", args.archive, "--out", session.scratch],
        120,
        done_once=False,
        quiet=True,
    )
    session.run(*(checks(args) if "checks" in args.parts else ()), prepared)  # on the CPU, beside
    for part in prices(args, session.scratch / "images") if "prices" in args.parts else ():
        session.run(part)
    for_paper = args.paper_share * session.left if "paper" in args.parts else 0
    for preset in ("fast", "paper"):
        seconds = session.left - 2 * SPARE - (for_paper if preset == "fast" else 0)
        if preset in args.parts and (preset == "fast" or seconds > 60 or args.cpu):
            try:
                session.run(experiment(args, session, preset, seconds))
            finally:
                pack(session)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True, help="<split>/<class>/*.jpg in tar")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the results")
    parser.add_argument("--resume", type=Path, help="a folder with the results of an earlier run")
    parser.add_argument("--minutes", type=float, default=8, help="of everything")
    parser.add_argument(
        "--parts",
        nargs="+",
        default=PARTS,
        choices=PARTS,
    )
    parser.add_argument("--paper-share", type=float, default=0.0, help="of the trainings' time")
    parser.add_argument("--jobs", type=int, default=4, help="trainings at once")
    parser.add_argument("--scratch", type=Path, help="for what need not be kept; else temporary")
    parser.add_argument("--cpu", action="store_true", help="a dry run of tiny sizes")
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    for name in ("archive", "out", "resume", "scratch"):
        if (path := getattr(args, name)) is not None:
            setattr(args, name, path.resolve())
    if args.prepare:
        prepare(args.archive, args.out)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    args.cores = os.cpu_count() or 1
    args.jobs = min(args.jobs, 2) if args.cpu else args.jobs
    end = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory(prefix="fiftyone-drop-") as temporary:
        scratch = args.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        session = Session(args.out, scratch, end, "cpu" if args.cpu else "cuda")
        run(args, session)
        session.say(
            f"{sum(f.stat().st_size for f in args.out.iterdir()) / 2**20:.1f} MiB of results"
        )


if __name__ == "__main__":
    main()
