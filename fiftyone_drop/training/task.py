"""The inputs that all trainings of a call share, and errors of theirs that name a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fiftyone_drop import checks
from fiftyone_drop._version import __version__
from fiftyone_drop.engine.fingerprints import file_states
from fiftyone_drop.engine.images import Indices
from fiftyone_drop.engine.randomness import CUBLAS, deterministic_algorithms
from fiftyone_drop.engine.reader import RGB, Images
from fiftyone_drop.engine.runner import Runner
from fiftyone_drop.errors import DropError
from fiftyone_drop.training.architectures import build
from fiftyone_drop.training.arrays import check_samples
from fiftyone_drop.training.options import Setup, TrainingOptions
from fiftyone_drop.training.query_model import QueryModel

IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Task:
    """The images, labels and options that all folds share; all of them checked."""

    images: Images
    codes: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    options: TrainingOptions
    setup: Setup

    @classmethod
    def of(
        cls,
        paths: Sequence[str],
        labels: npt.ArrayLike,
        classes: Sequence[str],
        options: TrainingOptions | None,
    ) -> Task:
        """Check the arguments of ``train`` and ``cross_validate``, and fill in the options."""
        options = options or TrainingOptions()
        classes = checks.class_list("classes", classes)
        codes = check_samples(paths, labels, classes)
        setup = options.setup(paths)
        images = Images(paths, setup.image_size, workers=setup.workers)
        return cls(images, codes, classes, options, setup)

    def on(self, runner: Runner) -> Task:
        """The same task where a runner's models run."""
        if not runner.away:
            return self
        setup = replace(
            self.setup,
            device=runner.device or self.setup.device,
            workers=runner.workers or self.setup.workers,
        )
        images = Images(self.images.paths, setup.image_size, workers=setup.workers)
        return replace(self, images=images, setup=setup)

    def inputs(self) -> dict[str, object]:
        """Everything that the weights of a model follow from, besides the samples it sees."""
        options = asdict(self.options) | asdict(self.setup) | {"device": str(self.setup.device)}
        del options["workers"]  # which change nothing
        return {
            "version": __version__,
            "files": file_states(self.images.paths),
            "codes": self.codes,
            "classes": self.classes,
            "options": options,
        }

    def new_model(self, indices: Indices, saved: Mapping[str, Any] | None = None) -> QueryModel:
        """An untrained model for some of the samples, or one with the weights of a checkpoint."""
        setup = self.setup
        pretrained = self.options.pretrained and saved is None
        module = build(
            setup.architecture, len(self.classes), setup.image_size, pretrained=pretrained
        )
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        if saved is not None:
            module.load_state_dict(saved["weights"])
            mean, std = saved["mean"], saved["std"]
        elif not pretrained:
            mean, std = self.images.statistics(indices)
        module.to(setup.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return QueryModel(module, self.classes, setup.architecture, setup.image_size, mean, std)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The options' algorithms inside; errors of the GPU name a remedy."""
        setup = self.setup
        try:
            with deterministic_algorithms(setup.device, self.options.deterministic):
                yield
        except torch.cuda.OutOfMemoryError as error:
            raise DropError(
                "batch_size",
                f"{setup.device} ran out of memory while training {setup.architecture!r} with "
                f"batch_size={self.options.batch_size} and image_size={setup.image_size}; pass "
                "half of either, or another device. Training never changes the batch size by "
                f"itself, since the model follows from it ({error})",
            ) from error
        except RuntimeError as error:
            if CUBLAS in str(error):
                raise DropError(
                    "deterministic",
                    "True comes too late, since this process has used cuBLAS already; start "
                    f"Python with the environment variable {CUBLAS}=:4096:8",
                ) from error
            if "does not have a deterministic implementation" in str(error):
                raise DropError(
                    "deterministic",
                    f"must be False with architecture {setup.architecture!r} on {setup.device}, "
                    f"since {error}; pass another architecture, such as 'small-cnn' or 'resnet18'",
                ) from error
            raise
