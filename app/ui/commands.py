"""What each action of the table does, on the main screen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.actions import by_id
from app.places import code_line
from app.sanitize import clean
from app.ui.branches import Branches
from app.ui.describe import breakpoint_text
from app.ui.explain import Explain
from app.ui.panes.base import Pane
from app.ui.panes.console import ConsolePane
from app.ui.panes.events import EventsPane
from app.ui.panes.graph import GraphPane
from app.ui.panes.notebook import NotebookView
from app.ui.panes.timeline import TimelinePane
from app.ui.screens.condition import ConditionScreen
from app.ui.screens.confirm import ConfirmScreen
from app.ui.tables import Tables
from app.ui.takeaway import TakeAway
from framework.trace.events import CellBegin, CellEnd, Op
from framework.trace.protocol import Breakpoint

if TYPE_CHECKING:
    from app.ui.main import MainScreen

__all__ = ["Commands"]


# What a recording cannot do.
_AGAIN = "`tapebook rerun FILE.tape` runs a step of it again"
_NOT_RECORDED = {
    **dict.fromkeys(("run", "run_next", "run_all"), f"a recording cannot be run; {_AGAIN}"),
    "edit_value": f"a recording cannot be changed; {_AGAIN}",
}


def _same(a: Path, b: Path) -> bool:
    return a.name == b.name and a.absolute() == b.absolute()


class Commands(Branches, Explain, TakeAway, Tables):
    """`perform` runs an action by its id: the method of that name, with ``do_`` before it."""

    def __init__(self, screen: MainScreen) -> None:
        self.screen = screen
        self.session = screen.session
        self._search = ""
        self.export_to = ""

    def perform(self, name: str) -> bool:
        """Run an action; False if it does not apply here and the key is free for others."""
        if self.session.state == "recording" and name in _NOT_RECORDED:
            self.session.say(_NOT_RECORDED[name])
            self.update()
            return True
        method = getattr(self, f"do_{name}", None)
        if method is None:
            step = by_id[name].group == "Step" and name in ("next", "into", "out", "line", "step")
            if step or name == "continue":
                self.session.message = ""
                self.session.forward(name)
                self.update()
                return True
            if name.startswith("pane_"):
                self._go_to_number(int(name[5:]))
                return True
            raise KeyError(f"no action is called {name!r}")
        if by_id[name].group != "View":  # who only looks around keeps the word about the stop
            self.session.message = ""
        done = method() is not False
        self.update()
        return done

    def update(self) -> None:
        """Show what the action has changed, without waiting for the next tick."""
        self.app.tick(take=False)
        self.screen.status.fit()

    @property
    def app(self) -> Any:
        return self.screen.app

    # -- keeping the panes up to date --------------------------------------------------------

    def refresh(self, changed: set[str]) -> None:
        """Repaint what has to do with the parts of the session that have changed."""
        screen, session = self.screen, self.session
        if "reset" in changed:
            screen.graph.reset()
            screen.inspector.forget()
            screen.lower.figures.forget()
        if "values" in changed:
            screen.inspector.ask_again()
        tape = bool(changed & {"events", "cursor", "state", "reset"})
        if tape:
            screen.graph.sync()
            screen.timeline.sync()
        elif "snapshot" in changed:
            screen.graph.named()
        if changed & {"events", "cursor", "reset"}:
            self._inspect(changed)
        view = screen.notebook.view
        outputs = set(session.outputs)
        session.outputs.clear()
        for cell in outputs:
            view.rows.forget(cell)
        if changed & {"output", "runs", "state", "cursor", "breakpoints"}:
            view.update_rows()
            screen.notebook.place_editor()
        screen.notebook.asked.sync()
        if outputs:
            view.show_outputs(outputs)
        if "cursor" in changed:
            self._reveal_place()
        if "breakpoints" in changed:
            screen.graph.refresh()
        active = screen.lower.active
        interest = {
            "events": {"events", "cursor"},
            "variables": {"snapshot", "cursor"},
            "parameters": {"events", "cursor", "state", "figures"},
            "steps": {"events", "cursor", "figures"},
            "source": {"events", "cursor", "state", "figures"},
            "memory": {"events", "cursor"},
            "breakpoints": {"breakpoints", "state"},
            "watches": {"watches", "cursor"},
            "console": {"console"},
        }[active.where]
        if "cursor" in changed:
            screen.lower.source.follow_cursor()
        if "events" in changed and session.state == "running":
            screen.lower.parameters.sample()
        if changed & (interest | {"reset"}) and screen.lower.display:
            screen.lower.fresh()
        screen.titles()
        screen.prompt.relabel()
        screen.status.fit()

    def refresh_pane(self, pane: Pane) -> None:
        """Bring one pane up to date that comes into sight."""
        if isinstance(pane, (EventsPane, ConsolePane)):
            pane.follow()
        elif isinstance(pane, GraphPane):
            pane.sync()
        else:
            pane.update_rows()

    def _inspect(self, changed: set[str]) -> None:
        """The inspector shows the cursor; while a model runs freely, nothing it could ask for."""
        session, inspector = self.session, self.screen.inspector
        if "cursor" not in changed and "reset" not in changed:
            return
        if session.state == "running" and session.following:
            if inspector.subject is None:
                inspector.runs()
            return
        subject = session.moment.subject if session.cursor else None
        if isinstance(subject, (CellBegin, CellEnd)):
            row = self.screen.graph.chosen  # the cell is over: its last op says more
            if row is not None:
                inspector.show(row.begin)
            elif inspector.subject is None:
                inspector.show(0)  # no op ran: it no longer says that something runs
            return
        inspector.show(subject.seq if subject is not None else 0)

    def _reveal_place(self) -> None:
        """Bring the line where the model stands into sight, unless somebody edits."""
        session, notebook = self.session, self.screen.notebook
        running = session.state == "running" and session.following
        if session.place is not None and not notebook.editing and not running:
            notebook.view.reveal(*session.place)

    def reveal(self) -> None:
        """After a change of sizes: the cursor is in sight again."""
        self._reveal_place()
        if self.screen.graph.display:
            self.screen.graph.show_row(self.screen.graph.selected, margin=2)

    def notebook_title(self) -> str:
        """The file, with a mark if it is not saved."""
        notebook = self.screen.notebook.notebook
        session = self.session
        recording = session.state == "recording"
        elsewhere = session.name if recording else session.file.rpartition("/")[2]
        name = notebook.path.name if notebook.path is not None else elsewhere or "untitled"
        mark = " ●" if notebook.dirty else ""
        note = " (read-only)" if notebook.read_only else ""
        editing = " · editing" if self.screen.notebook.editing else ""
        return f"{clean(name, keep_newlines=False)}{mark}{note}{editing}"

    def selected(self, pane: Pane, row: int) -> None:
        """The user selected a row: the inspector shows it."""
        if isinstance(pane, TimelinePane):
            self.update()
        elif isinstance(pane, GraphPane) and pane.chosen is not None:
            self.screen.inspector.show(pane.chosen.begin)
        elif self.row_selected(pane):
            pass
        elif isinstance(pane, EventsPane):
            moment = self.session.store.moment(pane.seq_of(row))
            if moment.subject is not None:
                self.screen.inspector.show(moment.subject.seq)

    def activated(self, pane: Pane) -> None:
        """A double click is enter."""
        name = {
            "notebook": "edit", "graph": "run_to_row", "events": "run_to_row",
            "variables": "show_variable", "breakpoints": "toggle_row", "watches": "edit_row",
            "parameters": "row_over_steps", "steps": "go_to_row", "source": "go_to_row",
            "memory": "go_to_row",
        }.get(pane.where)  # fmt: skip
        if name is not None:
            self.perform(name)

    # -- steps -------------------------------------------------------------------------------

    def do_back(self) -> None:
        self.session.back()

    def do_back_stop(self) -> None:
        self.session.back_stop()

    def do_earlier(self) -> None:
        self.session.back()

    def do_later(self) -> None:
        self.session.later()

    def do_first(self) -> None:
        self.session.go(self.session.store.first_seq)

    def do_live(self) -> None:
        self.session.go_live()
        self.session.changed.add("cursor")
        self.screen.graph.following = True
        self.screen.graph.follow_phase()
        self.screen.graph.show_cursor()

    def do_pause(self) -> None:
        self.session.pause()

    def do_full_speed(self) -> None:
        self.session.full_speed()

    def do_take_control(self) -> None:
        self.session.take_over()

    def do_run_to_row(self) -> None:
        screen, session = self.screen, self.session
        if screen.where == "events":
            session.go(screen.lower.events.seq_of(screen.lower.events.selected))
        elif screen.graph.chosen is not None:
            session.go(screen.graph.seq_of(screen.graph.chosen))

    def do_run_to(self) -> None:
        screen, session = self.screen, self.session
        if screen.where == "notebook":
            view = screen.notebook.view
            self._run_to_line(*session.file_line(view.cell.id, view.line))
        elif screen.where == "graph" and screen.graph.chosen is not None:
            row = screen.graph.chosen
            if row.begin > session.cursor or session.behind or session.state != "paused":
                session.go(screen.graph.seq_of(row))
                return
            target = row.target  # it happened already: its next time
            session.run_until(
                Breakpoint(
                    0, op=target.op, module=target.module, phase=target.phase,
                    file=target.file if target.op else "", line=target.line if target.op else 0,
                )
            )  # fmt: skip
        elif screen.where == "events":
            self.do_run_to_row()
        else:
            session.say("t runs to the line in the notebook or to the row in the graph")

    def _run_to_line(self, file: str, line: int) -> None:
        session = self.session
        if session.behind:
            for event in session.store.events(session.cursor + 1, session.live_seq):
                source = getattr(event, "source", None)
                if type(event) is Op and source is not None and (source.file, source.line) == (
                    file, line,
                ):  # fmt: skip
                    session.go(event.seq)
                    return
        session.run_until(Breakpoint(0, file=file, line=line))

    # -- stops -------------------------------------------------------------------------------

    def _target(self) -> dict[str, Any] | None:
        """What a breakpoint is about where the focus is."""
        screen = self.screen
        if screen.where == "notebook":
            view = screen.notebook.view
            if view.cell.kind != "code":
                return None
            line = view.line
            if screen.editing:
                line = screen.notebook.editor.cursor_location[0] + 1
            line = code_line(view.cell.source, line)
            if not line:
                return None
            file, line = self.session.file_line(view.cell.id, line)
            return {"file": file, "line": line}
        row = screen.graph.chosen
        if screen.where in ("graph", "inspector") and row is not None:
            target = row.target
            if row.kind in ("module", "fold"):
                return {"module": target.module, "phase": target.phase}
            if row.kind == "leaf" and row.item.role == "parameter" and row.item.name:
                return {"param": row.item.name, "phase": "backward"}
            if target.op:
                found: dict[str, Any] = {"op": target.op, "module": target.module}
                found["phase"] = target.phase
                if not target.module and target.line:
                    found |= {"file": target.file, "line": target.line}
                return found
        return None

    def do_break(self) -> None:
        target = self._target()
        if target is None:
            self.session.say("b: select a line in the notebook, or an op or module in the graph")
            return
        if self.session.refused():
            return
        point = self.session.toggle_breakpoint(**target)
        if point is None:
            self.session.say("the breakpoint is gone")
        else:
            self.session.say(f"breakpoint {point.id}: {breakpoint_text(self.session, point)}")

    def do_break_if(self) -> None:
        target = self._target() or {}
        if self.screen.where == "notebook" and not self.screen.editing and not self.view.on_code:
            target = {}  # of a comment or a heading nobody wants to know when it runs
        self._edit_breakpoint(Breakpoint(0, **target), "new breakpoint")

    def _edit_breakpoint(self, point: Breakpoint, title: str) -> None:
        if self.session.refused():
            return

        def done(fields: dict[str, Any] | None) -> None:
            if fields is None:
                return
            if point.id:
                self.session.change_breakpoint(point.id, **fields)
            elif same := self.session.same_breakpoint(**fields):
                self.session.change_breakpoint(same.id, enabled=True)
                self.session.say(f"breakpoint {same.id} is the same: it is set already")
            else:
                self.session.add_breakpoint(**fields)
            self.update()

        self.app.push_screen(ConditionScreen(point, title, self.session), done)

    def do_toggle_row(self) -> None:
        point = self.screen.lower.breakpoints.chosen
        if point is not None and not self.session.refused():
            self.session.change_breakpoint(point.id, enabled=not point.enabled)

    def do_delete_row(self) -> None:
        lower = self.screen.lower
        if self.screen.where == "watches":
            self.session.remove_watch(lower.watches.selected)
        elif lower.breakpoints.chosen is not None and not self.session.refused():
            self.session.remove_breakpoint(lower.breakpoints.chosen.id)

    def do_edit_row(self) -> None:
        lower = self.screen.lower
        if self.screen.where == "watches":
            index = lower.watches.selected
            if 0 <= index < len(self.session.watches):
                old = self.session.watches[index]
                self._ask_watch(old, lambda text: self.session.change_watch(index, text))
        elif lower.breakpoints.chosen is not None:
            point = lower.breakpoints.chosen
            self._edit_breakpoint(point, f"breakpoint {point.id}")

    def do_watch(self) -> None:
        variable = None
        if self.screen.where == "variables":
            pane = self.screen.lower.variables
            variable = pane.variable(pane.selected)
        self._ask_watch(variable.name if variable is not None else "", self.session.add_watch)

    def _ask_watch(self, value: str, add: Any) -> None:
        def done(text: str) -> None:
            add(text)
            self.screen.lower.show("watches")
            self.update()

        self.screen.ask("watch", done, value)

    # -- notebook ----------------------------------------------------------------------------

    @property
    def view(self) -> NotebookView:
        return self.screen.notebook.view

    def _writable(self) -> bool:
        if self.session.state == "recording":
            self.session.say("this is a recording: its source is only shown", problem=True)
            return False
        if self.session.attached:
            self.session.say("attached to a program: its source is only shown", problem=True)
            return False
        return True

    def do_edit(self) -> None:
        where = self.view.rows.locate(self.view.selected)
        if where.kind == "ask":
            self.do_answer()
        elif self._writable():
            self.screen.notebook.edit()

    def do_answer(self) -> None:
        questions = self.session.questions
        if questions.open is None:
            self.session.say("nothing is asked: input() in a cell does")
        elif not self.session.refused():
            self.screen.go_to("notebook")
            self.screen.notebook.leave(focus=False)
            self.screen.notebook.asked.focus()

    def _code_cells(self) -> list[str]:
        return [c.id for c in self.view.notebook.cells if c.kind == "code"]

    def do_run(self) -> None:
        self.screen.notebook.take_text()
        cell = self.view.cell
        if cell.kind != "code":
            self.session.say("this cell is text; y makes it code")
            return
        self._run([cell.id])

    def _run(self, cells: list[str]) -> None:
        self.screen.notebook.typed = False
        self.session.run(cells)
        self.view.follow(cells)

    def do_run_next(self) -> None:
        notebook = self.screen.notebook
        if self.screen.where != "notebook":
            return self.do_run()
        notebook.leave()
        cell = self.view.cell
        cells = self.view.notebook.cells
        if cells[-1] is cell:
            new = self.view.notebook.insert(len(cells))
            self._cells_changed(new.id)
        else:
            self.view.step_cell(1)
        if cell.kind == "code":
            self._run([cell.id])

    def do_run_all(self) -> None:
        self.screen.notebook.take_text()
        self._run(self._code_cells())

    def _cells_changed(self, cell: str) -> None:
        self.view.update_rows()
        self.view.select_cell(cell)

    def do_insert_above(self) -> None:
        self._insert(0)

    def do_insert_below(self) -> None:
        self._insert(1)

    def _insert(self, offset: int) -> None:
        if self._writable():
            notebook = self.view.notebook
            cell = notebook.insert(notebook.index(self.view.cell.id) + offset)
            self._cells_changed(cell.id)
            self.screen.notebook.edit(1)

    def do_delete_cell(self) -> None:
        if not self._writable():
            return
        notebook = self.view.notebook
        cell = self.view.cell
        index = notebook.index(cell.id)
        notebook.delete(cell.id)
        self._cells_changed(notebook.cells[min(index, len(notebook.cells) - 1)].id)
        self.session.say("the cell is deleted; z brings it back")

    def do_undo(self) -> None:
        self._restore(self.view.notebook.undo(), "there is nothing to undo")

    def do_redo(self) -> None:
        self._restore(self.view.notebook.redo(), "there is nothing to do again")

    def _restore(self, cell: str | None, nothing: str) -> None:
        if cell is None:
            self.session.say(nothing)
        else:
            self.view.rows.forget(cell)
            self._cells_changed(cell)

    def do_move_up(self) -> None:
        self._move(-1)

    def do_move_down(self) -> None:
        self._move(1)

    def _move(self, by: int) -> None:
        if self._writable():
            cell = self.view.cell
            self.view.notebook.move(cell.id, by)
            self._cells_changed(cell.id)

    def do_cell_up(self) -> None:
        self.view.step_cell(-1)

    def do_cell_down(self) -> None:
        self.view.step_cell(1)

    def do_kind(self) -> None:
        if self._writable():
            cell = self.view.cell
            self.view.notebook.set_kind(cell.id, "markdown" if cell.kind == "code" else "code")
            self._cells_changed(cell.id)

    def do_clear_outputs(self) -> None:
        for cell in self.view.notebook.cells:
            self.view.notebook.clear_outputs(cell.id)
            self.view.rows.forget(cell.id)
        self.view.update_rows()

    def do_save(self) -> None:
        self.screen.notebook.take_text()
        self.app.save()

    def do_reload(self) -> None:
        self.screen.notebook.leave()
        self.app.files.reload()

    def do_save_as(self) -> None:
        self.screen.notebook.take_text()
        if self.session.attached:
            self.session.say("what is shown here is not saved: it is another program's")
            return
        path = self.view.notebook.path
        name = "" if path is None else os.path.relpath(path.with_stem(f"{path.stem}-2"))
        self.screen.ask("save as (.py or .ipynb)", self.app.save_as, name, selected=True)

    # -- graph -------------------------------------------------------------------------------

    def do_phases(self) -> None:
        self.screen.graph.next_phase()
        self.screen.titles()

    def do_fold(self) -> None:
        self.screen.graph.fold()

    def do_fold_all(self) -> None:
        self.screen.graph.fold_all()

    def do_search(self) -> None:
        screen, graph = self.screen, self.screen.graph

        def change(text: str, by: int) -> str:
            return graph.search(text, by)

        def done(text: str) -> bool:
            wanted = text or self._search  # nothing: once more, as in less
            if not wanted:
                return False
            self._search = wanted
            found = graph.search(wanted, 0 if text else 1)
            if not graph.found:
                screen.prompt.note(found)
                return True
            screen.back_to(graph)
            self.session.say(f"{found} for {wanted!r}: / and enter goes to the next")
            self.update()
            return False

        if not graph.display:
            screen.go_to("graph")
        screen.ask("/", done, "", change)

    def do_parent(self) -> None:
        if self.screen.where == "graph":
            self.screen.graph.go_parent()
        else:
            self.session.select_frame(1)

    def do_child(self) -> None:
        if self.screen.where == "graph":
            self.screen.graph.go_child()
        else:
            self.session.select_frame(-1)

    # -- inspector ---------------------------------------------------------------------------

    def do_next_tensor(self) -> None:
        self.screen.inspector.choose(1)

    def do_previous_tensor(self) -> None:
        self.screen.inspector.choose(-1)

    def do_slice(self) -> None:
        inspector = self.screen.inspector
        ref = inspector.chosen
        if ref is None:
            return
        example = inspector.slice or "[" + ", ".join(":" for _ in ref.meta.shape) + "]"
        self.screen.ask("slice", lambda text: inspector.set_slice(text), example, selected=True)

    def do_table_left(self) -> None:
        self.screen.inspector.move_table(0, -6)

    def do_table_right(self) -> None:
        self.screen.inspector.move_table(0, 6)

    def do_table_up(self) -> None:
        self.screen.inspector.move_table(-10, 0)

    def do_table_down(self) -> None:
        self.screen.inspector.move_table(10, 0)

    def do_show_variable(self) -> None:
        pane = self.screen.lower.variables
        variable, snapshot = pane.variable(pane.selected), self.session.snapshot
        if variable is None or snapshot is None or variable.tensor is None:
            return
        self.screen.inspector.show_tensor(
            variable.name, variable.tensor, variable.grad, snapshot.seq
        )

    # -- kernel ------------------------------------------------------------------------------

    def do_interrupt(self) -> None:
        if self.session.interrupt():
            self.do_kill()

    def do_interrupt_key(self) -> bool | None:
        editor = self.screen.notebook.editor
        busy = self.session.state in ("running", "paused") or bool(self.session.executing)
        if self.screen.focused is editor and not busy and editor.selected_text:
            return False  # the editor copies
        self.do_interrupt()
        return None

    def do_kill(self) -> None:
        def done(answer: str | None) -> None:
            if answer == "k":
                self.session.kill()

        question = "Kill the kernel? Its variables are lost; the notebook and outputs stay."
        self.app.push_screen(ConfirmScreen(question, [("k", "kill it")]), done)

    def do_restart(self) -> None:
        self.session.restart()

    # -- view --------------------------------------------------------------------------------

    def _go_to_number(self, number: int) -> None:
        screen = self.screen
        lower = [pane.where for pane in screen.lower.panes]
        if number == 5:
            if screen.where in lower:
                screen.go_to(screen.lower.step(1).where)
            else:
                screen.go_to(screen.lower.active.where)
        else:
            name = ("notebook", "graph", "inspector", "timeline", "", "console")[number - 1]
            screen.go_to(name)

    def do_zoom(self) -> None:
        self.screen.zoomed = not self.screen.zoomed
        self.screen.lay_out()

    def do_jump(self) -> None:
        self.screen.set_jumping(True)

    def do_next_pane(self) -> None:
        self._cycle(1)

    def do_previous_pane(self) -> None:
        self._cycle(-1)

    def _cycle(self, by: int) -> None:
        order = self.screen.order()
        where = self.screen.where
        index = order.index(where) if where in order else 0
        self.screen.go_to(order[(index + by) % len(order)])

    def do_next_tab(self) -> None:
        self.screen.go_to(self.screen.lower.step(1).where)

    def do_previous_tab(self) -> None:
        self.screen.go_to(self.screen.lower.step(-1).where)

    def _pane(self) -> Pane:
        return self.screen.pane(self.screen.where)

    def do_row_up(self) -> None:
        self._pane().move(-1)

    def do_row_down(self) -> None:
        self._pane().move(1)

    def do_page_up(self) -> None:
        self._pane().move(-self._pane().page)

    def do_page_down(self) -> None:
        self._pane().move(self._pane().page)

    def do_top(self) -> None:
        self._pane().go_top()

    def do_theme(self) -> None:
        self.app.switch_theme()

    # -- program -----------------------------------------------------------------------------

    def do_open(self) -> None:
        from app.ui.screens.start import notebooks, recordings

        here = self.view.notebook.path
        folder = here.parent if here is not None else Path()
        names = [*recordings(folder), *notebooks(folder, deep=False)]
        names = [path for path in names if here is None or not _same(path, here)]
        self.ask_file("open", lambda text: self.app.open_other(text.strip()), names)

    def ask_file(
        self, label: str, done: Callable[[str], Any], found: list[Path], more: str = ""
    ) -> None:
        """Ask for a file; up and down go through some that are there and have what was typed."""
        names = [os.path.relpath(path) for path in found]
        names = [str(path) if name.startswith("..") else name for path, name in zip(found, names)]
        typed = put = ""

        def change(text: str, by: int) -> str:
            nonlocal typed, put
            if text != put:
                typed, put = text, ""
            fitting = [name for name in names if typed.lower() in name.lower()]
            at = fitting.index(text) if text in fitting else -1 if by >= 0 else 0
            if by and fitting:
                at = (at + by) % len(fitting)
                put = fitting[at]
                self.screen.prompt.put(put)
            following = ", ".join([*fitting[at + 1 :], *fitting[: at + 1]])
            here = f"↑ ↓ files here: {following}" if fitting else ""
            return clean(" · ".join(filter(None, (more, here))), keep_newlines=False)

        self.screen.ask(label, done, "", change)
        self.screen.prompt.note(change("", 0))

    def do_palette(self) -> None:
        self.app.action_command_palette()

    def do_help(self) -> None:
        from app.ui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.screen.keymap, self.screen.where))

    def do_quit(self) -> None:
        self.app.ask_to_quit()
