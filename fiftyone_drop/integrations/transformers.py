"""Hugging Face: a callback that records the training dynamics of a ``Trainer``'s model.

The Trainer shows its callbacks neither batches nor logits. So this one watches the model: what
comes in beside the model's own arguments, and the logits that go out.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import TrainerCallback

from fiftyone_drop import checks
from fiftyone_drop.engine.files import write_atomically
from fiftyone_drop.errors import DropError, DropWarning, listing
from fiftyone_drop.integrations.batches import begin, check_recorder

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

    from fiftyone_drop.score_fields.recorder import DynamicsRecorder


class TransformersCallback(TrainerCallback):  # type: ignore[misc]
    """Records a training of Hugging Face's ``Trainer``, and writes the scores when it ends.

    The batches hold the ids of the samples, or their positions in the view, under a name of their
    own. The callback takes them out before the model sees them::

        def collate(items):  # (id, pixels, class index)
            ids, pixels, labels = zip(*items)
            return {
                "sample": list(ids),
                "pixel_values": torch.stack(pixels),
                "labels": torch.tensor(labels),
            }

        recorder = fod.DynamicsRecorder(view, "ground_truth")
        trainer = Trainer(
            model,
            TrainingArguments(output_dir, remove_unused_columns=False),
            data_collator=collate,
            train_dataset=dataset,
            callbacks=[TransformersCallback(recorder, samples="sample")],
        )

    The recording goes into the Trainer's checkpoints and on with
    ``train(resume_from_checkpoint=True)``. The Trainer does not say which checkpoint it goes on
    from: name one outside of ``output_dir`` in ``TrainingArguments(resume_from_checkpoint=...)``
    too. With several processes (``torchrun``, ``accelerate launch``) the epochs are gathered.

    Args:
        recorder: a :class:`fiftyone_drop.DynamicsRecorder`
        samples ("sample"): the name of the sample ids or positions in a batch
        targets ("labels"): the name of the labels in a batch, which are compared with those of the
            dataset; None where they are mixed or smoothed
        write (True): whether to write the scores into fields when the training has come to its end;
            otherwise call ``recorder.finish()`` or ``recorder.save(path)``

    Raises:
        DropError: if an argument is invalid; in ``train``, if batches hold no such samples, the
            model gives no logits, or one process has several GPUs (``torch.nn.DataParallel``)

    Warns:
        DropWarning: if a training goes on from a checkpoint that holds no recording
    """

    def __init__(
        self,
        recorder: DynamicsRecorder,
        samples: str = "sample",
        *,
        targets: str | None = "labels",
        write: bool = True,
    ) -> None:
        super().__init__()
        self.recorder = recorder
        self._key = checks.text("samples", samples)
        self._targets = checks.text("targets", targets, optional=True)
        self._write = checks.flag("write", write)
        check_recorder(recorder)
        self._samples: Any = None
        self._hooks: list[RemovableHandle] = []
        self._open = False  # whether an epoch has begun and not ended here

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: nn.Module | None = None, **kwargs: Any
    ) -> None:
        """Begin to watch the model, or go on from a checkpoint."""
        if model is None or args.n_gpu > 1:
            raise DropError(
                "recorder",
                f"one process must train on one GPU, but has {args.n_gpu}; start the training with "
                "torchrun or accelerate launch, one process per GPU",
            )
        self._stop()
        _forget(model, state)
        self._open = False
        if state.global_step:
            self._load(_newest(args, state))
            if args.ignore_data_skip:
                self.recorder.restart_epoch()
        else:
            begin(self.recorder)
        self._hooks = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after, with_kwargs=True),
        ]
        _watched.setdefault(model, (state, []))[1].extend(self._hooks)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the epoch with its last step, after which the Trainer may save a checkpoint."""
        if float(state.epoch).is_integer():
            self._end_epoch()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End an epoch of unknown length. One that was stopped may go on from a checkpoint."""
        if not control.should_training_stop:
            self._end_epoch()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the recording into the checkpoint."""
        buffer = io.BytesIO()
        torch.save(self.recorder.state_dict(), buffer)
        write_atomically(_file(args, state), buffer.getbuffer())

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the model alone, end an epoch that was stopped within, and write the scores."""
        self._stop()
        self._end_epoch()
        if self._write:
            self.recorder.finish()

    def _end_epoch(self) -> None:
        if self._open:
            self._open = False
            self.recorder.end_epoch()

    def _stop(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def _load(self, file: Path) -> None:
        if file.exists():
            self.recorder.load_state_dict(torch.load(file, weights_only=True))
            return
        warnings.warn(
            f"The training goes on without what was recorded before: there is no {file}. The "
            "scores will be of the epochs from here on. If the checkpoint is elsewhere, name it in "
            "TrainingArguments(resume_from_checkpoint=...) too",
            DropWarning,
            stacklevel=2,
        )

    def _before(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Take the samples out of what the model is called with."""
        self._samples = kwargs.get(self._key)
        if self._samples is None and model.training:
            self._stop()
            raise DropError(
                "samples",
                f"{self._key!r} is not in the batch, which has {listing(list(kwargs))}; let the "
                "data collator pass it on, and keep it with "
                "TrainingArguments(remove_unused_columns=False)",
            )
        return args, {key: value for key, value in kwargs.items() if key != self._key}

    def _after(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any
    ) -> None:
        """Record what comes out in training."""
        if not model.training:
            return
        self._open = True
        try:
            logits = getattr(output, "logits", None)
            if logits is None:
                raise DropError(
                    "recorder",
                    f"the model must return an output with logits, as image classifiers of "
                    f"transformers do, but returned a {type(output).__name__}",
                )
            targets = None if self._targets is None else kwargs.get(self._targets)
            self.recorder.update(self._samples, logits, targets=targets)
        except BaseException:
            self._stop()  # nobody tells a callback that its training has failed
            raise


_watched: WeakKeyDictionary[nn.Module, tuple[Any, list[RemovableHandle]]] = WeakKeyDictionary()
"""Model -> the state of the training in which it is watched, and the hooks of that."""


def _forget(model: nn.Module, state: Any) -> None:
    """Remove what another training has left on a model: one that fails does not say so."""
    if model in _watched and _watched[model][0] is not state:
        for hook in _watched.pop(model)[1]:
            hook.remove()


def _newest(args: Any, state: Any) -> Path:
    """Where a process has the recording that the training goes on from."""
    named = args.resume_from_checkpoint
    if checks.is_text(named) and (Path(named) / _name(args)).exists():
        return Path(named) / _name(args)
    return _file(args, state)


def _file(args: Any, state: Any) -> Path:
    """Where a process keeps its recording in the newest checkpoint."""
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / _name(args)


def _name(args: Any) -> str:
    return f"fiftyone_drop_recorder_{args.process_index}.pt"
