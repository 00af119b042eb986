"""The form of the operator that takes away what a run keeps."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, ClassVar

import fiftyone_drop as fod
from fiftyone_drop import checks, exporting, precheck

from .. import door, exports_folder
from .base import Kinds
from .runs import RunForm

NO_IMAGES, EVERYTHING = "none", "FiftyOneDataset"
FORMATS = {
    "ImageClassificationDirectoryTree": "A folder of images for each class",
    "FiftyOneImageClassificationDataset": "A folder of images, and a JSON file of their labels",
    "ImageDirectory": "A folder of images alone",
    EVERYTHING: "Everything, to be imported into another FiftyOne",
    NO_IMAGES: "No images",
}


class ExportRunForm(RunForm):
    """The form of the operator ``export_run``."""

    kinds: ClassVar[Kinds] = {
        "key": door.word,
        "dataset_type": door.one_of(FORMATS),
        "export_dir": door.word,
        "manifest": checks.flag,
        "tag": door.word,
    }

    @property
    def format(self) -> str:
        """The format that is chosen."""
        return str(self.entries.get("dataset_type", exporting.DIRECTORY_TREE))

    def likely_format(self, run: Any) -> str:
        """A folder for each class, or where labels are no Classification the format of all."""
        try:
            exporting.check_labels(
                self.ctx.dataset, exporting.DIRECTORY_TREE, run.config.label_field
            )
        except fod.DropError:
            return EVERYTHING
        return exporting.DIRECTORY_TREE

    @property
    def needs_folder(self) -> bool:
        """Whether anything is written into the folder of exports."""
        return self.format != NO_IMAGES or bool(self.entries.get("manifest"))

    def check_format(self, run: Any) -> None:
        """Check that the format can hold the labels, and has a place for each class in its folder.

        Raises:
            fiftyone_drop.DropError: if not
        """
        exporting.check_labels(self.ctx.dataset, self.format, run.config.label_field)
        if self.format == exporting.DIRECTORY_TREE:
            names = {name[0] if isinstance(name, tuple) else name for name in run.table.classes}
            exporting.check_folders(sorted(names))

    def paths(self) -> tuple[Any, Any]:
        """The folder of the images and the path of the manifest, None for what is not wanted.

        Raises:
            fiftyone_drop.DropError: if they cannot be written, or nothing is wanted at all
        """
        name, images = self.entries.get("export_dir"), self.format != NO_IMAGES
        manifest = bool(self.entries.get("manifest"))
        if not self.needs_folder and "tag" not in self.entries:
            raise fod.DropError("dataset_type", "choose a format, the manifest or a tag")
        if self.needs_folder and name is None:
            raise fod.DropError("export_dir", "must be given")
        return (
            exports_folder.to_write("export_dir", name) if images else None,
            exports_folder.manifest("export_dir", name) if manifest else None,
        )

    def fields(self) -> None:
        """Draw the fields."""
        key = self.choose_run(fod.list_drops(self.ctx.dataset))
        if key is None:
            return
        with self.checking():
            run = self.load(key)
            likely = self.likely_format(run)
            self.choose("dataset_type", FORMATS, default=likely, label="Format")
            self.entries.setdefault("dataset_type", likely)
            with self.checking(at="dataset_type"):
                self.check_format(run)
            if find_spec("pyarrow") is not None:
                self.switch("manifest", "Save the run as a manifest (Parquet), beside the folder")
            if self.needs_folder:
                name = exports_folder.likely(self.dataset_name, key)
                self.text(
                    "export_dir",
                    default=name,
                    label="Folder",
                    description="A name in the folder of exports of the machine that runs FiftyOne",
                )
                self.entries.setdefault("export_dir", name)
            self.text("tag", label="Tag for the kept samples (optional)")
            self.check_tag(run)
            kept = precheck.kept_by_run(run, density=run.density)
            if kept is not None:
                self.notice("exports", f"Takes {kept.kept:,} of {kept.size:,} samples")
            self.paths()

    def check_tag(self, run: Any) -> None:
        """Point out that samples have the tag already."""
        tag = self.entries.get("tag")
        count = precheck.tags(self.ctx.dataset).get(tag, 0) if tag else 0
        if count:
            self.warning("tagged", f"{count:,} samples have the tag {tag} already, and keep it")
