"""The one table of actions: keys, footer, palette and help are made from it.

An action is named once, with an id that a keymap can rebind (`app.keymap`). ``keys`` are Textual's
key names; two names with a space between are pressed one after the other (``"d d"``). ``where``
says in which pane the keys act; an empty one means in all of them. Letters act in command mode
only, that is, while no editor has the focus; ``always`` are the few that act in an editor too.

>>> from app.actions import ACTIONS, by_id
>>> by_id["next"].keys
('n', 'f10')
>>> len({action.id for action in ACTIONS}) == len(ACTIONS)
True
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ABOUT", "ACTIONS", "GROUPS", "PANES", "Action", "by_id"]

#: Panes by the digit that jumps to them; the lower tab set is one place with five tabs.
PANES = ("notebook", "graph", "inspector", "timeline", "events", "console")

GROUPS = (
    "Step", "Stop", "Notebook", "Graph", "Explain", "What if", "Tables", "Inspector", "Kernel",
    "View", "Program",
)  # fmt: skip


class Action(NamedTuple):
    """What a user can do.

    Args:
        id: what a keymap, a test and `TapebookApp.perform` call it.
        title: for the palette and the help, in the imperative.
        keys: the first is the primary one, which footer and help show.
        group: its heading in the help.
        help: one sentence more, for palette and help.
        where: panes in which the keys act; empty for everywhere.
        always: the keys act while an editor has the focus, too.
        footer: how early the footer names it (1 first, what is below 0 before that); 0 for never.
        short: its word in the footer.
    """

    id: str
    title: str
    keys: tuple[str, ...]
    group: str
    help: str = ""
    where: tuple[str, ...] = ()
    always: bool = False
    footer: int = 0
    short: str = ""


_LOWER = (
    "events", "variables", "parameters", "steps", "source", "memory", "breakpoints", "watches",
    "console",
)  # fmt: skip
_ROWS = ("notebook", "graph", "inspector", *_LOWER)

ACTIONS: tuple[Action, ...] = (
    # -- Step --------------------------------------------------------------------------------
    Action(
        "next", "Next op", ("n", "f10"), "Step",
        "On to the end of the next op, backward node or parameter update; over composite ops.",
        footer=1, short="next",
    ),
    Action(
        "into", "Step into", ("s", "f11"), "Step",
        "On to the next event of all: into a module, a composite op, a backward node's own ops.",
        footer=2, short="into",
    ),
    Action(
        "out", "Step out", ("f", "shift+f11"), "Step",
        "On to the end of the innermost open module, composite op, node or optimizer step.",
        footer=3, short="out",
    ),
    Action("line", "Next source line", ("l",), "Step", "On to the next line of your own code."),
    Action("step", "Next training step", ("plus",), "Step", "On to the end of this training step."),
    Action(
        "continue", "Continue", ("c", "f5"), "Step",
        "Run on to the next breakpoint; behind the head, to the next stop on the tape.",
        footer=4, short="continue",
    ),
    Action(
        "run_to", "Run to the row or line under the cursor", ("t",), "Step",
        "On the tape if it happened already, else the model runs until it gets there.",
    ),
    Action(
        "run_to_row", "Run to this node", ("enter",), "Step",
        "Go to the moment of the selected row.", where=("graph", "events"),
    ),
    Action(
        "back", "Back one op", ("N",), "Step",
        "Moves what you look at; the model stays where it is.", footer=5, short="back",
    ),
    Action("back_stop", "Back to the previous stop", ("C",), "Step",
           "To the place before this one where the model was stopped."),
    Action("live", "Live head again", ("end",), "Step",
           "Look at where the model is now, and follow it.", footer=16, short="live"),
    Action("earlier", "Back one op", ("left", "h"), "Step", where=("timeline",)),
    Action("later", "Forward one op on the tape", ("right",), "Step", where=("timeline",)),
    Action("first", "To the first event", ("home",), "Step", where=("timeline",)),
    Action("pause", "Pause the model", ("p",), "Step",
           "Stops a running model at its next event."),
    # -- Stop --------------------------------------------------------------------------------
    Action(
        "break", "Toggle a breakpoint", ("b", "f9"), "Stop",
        "On the source line in the notebook, on the op or the module in the graph.",
        footer=6, short="break",
    ),
    Action("break_if", "Breakpoint with a condition ...", ("B",), "Stop",
           "On an op, a module, a line or a parameter; on values, gradients or updates."),
    Action("toggle_row", "Enable or disable", ("space",), "Stop",
           "The selected breakpoint.", where=("breakpoints",)),
    Action("delete_row", "Delete the selected one", ("x", "delete", "backspace"), "Stop",
           "A breakpoint or a watch.", where=("breakpoints", "watches")),
    Action("watch", "Watch an expression ...", ("W",), "Stop",
           "It has a value at every stop; elsewhere and in recordings, of what is on the tape: "
           "model.0.weight.grad.norm(), loss, model.2.", footer=14, short="watch"),
    Action("edit_row", "Change it ...", ("enter",), "Stop",
           "The selected breakpoint or watch.", where=("breakpoints", "watches")),
    # -- Notebook ----------------------------------------------------------------------------
    Action("edit", "Edit the cell", ("enter",), "Notebook", "Escape leaves the editor.",
           where=("notebook",), footer=7, short="edit"),
    Action("run", "Run the cell", ("ctrl+r", "r"), "Notebook", always=True,
           footer=8, short="run cell"),
    Action("run_next", "Run the cell and go to the next",
           ("ctrl+j", "shift+enter", "alt+enter", "R"), "Notebook", always=True),
    Action("run_all", "Run all cells", ("f6",), "Notebook",
           "From the first to the last, or to the first that fails.",
           always=True, footer=9, short="run all"),
    Action("insert_above", "Insert a cell above", ("O",), "Notebook", where=("notebook",)),
    Action("insert_below", "Insert a cell below", ("o",), "Notebook", where=("notebook",)),
    Action("delete_cell", "Delete the cell", ("d d",), "Notebook", where=("notebook",)),
    Action("undo", "Undo", ("z",), "Notebook", "Brings a deleted cell back.", where=("notebook",)),
    Action("redo", "Redo", ("Z",), "Notebook", where=("notebook",)),
    Action("move_up", "Move the cell up", ("K", "alt+up"), "Notebook", where=("notebook",)),
    Action("move_down", "Move the cell down", ("J", "alt+down"), "Notebook", where=("notebook",)),
    Action("cell_up", "To the cell above", ("left_curly_bracket",), "Notebook",
           where=("notebook",)),
    Action("cell_down", "To the cell below", ("right_curly_bracket",), "Notebook",
           where=("notebook",), footer=8, short="next cell"),
    Action("kind", "Change between code and text", ("y",), "Notebook", where=("notebook",)),
    Action("clear_outputs", "Clear all outputs", (), "Notebook"),
    Action("save", "Save", ("ctrl+s",), "Notebook", always=True, footer=18, short="save"),
    Action("reload", "Read the file again", ("f4",), "Notebook",
           "After another editor has changed it. Cells that are the same keep what they put out; "
           "z takes it back.", always=True),
    Action("save_as", "Save under another name", (), "Notebook",
           "It is that file from then on; .py or .ipynb decides the format."),
    Action("answer", "Answer what the program asks", ("Q",), "Notebook",
           "input() and getpass() in a cell or a script: Enter answers, ctrl+d ends the input, "
           "ctrl+c interrupts, Escape leaves the line."),
    # -- Graph -------------------------------------------------------------------------------
    Action("phases", "Forward, backward or both", ("g",), "Graph",
           "Which half of the graph the graph pane shows.", footer=10, short="phases"),
    Action("fold", "Open or close the row", ("space",), "Graph", where=("graph",)),
    Action("fold_all", "Open or close all rows", ("shift+space", "asterisk"), "Graph",
           where=("graph",)),
    Action("search", "Search ops, modules, tensors ...", ("slash",), "Graph",
           "As it is typed it goes to the first; up and down to any. Enter stays there, "
           "/ and Enter goes to the next one.",
           footer=15, short="search"),
    Action("parent", "Parent: frame or module", ("u",), "Graph"),
    Action("child", "Child: frame or module", ("d",), "Graph"),
    Action("export", "Export the graph ...", ("E",), "Graph",
           "As .html, .svg, .png, .mmd or .dot; then options: --values --depth N --module PATH."),
    Action("summary", "Model summary", ("S",), "Graph",
           "Modules with shapes, parameters, FLOPs, memory and time; then the same by op."),
    Action("feeds", "What feeds this op", ("I",), "Graph",
           "Its inputs, what made them, and so on, as a tree to go through."),
    Action("uses", "What uses this op", ("U",), "Graph",
           "What used its outputs, forward and backward, and so on."),
    # -- Explain -----------------------------------------------------------------------------
    Action("why", "Why: NaN, Inf, zero, no gradient", ("w",), "Explain",
           "From what the inspector shows back to where it began, through backward and the "
           "optimizer into earlier steps; if that is fine, whatever is wrong in the step.",
           footer=9, short="why"),
    Action("check_gradient", "Check the gradient of this op", ("G",), "Explain",
           "By finite differences in float64, with the inputs that it had."),
    Action("compare", "Compare with another step or run ...", ("D",), "Explain",
           "With a step's number: which way each of them went. With FILE.tape: where they part; "
           "in a branch: with the program as it is."),
    # -- What if -----------------------------------------------------------------------------
    Action("edit_value", "What if: change a value ...", ("e",), "What if",
           "In a copy of the stopped program: it[0] = 0 (what the inspector shows), a name, an "
           "attribute. The program itself waits.", footer=10, short="what if"),
    Action("leave_branch", "Drop the branch, or adopt it ...", ("X",), "What if",
           "Back to the program where it stopped, or on with the branch in its place."),
    Action("run_again", "Run this step again for its values", ("a",), "What if",
           "Of a step whose values are no longer kept: from a checkpoint, in a copy, checked."),
    # -- Tables ------------------------------------------------------------------------------
    Action("parameters", "Parameters: norms, gradients, updates", ("A",), "Tables",
           "Each as of the cursor and over the training steps; o sorts, enter shows one of them "
           "step by step.", footer=20, short="params"),
    Action("over_steps", "This tensor over the training steps", ("H",), "Tables",
           "What the inspector (or the row of the parameters) shows, in every step that is kept.",
           footer=21, short="over steps"),
    Action("source", "Source with figures", ("L",), "Tables",
           "For each line its ops, largest value, gradient, memory and NaN; enter goes to its op.",
           footer=22, short="source"),
    Action("memory", "Memory kept for backward", ("M",), "Tables",
           "By node, as of the cursor and at the peak, and who else holds it.",
           footer=23, short="memory"),
    Action("sort", "Sort by the next column", ("o",), "Tables", "Or click on its head.",
           where=("parameters",), footer=-2, short="sort"),
    Action("sort_back", "Sort the other way round", ("O",), "Tables", where=("parameters",)),
    Action("row_over_steps", "Show it over the steps", ("enter",), "Tables",
           where=("parameters",), footer=-1, short="over steps"),
    Action("go_to_row", "Go to its moment", ("enter",), "Tables", "On the tape, in every pane.",
           where=("steps", "source", "memory"), footer=-1, short="go there"),
    # -- Inspector ---------------------------------------------------------------------------
    Action("next_tensor", "Next tensor", ("right_square_bracket",), "Inspector",
           footer=12, short="tensor"),
    Action("previous_tensor", "Previous tensor", ("left_square_bracket",), "Inspector"),
    Action("slice", "Slice the tensor ...", ("enter",), "Inspector", "Such as [0, :, ::2].",
           where=("inspector",)),
    Action("picture", "Image or heat map", ("v",), "Inspector",
           "Of what has the shape of an image: [H, W], [C, H, W] or [N, C, H, W] with 1 or 3 "
           "channels; enter [3] shows another of the batch."),
    Action("highlight", "Highlight values ...", ("h",), "Inspector",
           "Such as > 3, < 0 or 0.5..1: in the table and in the heat map; nothing ends it.",
           where=("inspector",), footer=12, short="highlight"),
    Action("table_left", "Table: columns before", ("shift+left", "less_than_sign"), "Inspector",
           where=("inspector",)),
    Action("table_right", "Table: columns after", ("shift+right", "greater_than_sign"),
           "Inspector", where=("inspector",)),
    Action("table_up", "Table: rows before", ("shift+up", "minus"), "Inspector",
           where=("inspector",)),
    Action("table_down", "Table: rows after", ("shift+down", "equals_sign"), "Inspector",
           where=("inspector",)),
    Action("show_variable", "Show in the inspector", ("enter",), "Inspector",
           where=("variables",)),
    # -- Kernel ------------------------------------------------------------------------------
    Action("interrupt", "Interrupt", ("i i",), "Kernel",
           "Breaks the running cell; a second time within two seconds offers to kill the kernel.",
           footer=13, short="interrupt"),
    Action("interrupt_key", "Interrupt", ("ctrl+c",), "Kernel",
           "While a cell runs; it never quits.", always=True),
    Action("full_speed", "Full speed", ("F",), "Kernel",
           "The program runs without being recorded; again, or p: it is looked at once more."),
    Action("take_control", "Take control over", ("T",), "Kernel",
           "Of an attached program that another window controls; that one is told, and observes."),
    Action("restart", "Restart the kernel", ("0 0",), "Kernel",
           "Variables are lost; the notebook and its outputs stay."),
    Action("kill", "Kill the kernel ...", (), "Kernel",
           "For a cell that swallows interrupts; the notebook stays."),
    # -- View --------------------------------------------------------------------------------
    Action("zoom", "Zoom the pane", ("m",), "View", "And back.", footer=11, short="zoom"),
    Action("jump", "Jump to a pane by letter", ("ctrl+o",), "View", always=True),
    *(
        Action(f"pane_{number}", f"Go to pane {number}: {title}", (str(number),), "View")
        for number, title in enumerate(
            ("notebook", "graph", "inspector", "time line", "lower tabs (again: the next tab)",
             "output"), start=1,
        )
    ),
    Action("next_pane", "Next pane", ("tab",), "View"),
    Action("previous_pane", "Previous pane", ("shift+tab",), "View"),
    Action("next_tab", "Next tab", ("right",), "View", where=_LOWER),
    Action("previous_tab", "Previous tab", ("left",), "View", where=_LOWER),
    Action("row_up", "Up", ("up", "k"), "View", where=_ROWS),
    Action("row_down", "Down", ("down", "j"), "View", where=_ROWS),
    Action("page_up", "Page up", ("pageup",), "View", where=_ROWS),
    Action("page_down", "Page down", ("pagedown",), "View", where=_ROWS),
    Action("top", "To the top", ("home",), "View", where=_ROWS),
    Action("theme", "Theme: dark or light", (), "View"),
    Action("screenshot", "Picture of the screen", ("P", "f12"), "View",
           "As an .svg file; the status line says where."),
    # -- Program -----------------------------------------------------------------------------
    Action("open", "Open a notebook or a recording ...", ("f3",), "Program",
           "Up and down go through those of this folder.", always=True),
    Action("palette", "Command palette", ("ctrl+p",), "Program", always=True,
           footer=17, short="palette"),
    Action("help", "Help: this pane, and all keys", ("f1", "question_mark"), "Program",
           always=True),
    Action("quit", "Quit", ("ctrl+q",), "Program",
           "Asks if there is something to save; detaches from an attached program.", always=True,
           footer=19, short="quit"),
)  # fmt: skip

#: What each pane shows: the beginning of its help.
ABOUT: dict[str, str] = {
    "notebook": "Cells with what they put out. The line under the bar is what b, t and B are "
    "about; ▶ is where the model stands, ● a breakpoint, ◁ the forward line of a backward node.",
    "graph": "The graph of one training step, grouped by module; it grows while the model runs. "
    "Lines at the left lead from an op to what uses its result. Rows after the cursor are dim.",
    "inspector": "The op, backward node or update at the cursor: its tensors with shape, "
    "statistics, histogram and picture, and the gradient of each. ∇: it has a gradient.",
    "timeline": "Training steps with their loss, and the step at the cursor in detail: forward, "
    "backward, optimizer. Left and right move what you look at, not the model.",
    "events": "All that was recorded, one event after the other, as of the cursor.",
    "variables": "The names of your program where it stands; u and d go to the frame of the "
    "caller and back. Known only for moments where the model was stopped.",
    "breakpoints": "Where the model stops, on which condition, and how often that has held.",
    "watches": "Expressions of your program, evaluated at every stop; the values of earlier "
    "stops are kept.",
    "parameters": "Each parameter with its norm, its gradient's norm and the update's ratio.",
    "steps": "One tensor or gradient over the training steps.",
    "source": "The source of the program with what each line did: ops, values, gradients, bytes.",
    "memory": "What is kept for backward, node by node, and how much there was at which moment.",
    "report": "What was found, and below it rows to go through: up and down go from one to the "
    "next, enter goes to its moment on the tape and in every pane, escape leaves.",
    "console": "What the program printed, and what Tapebook had to say.",
}

by_id: dict[str, Action] = {action.id: action for action in ACTIONS}
