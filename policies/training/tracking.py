"""What a run writes while it goes: TensorBoard's event files and metrics.csv, the same scalars in both.

Each seller is a TensorBoard run of its own (a folder in the run's), so that a tag such as ``evaluation/profit`` is one
chart with a line for each seller. What concerns the whole market stands in the run's own folder. Steps count
seller-periods.

TensorBoard shows a step twice that is written twice, so a run that goes on from a checkpoint takes back what it wrote
after it: :class:`EventFiles` knows how far each file went, and cuts it there.
"""

from __future__ import annotations

import csv
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, Summary, SummaryMetadata
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from market.errors import UserError
from policies.common.files import inside, sync, writing
from policies.training.charts import described, layout

EVENTS = "events.out.tfevents"
METRICS = "metrics.csv"
CLOCK = 2.0  # seconds waited at most for a file's name to come after those that are there


class EventFiles:
    """The event files of a run and its metrics.csv, by their paths in the run's folder."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def present(self) -> dict[str, Path]:
        """The files that there are."""
        found = [*self.run.glob(f"{EVENTS}.*"), *self.run.glob(f"seller_*/{EVENTS}.*"), *self.run.glob(METRICS)]
        return {path.relative_to(self.run).as_posix(): path for path in sorted(found)}

    def sizes(self) -> dict[str, int]:
        """How many bytes of each file there are; all of them have reached the files."""
        found = self.present()
        for path in found.values():
            with writing(path):
                sync(path)
        return {name: path.stat().st_size for name, path in found.items()}

    def cut(self, sizes: Mapping[str, int]) -> None:
        """Cut files back to the sizes they had, and remove those that were not there.

        Raises :class:`UserError` for a file that is missing, or shorter than it was.
        """
        present = self.present()
        for name, size in sizes.items():
            if name not in present or present[name].stat().st_size < size:
                raise UserError(f"{self.run / name}: is missing or shorter than it was at the run's last checkpoint")
        for name, path in present.items():
            with writing(path):
                if name in sizes:
                    os.truncate(path, sizes[name])
                else:
                    path.unlink()
        self._wait([Path(name).name for name in sizes])

    def _wait(self, names: list[str]) -> None:
        """Until new event files, named by the second, come after those that are there: they are read in that order."""
        seconds = [int(name.split(".")[3]) for name in names if name.startswith(EVENTS)]
        until = time.monotonic() + CLOCK
        while seconds and int(time.time()) <= max(seconds) and time.monotonic() < until:
            time.sleep(0.05)


@contextmanager
def muted_writer_threads() -> Iterator[None]:
    """TensorBoard's writer threads print no traceback within: what they meet is raised again where it matters."""
    before = threading.excepthook

    def hook(given: Any) -> None:
        if not (isinstance(given.exc_value, OSError) and "event_file_writer" in type(given.thread).__module__):
            before(given)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


SMALLER = 0.5
COLUMNS = ("step", "phase", "seller", "metric", "value")


