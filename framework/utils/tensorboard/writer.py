"""`SummaryWriter`: PyTorch's class, with the same methods."""

from __future__ import annotations

import os
import socket
import sys
import time
from datetime import datetime
from typing import Any, NoReturn

import numpy as np

from framework.utils.tensorboard import summary
from framework.utils.tensorboard.graph import graph_def
from framework.utils.tensorboard.records import FileWriter, message

__all__ = ["SummaryWriter"]


def _default_bins() -> np.ndarray:
    """Limits that grow by a tenth, from 1e-12 up to 1e20, of both signs."""
    upper = 1e-12 * 1.1 ** np.arange(775)
    upper = upper[upper < 1e20]
    return np.concatenate([-upper[::-1], [0.0], upper])


class SummaryWriter:
    """Writes what TensorBoard shows into an event file of a folder.

    Args:
        log_dir: the folder; by default ``runs/<date and time>_<host><comment>``.
        comment: end of the default folder's name.
        purge_step: let TensorBoard forget what earlier files of the folder have from this step on.
        max_queue, flush_secs: records, and seconds, that may wait to be written.
        filename_suffix: end of the file's name.

    >>> import framework as torch, tempfile, os
    >>> folder = tempfile.mkdtemp()
    >>> with SummaryWriter(folder) as writer:
    ...     writer.add_scalar("loss", torch.tensor(0.5), 1)
    ...     writer.add_histogram("weights", torch.randn(100), 1)
    >>> [name.split(".")[2] for name in os.listdir(folder)]
    ['tfevents']
    """

    def __init__(
        self, log_dir: Any = None, comment: str = "", purge_step: int | None = None,
        max_queue: int = 10, flush_secs: float = 120, filename_suffix: str = "",
    ) -> None:  # fmt: skip
        if not log_dir:
            now = datetime.now().strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")
        self.log_dir = log_dir
        self.purge_step = purge_step
        self.max_queue, self.flush_secs = max_queue, flush_secs
        self.filename_suffix = filename_suffix
        self.default_bins = _default_bins()
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] = {}
        self._get_file_writer()

    def _get_file_writer(self) -> FileWriter:
        """The folder's writer; after `close` another one."""
        if self.file_writer is None:
            self.file_writer = self._writer(str(self.log_dir))
            if self.purge_step is not None:
                self.file_writer.add_event((3, "brain.Event:2"), step=self.purge_step)
                self.file_writer.add_event((7, message((1, 1))), step=self.purge_step)
                self.purge_step = None
        return self.file_writer

    def _writer(self, folder: str) -> FileWriter:
        if folder not in self.all_writers:
            self.all_writers[folder] = FileWriter(
                folder, self.max_queue, self.flush_secs, self.filename_suffix
            )
        return self.all_writers[folder]

    def _add(self, content: bytes, step: Any, walltime: float | None) -> None:
        self._get_file_writer().add_summary(content, step, walltime)

    def get_logdir(self) -> Any:
        """The folder."""
        return self.log_dir

    # -- numbers ---------------------------------------------------------------------------------

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: Any = None, walltime: float | None = None,
        new_style: bool = False, double_precision: bool = False,
    ) -> None:  # fmt: skip
        """A number at a step."""
        content = summary.scalar(tag, scalar_value, new_style, double_precision)
        self._add(content, global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: Any = None,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Several numbers of one chart, each in a folder of its own beneath this one."""
        base = self._get_file_writer().get_logdir()
        for tag, value in tag_scalar_dict.items():
            folder = f"{base}/{main_tag.replace('/', '_')}_{tag}"
            self._writer(folder).add_summary(summary.scalar(main_tag, value), global_step, walltime)

    def add_tensor(
        self, tag: str, tensor: Any, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """All elements of a tensor."""
        self._add(summary.tensor(tag, tensor), global_step, walltime)

    def add_histogram(
        self, tag: str, values: Any, global_step: Any = None, bins: Any = "tensorflow",
        walltime: float | None = None, max_bins: int | None = None,
    ) -> None:  # fmt: skip
        """The histogram of values: of "tensorflow" limits, or by one of `numpy.histogram`'s rules.

        Raises:
            ValueError: there are no values.
        """
        if isinstance(bins, str) and bins == "tensorflow":
            bins = self.default_bins
        self._add(summary.histogram(tag, values, bins, max_bins), global_step, walltime)

    def add_histogram_raw(
        self, tag: str, min: Any, max: Any, num: Any, sum: Any, sum_squares: Any,
        bucket_limits: Any, bucket_counts: Any, global_step: Any = None,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """A histogram that is there already: upper limits and counts of its buckets."""
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        content = summary.histogram_raw(
            tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts
        )
        self._add(content, global_step, walltime)

    def add_pr_curve(
        self, tag: str, labels: Any, predictions: Any, global_step: Any = None,
        num_thresholds: int = 127, weights: Any = None, walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Precision and recall over a threshold, for labels 0 and 1 and predictions in [0, 1]."""
        content = summary.pr_curve(tag, labels, predictions, num_thresholds, weights)
        self._add(content, global_step, walltime)

    def add_pr_curve_raw(
        self, tag: str, true_positive_counts: Any, false_positive_counts: Any,
        true_negative_counts: Any, false_negative_counts: Any, precision: Any, recall: Any,
        global_step: Any = None, num_thresholds: int = 127, weights: Any = None,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """A curve that is there already: each argument has a value for each threshold."""
        columns = [
            summary.as_array(c)
            for c in (
                true_positive_counts, false_positive_counts, true_negative_counts,
                false_negative_counts, precision, recall,
            )
        ]  # fmt: skip
        self._add(summary.pr_curve_raw(tag, columns, num_thresholds), global_step, walltime)

    def add_hparams(
        self, hparam_dict: dict[str, Any], metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | None = None, run_name: str | None = None,
        global_step: Any = None,
    ) -> None:  # fmt: skip
        """Hyperparameters of a run and what it reached, in a folder beneath this one."""
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        contents = summary.hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        base = self._get_file_writer().get_logdir()
        with SummaryWriter(os.path.join(base, run_name or str(time.time()))) as run:
            for content in contents:
                run._add(content, global_step, None)
            for name, value in metric_dict.items():
                run.add_scalar(name, value, global_step)

    # -- pictures, sound and text ----------------------------------------------------------------

    def add_image(
        self, tag: str, img_tensor: Any, global_step: Any = None, walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:  # fmt: skip
        """A picture: floats in [0, 1] or bytes, with 1, 3 or 4 channels."""
        self._add(summary.image(tag, img_tensor, dataformats), global_step, walltime)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: Any = None, walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:  # fmt: skip
        """A batch of pictures as one; also a list of them."""
        if isinstance(img_tensor, list):
            sizes = {len(np.shape(summary.as_array(x))) for x in img_tensor}
            if sizes - {len(dataformats) - 1}:
                raise AssertionError(
                    f"add_images: a list for {dataformats} has tensors without its N, but got "
                    f"{sorted(sizes)} dimensions"
                )
            img_tensor = np.stack(
                [summary.as_array(x) for x in img_tensor], dataformats.upper().find("N")
            )
        self._add(summary.image(tag, img_tensor, dataformats), global_step, walltime)

    def add_image_with_boxes(
        self, tag: str, img_tensor: Any, box_tensor: Any, global_step: Any = None,
        walltime: float | None = None, rescale: float = 1, dataformats: str = "CHW",
        labels: Any = None,
    ) -> None:  # fmt: skip
        """A picture with red rectangles (left, top, right, bottom).

        Raises:
            NotImplementedError: labels or another scale are asked for.
        """
        if labels is not None or rescale != 1:
            raise NotImplementedError(
                "SummaryWriter.add_image_with_boxes: boxes have no labels and no rescale here"
            )
        content = summary.boxed(tag, img_tensor, box_tensor, dataformats)
        self._add(content, global_step, walltime)

    def add_figure(
        self, tag: str, figure: Any, global_step: Any = None, close: bool = True,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """A figure of Matplotlib, or a list of them; they are closed unless ``close=False``."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        pictures = []
        for one in figure if isinstance(figure, list) else [figure]:
            canvas = FigureCanvasAgg(one)
            canvas.draw()
            pictures.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
            if close and "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close(one)
        if isinstance(figure, list):
            self.add_image(tag, np.stack(pictures), global_step, walltime, "NHWC")
        else:
            self.add_image(tag, pictures[0], global_step, walltime, "HWC")

    def add_audio(
        self, tag: str, snd_tensor: Any, global_step: Any = None, sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Sound: one channel of floats in [-1, 1]."""
        self._add(summary.audio(tag, snd_tensor, sample_rate), global_step, walltime)

    def add_text(
        self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """A text in Markdown."""
        self._add(summary.text(tag, text_string), global_step, walltime)

    # -- layouts and graphs ----------------------------------------------------------------------

    def add_custom_scalars(self, layout: dict[str, dict[str, Any]]) -> None:
        """Charts of several scalars: ``{category: {title: ["Multiline", [tag, ...]]}}``.

        Or of "Margin" with the tags of a value and its bounds.
        """
        self._add(summary.custom_scalars(layout), None, None)

    def add_custom_scalars_multilinechart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """One chart of several scalars."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """One chart of a scalar with a lower and an upper bound."""
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False,
        use_strict_trace: bool = True,
    ) -> None:  # fmt: skip
        """The ops of a model, grouped by its modules; it is run once on ``input_to_model``."""
        graph = graph_def(model, input_to_model)
        self._get_file_writer().add_event((4, graph))

    def add_onnx_graph(self, prototxt: Any) -> None:
        """Refused."""
        _refuse("add_onnx_graph", "ONNX files are not read here")

    def add_video(self, *args: Any, **kwargs: Any) -> None:
        """Refused."""
        _refuse("add_video", "there is no encoder of videos here; write frames with add_images")

    def add_mesh(self, *args: Any, **kwargs: Any) -> None:
        """Refused."""
        _refuse("add_mesh", "meshes are not written here")

    def add_embedding(self, *args: Any, **kwargs: Any) -> None:
        """Refused."""
        _refuse("add_embedding", "the projector's files are not written here")

    # -- the end ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Hand all that waits to the files."""
        for writer in self.all_writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files; what is added afterwards begins another one."""
        for writer in self.all_writers.values():
            writer.close()
        self.file_writer = None
        self.all_writers = {}

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _refuse(name: str, why: str) -> NoReturn:
    raise NotImplementedError(f"SummaryWriter.{name}: {why}")
