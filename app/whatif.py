"""What-if: a stopped program is copied, the copy is changed and runs on, and both are compared.

`WhatIf` switches a session to the copy (the *branch*) and back. Everything that a session does with
its program it then does with the branch. Beside it a second copy, the *baseline*, runs without the
change, so that the difference is that of the change alone. The program itself waits at its stop.
"""

from __future__ import annotations

import ast
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from app.link import PING
from app.sanitize import clean
from framework.trace.events import BackwardBegin
from framework.trace.explain import look_through
from framework.trace.protocol import Control, StateChanged
from framework.trace.stuck import Watcher
from viewers.baseline import Baseline, compared
from viewers.graph.store import TraceStore

if TYPE_CHECKING:
    from app.session import Session
    from framework.trace.client import Client
    from viewers.baseline import WhatIf as WhatIfResult

__all__ = ["Change", "WhatIf", "parse_change"]

PATIENCE = 60.0  # seconds that the baseline may take to come as far as the branch

# What a session knows of its program; the program's is kept while the branch is looked at.
_KEPT = (
    "client", "name", "state", "stop", "store", "cursor", "following", "stops", "dropped", "losses",
    "runs", "snapshots", "frame", "role", "holder", "level", "cell", "_roots", "_queue", "_waiting",
)  # fmt: skip
_OWN = ("stops", "losses", "runs", "snapshots", "_roots", "_queue")  # the branch begins with copies


class Change(NamedTuple):
    """An assignment: to the tensor that is looked at (``it``), or to a name of the program."""

    of_tensor: bool
    target: str  # a slice of the tensor, or the left side
    value: str


def parse_change(text: str) -> Change:
    """What the user typed: ``it[0] = 0``, ``it *= 2``, ``model.p = 0.3``; ``it * 2`` is for ``it``.

    Raises ValueError with one line for the user.

    >>> parse_change("it[0, :] = it.max()")
    Change(of_tensor=True, target='0, :', value='it.max()')
    >>> parse_change("model.p += 0.1")
    Change(of_tensor=False, target='model.p', value='model.p + 0.1')
    """
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        raise ValueError(f"{text.strip()!r} is no assignment ({reason}): it[0] = 0") from None
    statement = body[0] if len(body) == 1 else None
    source = text.strip()
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        value = ast.get_source_segment(source, statement.value) or ""
    elif isinstance(statement, ast.AugAssign):
        target = statement.target
        left = ast.get_source_segment(source, target) or ""
        right = ast.get_source_segment(source, statement.value) or ""
        sign = _SIGNS[type(statement.op)]
        plain = isinstance(statement.value, (ast.Constant, ast.Name, ast.Attribute, ast.Call))
        value = f"{left} {sign} {right if plain else f'({right})'}"
    elif isinstance(statement, ast.Expr):
        return Change(True, "", source)
    else:
        raise ValueError(f"{source!r} is no assignment: it[0] = 0, it *= 2, model.p = 0.3")
    if isinstance(target, ast.Name) and target.id == "it":
        return Change(True, "", value)
    if isinstance(target, ast.Subscript) and getattr(target.value, "id", "") == "it":
        return Change(True, ast.get_source_segment(source, target.slice) or "", value)
    return Change(False, ast.get_source_segment(source, target) or "", value)


_SIGNS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%",
    ast.Pow: "**", ast.MatMult: "@", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
    ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip


@dataclass
class Branch:
    """A copy of the program that is looked at in its place."""

    pid: int
    seq: int  # where it parts
    program: Client
    base: Baseline
    kept: dict[str, Any]  # the session of the program
    outputs: dict[str, Any]  # and what its cells had put out
    lacks: list[str]  # names of its threads, which no copy has
    edits: list[str] = field(default_factory=list)
    adopting: bool = False
    pinged: float = 0.0
    asking: bool = False  # for the baseline's losses
    watcher: Watcher | None = None
    later: list[Any] = field(default_factory=list)  # what the program has sent meanwhile
    hangs: bool = False  # it was said


