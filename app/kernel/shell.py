"""IPython's shell without a terminal: runs cells, and hands on what they show.

Magics, completion, tracebacks and rich display are IPython's. Different here: code of a cell is
compiled under the file name ``<cell ID>``, so that a line of the cell is a line of the file; output
goes to `Outputs`; tracebacks leave out the frames of IPython and of the framework.
"""

from __future__ import annotations

import os
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import IPython
from IPython.core.application import ProfileDir
from IPython.core.compilerop import CachingCompiler
from IPython.core.completer import provisionalcompleter, rectify_completions
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.tokenutil import token_at_cursor
from traitlets import Any as AnyTrait
from traitlets import Type
from traitlets.config import Config

from app.kernel.output import CellInput, CellStream, Outputs
from framework.trace import frames

__all__ = ["KernelShell", "Ran", "make_shell"]

MAX_COMPLETIONS = 500


@dataclass(frozen=True, slots=True)
class Ran:
    """How a cell ended."""

    count: int
    error: BaseException | None


class CellCompiler(CachingCompiler):
    """Names code by its cell."""

    cell = ""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        if self.cell:
            return f"<cell {self.cell}>"
        name: str = super().get_code_name(raw_code, transformed_code, number)
        return name


class CellDisplayHook(DisplayHook):
    """Sends the value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        shell: Any = self.shell
        count = shell.execution_count - 1
        shell.outputs.display("result", format_dict, md_dict, count=count)

    def log_output(self, format_dict: Any) -> None:
        pass  # the notebook keeps it

    def finish_displayhook(self) -> None:
        self._is_active = False


class CellDisplayPublisher(DisplayPublisher):
    """Sends what ``display`` shows."""

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        display_id = str((transient or {}).get("display_id", ""))
        kind = "update" if update else "display"
        self.shell.outputs.display(kind, data, metadata, display_id=display_id)

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.clear(wait)


class KernelShell(InteractiveShell):
    """The shell of a kernel; `make_shell` makes the one there is."""

    outputs = AnyTrait()
    compiler_class = Type(CellCompiler)
    displayhook_class = Type(CellDisplayHook)
    display_pub_class = Type(CellDisplayPublisher)

    def init_virtualenv(self) -> None:
        pass  # it runs in the environment that it was started in

    def enable_gui(self, gui: Any = None) -> None:
        if gui and gui not in ("inline", "agg"):
            raise NotImplementedError(f"there is no event loop for {gui!r} in a kernel")

    @contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        yield  # IPython would keep all that was ever printed, for its history

    def ask_exit(self) -> None:
        sys.stderr.write("The kernel runs on; restart it for a fresh one.\n")

    def run(self, cell: str, code: str) -> Ran:
        """Run a cell; what it shows has been handed on when this returns."""
        compiler: Any = self.compile
        compiler.cell = cell
        try:
            result = self.run_cell(code, store_history=True, cell_id=cell)
        finally:
            compiler.cell = ""
        return Ran(result.execution_count or 0, result.error_before_exec or result.error_in_exec)

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        try:
            _, error, _ = self._get_exc_info(exc_tuple)
        except ValueError:
            return
        if isinstance(error, SystemExit):
            code = "" if error.code is None else str(error.code)
            line = f"SystemExit: {code}" if code else "SystemExit"
            self.outputs.error("SystemExit", code, [f"{line} (the kernel runs on)"])
            return
        frames.prune(error)
        exc_tuple = (type(error), error, error.__traceback__)
        super().showtraceback(exc_tuple, *args, **{**kwargs, "tb_offset": 0})

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        text = self.InteractiveTB.stb2text(stb)
        try:
            value = str(evalue)
        except Exception:  # its `__str__` is the user's
            value = "<its text cannot be made>"
        self.outputs.error(etype.__name__, value, text.splitlines())

    def complete_at(self, code: str, pos: int) -> dict[str, Any]:
        """Completions of the code before a position, as the wire has them."""
        pos = max(0, min(pos, len(code)))
        with provisionalcompleter(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = list(rectify_completions(code, self.Completer.completions(code, pos)))
        if not found:
            return {"matches": [], "start": pos, "end": pos}
        matches = list(dict.fromkeys(c.text for c in found))[:MAX_COMPLETIONS]
        return {"matches": matches, "start": found[0].start, "end": found[0].end}

    def inspect_at(self, code: str, pos: int, detail: int = 0) -> dict[str, Any]:
        """What is known of the name at a position."""
        name = token_at_cursor(code, max(0, min(pos, len(code))))
        try:
            bundle = self.object_inspect_mime(name, detail_level=detail) if name else {}
        except KeyError:
            bundle = {}
        text = bundle.get("text/plain", "")
        return {"found": bool(text), "name": name, "text": text[:50_000]}


def make_shell(outputs: Outputs, home: Path) -> KernelShell:
    """The shell of this process: ``__main__`` is the cells' namespace, the streams are redirected.

    ``home`` is a directory that IPython is given in place of one in the user's home.
    """
    frames.hide(os.path.dirname(IPython.__file__), os.path.dirname(os.path.dirname(__file__)))
    main = types.ModuleType("__main__", "The namespace of the notebook's cells.")
    config = Config()
    config.HistoryManager.enabled = False  # no file for it: the notebook is the history
    config.Completer.use_jedi = False  # slow, and blind to what a name holds now
    config.InteractiveShell.colors = "neutral"
    config.InteractiveShell.banner1 = ""
    sys.stdin = CellInput()
    sys.stdout = CellStream(outputs, "stdout", 1)
    sys.stderr = CellStream(outputs, "stderr", 2)
    warnings.filterwarnings("ignore", message="To exit: use 'exit'")
    shell: KernelShell = KernelShell.instance(
        config=config,
        ipython_dir=str(home),
        profile_dir=ProfileDir.create_profile_dir(str(home)),
        user_module=main,
        outputs=outputs,
    )
    return shell
