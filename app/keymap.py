"""From a key press to an action: two modes, keys of panes before keys of all, two-key sequences.

>>> from app.keymap import Keymap
>>> keys = Keymap()
>>> keys.press("n", "graph", editing=False).id
'next'
>>> keys.press("d", "notebook", editing=False), keys.press("d", "notebook", editing=False).id
(None, 'delete_cell')
>>> keys.press("n", "notebook", editing=True) is None      # the editor gets it
True
>>> keys.label("save"), keys.label("delete_cell"), keys.label("search")
('^s', 'dd', '/')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic

from app.actions import ACTIONS, Action, by_id

__all__ = ["Keymap"]

_SYMBOLS = {
    "plus": "+", "minus": "-", "slash": "/", "asterisk": "*", "question_mark": "?",
    "left_square_bracket": "[", "right_square_bracket": "]", "left_curly_bracket": "{",
    "right_curly_bracket": "}", "less_than_sign": "<", "greater_than_sign": ">",
    "equals_sign": "=", "left": "←", "right": "→", "up": "↑", "down": "↓", "pageup": "PgUp",
    "pagedown": "PgDn", "enter": "⏎",
}  # fmt: skip

_PATIENCE = 1.5  # seconds that the first key of a sequence waits for the second


class Keymap:
    """Which keys do what.

    Args:
        overrides: keys by action id, instead of the table's.
    """

    def __init__(self, overrides: Mapping[str, Sequence[str]] | None = None) -> None:
        self.keys: dict[str, tuple[str, ...]] = {action.id: action.keys for action in ACTIONS}
        for name, keys in (overrides or {}).items():
            if name not in by_id:
                raise KeyError(f"no action is called {name!r}")
            self.keys[name] = tuple(keys)
        self.pending = ""
        self._since = 0.0
        self._table: dict[tuple[str, str], Action] = {}
        self._prefixes: set[tuple[str, str]] = set()
        for action in ACTIONS:
            for key in self.keys[action.id]:
                first, _, second = key.partition(" ")
                for where in action.where or ("",):
                    self._table[where, key] = action
                    if second:
                        self._prefixes.add((where, first))

    def press(self, key: str, where: str, editing: bool) -> Action | None:
        """The action of ``key`` in pane ``where``; None if there is none or not yet (`pending`)."""
        pending, self.pending = self.pending, ""
        if editing:
            action = self._table.get(("", key))
            if action is None or not (_is_function(key) or (action.always and "+" in key)):
                return None
            return action
        if pending and monotonic() - self._since < _PATIENCE:
            action = self._find(f"{pending} {key}", where)
            if action is not None:
                return action
        if (where, key) in self._prefixes or (
            ("", key) in self._prefixes and (where, key) not in self._table
        ):
            self.pending = key
            self._since = monotonic()
            return None
        return self._find(key, where)

    def _find(self, key: str, where: str) -> Action | None:
        return self._table.get((where, key)) or self._table.get(("", key))

    def label(self, name: str) -> str:
        """The primary key of an action as the footer shows it; "" if it has none."""
        keys = self.keys[name]
        return show(keys[0]) if keys else ""

    def labels(self, name: str) -> str:
        """All keys of an action, for the help."""
        return "  ".join(show(key) for key in self.keys[name])


def show(key: str) -> str:
    """A key name as people write it: ``ctrl+s`` is ``^s``, ``d d`` is ``dd``, ``slash`` ``/``."""
    if " " in key:
        return "".join(show(part) for part in key.split())
    *modifiers, last = key.split("+")
    last = _SYMBOLS.get(last, last)
    if _is_function(last):
        last = last.upper()
    if modifiers == ["ctrl"]:
        return f"^{last}"
    return "+".join([*modifiers, last])


def _is_function(key: str) -> bool:
    """F1 to F24, with or without a modifier: an editor has no use for them."""
    last = key.rpartition("+")[2]
    return len(last) > 1 and last[0] == "f" and last[1:].isdigit()
