"""Columns: what is known of very many things, a number each, without an object for each.

A hundred thousand ops are half a million things to know of. As objects they are a gigabyte, and the
garbage collector walks over all of them every now and then, for a second; in columns they are a
tenth of it, and nothing to walk over.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator

__all__ = ["Few", "Ids", "Spoken", "Texts"]

_PAGE = 64
_TUPLE = 6  # numbers that are looked through one by one


class Ids:
    """Numbers by tensor id; 0 for those that have none. Like a dict, in pages.

    >>> ids = Ids("q")
    >>> ids.set(7, 40); ids.set(10**15, 3)
    >>> ids.get(7), ids.get(8), len(ids), list(ids)
    (40, 0, 2, [7, 1000000000000000])
    """

    __slots__ = ("_code", "_empty", "_pages")

    def __init__(self, code: str) -> None:
        self._code = code
        self._pages: dict[int, array[int]] = {}
        self._empty = array(code, [0]) * _PAGE

    def get(self, ident: int) -> int:
        page = self._pages.get(ident >> 6)
        return page[ident & 63] if page is not None else 0

    def set(self, ident: int, value: int) -> None:
        page = self._pages.get(ident >> 6)
        if page is None:
            page = self._pages[ident >> 6] = self._empty[:]
        page[ident & 63] = value

    def drop(self, ident: int) -> None:
        """Forget one."""
        page = self._pages.get(ident >> 6)
        if page is not None:
            page[ident & 63] = 0
            if not any(page):
                del self._pages[ident >> 6]

    def is_old(self, page: int, first: int) -> bool:
        """Whether all numbers of a page are below ``first``."""
        found = self._pages.get(page)
        return found is None or max(found) < first

    def drop_page(self, page: int) -> None:
        """Forget all of a page."""
        self._pages.pop(page, None)

    def __iter__(self) -> Iterator[int]:
        for number, page in self._pages.items():
            for i, value in enumerate(page):
                if value:
                    yield number << 6 | i

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Spoken:
    """Pages of 64 ids (``id >> 6``) by when they were last spoken of, in parts of a tape.

    Attributes:
        pages: of the part that is still open.

    >>> spoken = Spoken()
    >>> spoken.pages.update((1, 2)); spoken.close(50)
    >>> spoken.pages.update((2, 3)); spoken.close(90)
    >>> sorted(spoken.pop_before(60)), sorted(spoken.pop_before(91)), spoken.pop_before(99)
    ([1, 2], [2, 3], set())
    """

    __slots__ = ("_parts", "pages")

    def __init__(self) -> None:
        self.pages: set[int] = set()
        self._parts: deque[tuple[int, array[int]]] = deque()

    def close(self, seq: int) -> None:
        """A part ends with event ``seq``."""
        if self.pages:
            self._parts.append((seq, array("q", self.pages)))
            self.pages.clear()

    def pop_before(self, first: int) -> set[int]:
        """The pages of parts that ended before ``first``; these parts are forgotten."""
        found: set[int] = set()
        while self._parts and self._parts[0][0] < first:
            found.update(self._parts.popleft()[1])
        return found


class Few:
    """Lists of numbers by index, most of them empty or of one number. None of them is below 0.

    Attributes:
        first: of each list its first number, -1 for an empty one; -1 appended is a new list.

    >>> few = Few()
    >>> few.extend(3)
    >>> few.add(1, 5), few.add(1, 6), few.add(1, 5), few.add(2, 0)
    (True, True, False, True)
    >>> few.of(0), few.of(1), few.of(2), few.has(1, 6)
    ([], [5, 6], [0], True)
    """

    __slots__ = ("_more", "first")

    def __init__(self, code: str = "i") -> None:
        self.first = array(code)
        # All of those that have several, in order: few as a tuple, many as a dict.
        self._more: dict[int, tuple[int, ...] | dict[int, None]] = {}

    def extend(self, count: int = 1) -> None:
        """Add empty lists at the end."""
        for _ in range(count):
            self.first.append(-1)

    def add(self, index: int, value: int) -> bool:
        """Append a number, if it is not there yet; False if it is."""
        first = self.first[index]
        if first < 0:
            self.first[index] = value
            return True
        if first == value:
            return False
        more = self._more.get(index)
        if more is None:
            self._more[index] = (first, value)
            return True
        if value in more:
            return False
        if isinstance(more, dict):
            more[value] = None
        elif len(more) < _TUPLE:
            self._more[index] = (*more, value)
        else:
            self._more[index] = dict.fromkeys((*more, value))
        return True

    def of(self, index: int) -> list[int]:
        """The list."""
        first = self.first[index]
        if first < 0:
            return []
        more = self._more.get(index)
        return [first] if more is None else list(more)

    def several(self) -> list[int]:
        """Which lists have more than one number."""
        return list(self._more)

    def has(self, index: int, value: int) -> bool:
        return self.first[index] == value or value in self._more.get(index, ())

    def remove(self, index: int, value: int) -> None:
        """Take a number out of a list that has it."""
        more = self._more.pop(index, None)
        kept = [v for v in more if v != value] if more is not None else []
        self.first[index] = kept[0] if kept else -1
        if len(kept) > 1:
            self._more[index] = tuple(kept) if len(kept) <= _TUPLE else dict.fromkeys(kept)

    def pop(self) -> None:
        """Drop the last list."""
        self.first.pop()
        self._more.pop(len(self.first), None)

    def __len__(self) -> int:
        return len(self.first)


class Texts:
    """Texts by number, each once; 0 is "".

    >>> texts = Texts()
    >>> texts.code("relu"), texts.code("tanh"), texts.code("relu"), texts[2]
    (1, 2, 1, 'tanh')
    """

    __slots__ = ("_codes", "_texts")

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._texts = ["", *known]
        self._codes = {text: i for i, text in enumerate(self._texts)}

    def code(self, text: str) -> int:
        found = self._codes.get(text)
        if found is None:
            found = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return found

    def __getitem__(self, code: int) -> str:
        return self._texts[code]

    def __len__(self) -> int:
        return len(self._texts)