class Tracker:
    """Writes one run's events and metrics; use as a context manager so that nothing is lost on Ctrl-C."""

    def __init__(self, folder: Path, sellers: list[str], mark: Mapping[str, Any] | None = None) -> None:
        """Begin anew, or go on from a ``mark``, what :meth:`state_dict` gave: whatever was written later is cut off."""
        self._folder, self._names = folder, sellers
        self._open(mark)

    def _open(self, mark: Mapping[str, Any] | None) -> None:
        events = EventFiles(self._folder)
        events.cut({} if mark is None else mark["files"])
        self._seen: set[str] = set(mark["seen"]) if mark else set()
        self._described: set[tuple[str, str]] = set()
        self._arranged = bool(mark and mark["arranged"])
        with writing(self._folder / EVENTS):
            self._market = SummaryWriter(str(self._folder))
            self._sellers = {name: SummaryWriter(str(inside(self._folder, f"seller_{name}"))) for name in self._names}
        with writing(self._folder / METRICS):
            self._file = open(self._folder / METRICS, "a", newline="", encoding="utf-8")  # noqa: SIM115
        self._rows = csv.writer(self._file)
        if not mark:
            self._rows.writerow(COLUMNS)

    def state_dict(self) -> dict[str, Any]:
        """A mark that :class:`Tracker` can go on from; everything before it has reached the files."""
        self._flush()
        for writer in self._writers:
            self._event(writer.flush)
        return {"files": EventFiles(self._folder).sizes(), "seen": sorted(self._seen), "arranged": self._arranged}

    def rewind(self, mark: Mapping[str, Any]) -> None:
        """Go back to a mark: what was written later is forgotten."""
        self._close()
        self._open(mark)

    @property
    def _writers(self) -> tuple[SummaryWriter, ...]:
        return self._market, *self._sellers.values()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, KeyboardInterrupt):
            self.arrange()
            self._close()
        else:  # that the disk refuses is no news then
            with suppress(OSError):
                self._close()

    def _close(self) -> None:
        with ExitStack() as stack:  # one that cannot be closed leaves none of the others open
            for writer in self._writers:
                stack.callback(self._event, writer.close)
            stack.enter_context(writing(self._folder / METRICS))
            stack.callback(self._file.close)

    def _event(self, write: Callable[..., object], *given: Any, **options: Any) -> None:
        """Have a writer do something; raise :class:`OSError` that names its file."""
        with writing(self._folder / EVENTS):
            write(*given, **options)

    def _flush(self) -> None:
        with writing(self._folder / METRICS):
            self._file.flush()

    def arrange(self) -> None:
        """Write the custom-scalar layout of the tags seen so far. TensorBoard reads the first one only, so do we write."""
        if not self._arranged:
            self._event(self._market.add_custom_scalars, layout(self._seen))
            self._arranged = True

    def scalars(self, phase: str, step: int, seller: str, values: Mapping[str, float]) -> None:
        """Record each metric of one seller, or of ``WHOLE_MARKET``, under ``phase/metric``."""
        writer = self._sellers.get(seller, self._market)
        for metric, value in values.items():
            if np.isfinite(value):
                self._scalar(writer, f"{phase}/{metric}", float(value), step)
                self._seen.add(f"{phase}/{metric}")
                self._row(step, phase, seller, metric, value)
        self._flush()

    def _scalar(self, writer: SummaryWriter, tag: str, value: float, step: int) -> None:
        """As the writer's ``add_scalar``, and the first of a chart with what it shows, which that cannot say."""
        about = None
        if (chart := (writer.log_dir, tag)) not in self._described:
            self._described.add(chart)
            # TensorBoard's own reader of files drops what is said of a value that does not call itself a scalar.
            about = SummaryMetadata(
                summary_description=described(tag), data_class=DATA_CLASS_SCALAR, plugin_data={"plugin_name": "scalars"}
            )
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value, metadata=about)])
        file: Any = writer._get_file_writer()  # type: ignore[no-untyped-call]
        self._event(file.add_summary, summary, step)

    def _row(self, step: int, phase: str, seller: str, metric: str, value: float) -> None:
        with writing(self._folder / METRICS):
            self._rows.writerow((step, phase, seller, metric, repr(float(value))))

    def histogram(self, step: int, seller: str, metric: str, values: NDArray[Any]) -> None:
        """Record the distribution of a decision."""
        flat = np.asarray(values, np.float64).ravel()
        self._event(self._sellers[seller].add_histogram, f"decisions/{metric}", flat, step)

    def figure(self, step: int, name: str, figure: Any) -> None:
        """Record a matplotlib figure and close it; smaller, since TensorBoard shows it in a narrow card."""
        figure.set_size_inches(SMALLER * figure.get_size_inches())
        self._event(self._market.add_figure, name, figure, step, close=True)

    def text(self, name: str, content: Mapping[str, Any]) -> None:
        """Record plain data as YAML text."""
        listing = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)
        self._event(self._market.add_text, name, "```yaml\n" + listing + "```")

    def hparams(self, step: int, options: Mapping[str, Any], figures: Mapping[str, Mapping[str, float]]) -> None:
        """Record the run's options beside its final ``figures`` by metric and seller."""
        plain = {k: v if isinstance(v, (bool, int, float, str)) else str(v) for k, v in options.items()}
        every = [(metric, *one) for metric, values in figures.items() for one in values.items()]
        finite = [(metric, seller, value) for metric, seller, value in every if np.isfinite(value)]
        tagged = {f"final/{metric}/{seller}": value for metric, seller, value in finite}
        file: Any = self._market._get_file_writer()  # type: ignore[no-untyped-call]
        for part in hparams(plain, tagged):  # type: ignore[no-untyped-call]
            self._event(file.add_summary, part)
        for tag, value in tagged.items():
            self._scalar(self._market, tag, value, step)
        for metric, seller, value in finite:
            self._row(step, "final", seller, metric, value)