class WhatIf:
    """The branch of a session, if there is one."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.branch: Branch | None = None
        self._opening = False

    @property
    def entered(self) -> bool:
        """Is there a branch of ours, or is one being made?"""
        return self._opening or self.branch is not None

    # -- begin -------------------------------------------------------------------------------

    def edit(self, text: str, tensor: int = 0) -> None:
        """Change something in a branch, which is made if there is none yet.

        Args:
            tensor: the id of what is called ``it``; 0 if nothing is looked at.
        """
        session = self.session
        try:
            change = parse_change(text)
        except ValueError as error:
            session.say(str(error), problem=True)
            return
        if change.of_tensor and not tensor:
            session.say("choose a tensor in the inspector first: it is what `it` means", True)
        elif self.branch is not None:
            self._edit(change, tensor)
        elif not self._opening:
            self._open(change, tensor)

    def why_not(self) -> str:
        """Why nothing can be changed here; "" if it can."""
        session = self.session
        if session.state in ("dead", "recording"):
            return session.why_not()
        if session.state != "paused":
            return "values are changed at a stop: b sets a breakpoint, p pauses"
        if session.observing:
            return f"not done: {session.only_watching()}"
        if session.behind:
            return "values are changed where the model stands: end goes there"
        return ""

    def _open(self, change: Change, tensor: int) -> None:
        session, program = self.session, self.session.client
        if program is None or not hasattr(program, "sibling"):
            session.say(session.why_not(), problem=True)
            return
        self._opening = True

        def make() -> tuple[Client, Baseline, dict[str, Any]]:
            """The two copies; what was made is dropped again if one of them fails."""
            try:
                found = program.request("fork", kind="branch").result(PATIENCE)
                other = program.request("fork", kind="baseline").result(PATIENCE)
                base = Baseline(program.sibling(other["name"]), other)
                base.client.request("breakpoints", breakpoints=[]).result(PATIENCE)
                base.client.request("step", how="step").result(PATIENCE)
                return program.sibling(found["name"]), base, found
            except BaseException:
                program.request("drop")
                raise

        def made(result: tuple[Client, Baseline, dict[str, Any]]) -> None:
            self._opening = False
            self._enter(*result)
            self._edit(change, tensor)

        def failed(why: str) -> None:
            self._opening = False
            session.say(why, problem=True)

        session.say("the program is copied …")
        session.in_background(make, made, failed)

    def _enter(self, client: Client, base: Baseline, found: dict[str, Any]) -> None:
        """Look at the branch in the place of the program."""
        session = self.session
        assert session.client is not None
        kept = {name: getattr(session, name) for name in _KEPT}
        outputs = {}
        if session.notebook is not None:
            outputs = {
                cell.id: (list(cell.outputs), cell.execution_count)
                for cell in session.notebook.cells
            }
        program: Any = session.client
        program.on_message = None
        lacks = [clean(name, keep_newlines=False) for name in found.get("lacks", ())]
        self.branch = Branch(found["pid"], found["seq"], program, base, kept, outputs, lacks)
        self.branch.watcher = Watcher(client, found["pid"], lacks, "the branch")
        for name in _OWN:
            setattr(session, name, copy.copy(kept[name]))
        session.runs = {cell: copy.copy(run) for cell, run in session.runs.items()}
        session._queue.clear()
        session._waiting = []
        before, session.store = session.store, TraceStore()
        session.store.feed(list(before.tape))
        session.store.stood = list(before.stood)
        session.epoch += 1
        session.connect(client, attached=session.attached)
        session.await_cell()
        session.changed.update(("reset", "events", "cursor", "state", "runs"))

    def _edit(self, change: Change, tensor: int) -> None:
        session, branch = self.session, self.branch
        assert branch is not None
        raised = session.stop is not None and session.stop.reason == "exception"

        def done(text: str) -> None:
            branch.edits.append(text)
            lacks = f" (without its threads: {', '.join(branch.lacks)})" if branch.lacks else ""
            if raised:  # Python goes on with the error, whatever is changed now
                how = "what failed is not run again: change it at a stop before (b on its line)"
                session.say(f"what if {text}{lacks}: {how}; X drops the branch", problem=True)
                return
            session.say(f"what if {text}{lacks}: run on; D compares, X drops or adopts it")
            session.changed.update(("events", "cursor", "state", "reset"))

        def failed(why: str) -> None:
            if not branch.edits and self.branch is branch:
                self.drop()
            session.say(why, problem=True)

        session.ask(
            "edit", done, failed, target=change.target, value=change.value,
            tensor=tensor if change.of_tensor else 0, frame=session.frame,
        )  # fmt: skip

    # -- end ---------------------------------------------------------------------------------

    def drop(self) -> None:
        """End the branch; the session is where it was before."""
        session, branch = self.session, self.branch
        if branch is None:
            return
        self.branch = None
        dropped = branch.program.request("drop")
        session.in_background(lambda: dropped.result(PATIENCE), lambda _: None)
        for client in (session.client, branch.base.client):
            if client is not None:
                client.close()
        for name in _KEPT:
            setattr(session, name, branch.kept[name])
        for message in branch.later:
            if isinstance(message, StateChanged):
                message.branches = []  # it was ours
        branch.program.inbox.extendleft(reversed(branch.later))
        session.branches = []
        session.questions.take(None)  # the program stands
        branch.program.on_message = session.on_message
        if session.notebook is not None:
            for cell in session.notebook.cells:
                if cell.id in branch.outputs:
                    cell.outputs, cell.execution_count = branch.outputs[cell.id]
                    session.outputs.add(cell.id)
        session.epoch += 1
        session.settled()
        if session.breakpoints and not session.observing:
            session.send_breakpoints()
        session.say("the branch is dropped: this is the program where it was")
        session.changed.update(
            ("reset", "events", "cursor", "state", "runs", "output", "snapshot", "breakpoints")
        )

    def adopt(self) -> None:
        """The branch is the program from now on."""
        session, branch = self.session, self.branch
        if branch is None:
            return

        def adopted(_: object) -> None:
            self.branch = None
            branch.program.close()
            branch.base.client.close()
            if session.kernel is not None:
                session.kernel.client = session.client  # type: ignore[assignment]
            session.say("the branch is the program now")
            session.changed.add("state")

        def failed(why: str) -> None:
            branch.adopting = False
            session.say(why, problem=True)

        def adopt() -> None:
            if branch.kept["role"] == "observe":  # somebody took it meanwhile
                branch.program.request("control", want="take").result(PATIENCE)
            branch.program.request("adopt", pid=branch.pid).result(PATIENCE)

        branch.adopting = True
        session.in_background(adopt, adopted, failed)

    def close(self) -> None:
        """The viewer leaves: the program is as it was."""
        branch, self.branch = self.branch, None
        if branch is not None:
            branch.program.request("drop")
            branch.base.client.close()
            branch.program.close()

    def answered(self, text: str | None) -> None:
        """The branch was answered what it asked; so will the baseline be."""
        if self.branch is not None:
            self.branch.base.answers.append(text)

    # -- meanwhile ---------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Show the program that somebody is there, and see what the baseline's losses are."""
        branch, session = self.branch, self.session
        if branch is None:
            return
        if branch.program.closed and not branch.adopting:
            self.branch = None
            session.client, session.name = branch.program, branch.kept["name"]
            return  # the session says how it ended
        if session.client is None or session.client.closed:
            self.drop()
            session.say("the branch has ended; this is the program where it was", problem=True)
            return
        if session.attached and now - branch.pinged > PING and not branch.adopting:
            branch.pinged = now
            branch.program.request("ping")
            branch.base.client.request("ping")
        self._hear_of_the_program(branch)
        self._look_whether_it_hangs(branch)
        if len(self.losses) > len(branch.base.losses) and not branch.asking:
            self._ask_base_losses(branch)

    def _hear_of_the_program(self, branch: Branch) -> None:
        """Who controls it now is worth knowing at once; the rest waits until it is looked at."""
        inbox = branch.program.inbox
        while inbox:
            message = inbox.popleft()
            branch.later.append(message)
            if isinstance(message, Control):
                branch.kept.update(role=message.role, holder=message.holder)
                if message.taken:
                    who = clean(message.holder, keep_newlines=False)
                    self.session.say(
                        f"{who} took control of the program; the branch is yours still: X", True
                    )

    def _look_whether_it_hangs(self, branch: Branch) -> None:
        """A copy waits for ever for what it has not; say so once for each time that it runs."""
        session, watcher = self.session, branch.watcher
        assert watcher is not None
        asks = session.questions.open is not None
        if not watcher.hangs("asks" if asks else session.state, session.store.last_seq):
            branch.hangs = False
        elif not branch.hangs:
            branch.hangs = True
            session.in_background(
                watcher.words, lambda text: session.say(f"{text}; X drops it", problem=True)
            )

    @property
    def losses(self) -> list[float]:
        """What the branch's backward passes started from, since it parted; NaN: not known."""
        branch, session = self.branch, self.session
        assert branch is not None
        known = dict(session.losses)
        begins = [e for e in session.store.tape if isinstance(e, BackwardBegin) and e.roots]
        return [known.get(e.seq, math.nan) for e in begins if e.seq > branch.seq]

    def pairs(self) -> list[tuple[float, float]]:
        """The losses that are known of both: the baseline's and the branch's."""
        branch = self.branch
        if branch is None:
            return []
        both = zip(branch.base.losses, self.losses)
        return [(a, b) for a, b in both if not (math.isnan(a) and math.isnan(b))]

    def _ask_base_losses(self, branch: Branch) -> None:
        branch.asking = True
        events = list(self.session.store.tape)

        def arrived(_: object) -> None:
            branch.asking = False
            self.session.changed.add("state")

        def failed(_: str) -> None:
            """It has ended, and is not asked again: ``asking`` stays."""

        self.session.in_background(lambda: branch.base.follow(events), arrived, failed)

    def words(self) -> str:
        """For the status line: ``what if · loss 2.31 → 1.98``."""
        branch = self.branch
        if branch is None:
            return ""
        pairs = self.pairs()
        loss = f" · loss {pairs[-1][0]:.4g} → {pairs[-1][1]:.4g}" if pairs else ""
        return f"what if{loss}"

    def compare(self) -> Callable[[], WhatIfResult]:
        """What makes the comparison, in the background: the baseline is A, the branch B."""
        session, branch = self.session, self.branch
        assert branch is not None and session.client is not None
        events, look = list(session.store.tape), look_through(session.client)
        name, over = branch.kept["name"] or "the program", session.state in ("finished", "idle")
        return lambda: compared(events, look, branch.base, name=name, over=over)
