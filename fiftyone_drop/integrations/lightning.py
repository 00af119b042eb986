"""Lightning: a callback that records the training dynamics of a ``LightningModule``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from fiftyone_drop import checks
from fiftyone_drop.integrations.batches import Where, begin, check_recorder, check_where, pick

# The two packages have a class of that name each, and a Trainer knows that of its own
if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from pytorch_lightning import Callback
else:
    from lightning.pytorch import Callback

if TYPE_CHECKING:
    from fiftyone_drop.score_fields.recorder import DynamicsRecorder


class LightningCallback(Callback):  # type: ignore[misc]
    """Records a ``fit`` of Lightning, and writes the scores when it ends.

    ``training_step`` returns its logits beside the loss, and a batch holds the ids of its samples,
    or their positions in the view::

        class Classifier(L.LightningModule):
            def training_step(self, batch, batch_index):
                ids, images, targets = batch
                logits = self.network(images)
                return {"loss": cross_entropy(logits, targets), "logits": logits.detach()}

        recorder = fod.DynamicsRecorder(view, "ground_truth")
        callback = LightningCallback(recorder, samples=0, targets=2)
        L.Trainer(max_epochs=20, callbacks=[callback]).fit(Classifier(), loader)

    The recording goes into Lightning's checkpoints and on with ``fit(ckpt_path=...)``. With several
    devices the epochs are gathered (strategy ``"ddp"``). A step that returns None is not recorded.

    Args:
        recorder: a :class:`fiftyone_drop.DynamicsRecorder`
        samples: where a batch has its sample ids or positions: a key, an index, or a function that
            takes the batch
        targets (None): where a batch has its labels, likewise; they are compared with those of the
            dataset
        logits ("logits"): where the result of ``training_step`` has the logits, likewise
        write (True): whether to write the scores into fields when ``fit`` has come to its end;
            otherwise call ``recorder.finish()`` or ``recorder.save(path)``

    Raises:
        DropError: if an argument is invalid; in ``fit``, if a batch or result lacks its part
    """

    def __init__(
        self,
        recorder: DynamicsRecorder,
        samples: Where,
        *,
        targets: Where | None = None,
        logits: Where = "logits",
        write: bool = True,
    ) -> None:
        super().__init__()
        self.recorder = recorder
        self._samples = check_where("samples", samples)
        self._targets = None if targets is None else check_where("targets", targets)
        self._logits = check_where("logits", logits)
        self._write = checks.flag("write", write)
        check_recorder(recorder)
        self._open = False  # whether an epoch has begun and not ended here
        self._goes_on = False  # whether the recording came with a checkpoint

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Forget what a failed fit has left, unless this one goes on from a checkpoint."""
        if not self._goes_on:
            self._open = False
            begin(self.recorder)
        self._goes_on = False

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the batch, and end the epoch with its last one, which a checkpoint may follow."""
        self._open = True
        if outputs or hasattr(outputs, "shape"):  # otherwise the step was skipped
            self._record(outputs, batch)
        if trainer.is_last_batch:
            self._end_epoch()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """End an epoch that was stopped within."""
        self._end_epoch()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Write the scores."""
        if self._write:
            self.recorder.finish()

    def state_dict(self) -> dict[str, Any]:
        """The recording so far, for a checkpoint."""
        return self.recorder.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._open, self._goes_on = False, True
        self.recorder.load_state_dict(state_dict)

    def _record(self, outputs: Any, batch: Any) -> None:
        remedy = "say where a batch has it"
        returned = "return {'loss': loss, 'logits': logits.detach()} from training_step"
        logits = pick("logits", self._logits, outputs, returned)
        samples = pick("samples", self._samples, batch, remedy)
        targets = None
        if self._targets is not None:
            targets = pick("targets", self._targets, batch, remedy)
        self.recorder.update(samples, logits, targets=targets)

    def _end_epoch(self) -> None:
        if self._open:
            self._open = False
            self.recorder.end_epoch()
