"""The innermost loops of convolutions, in LLVM's own terms.

What they add up must stay in registers, which no loop in Python's terms says. Addresses are
integers, distances are counted in float32 elements.

A processor with AVX-512 has 32 registers of 16 numbers; eight rows of 32 sums take half of them.
Others have 16 of half that size: there four rows of 16 are done at a time, to the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = [
    "LANES", "OUTS", "PLACES", "add_16", "add_4", "add_8", "correlate_16", "correlate_32", "evens",
    "get", "gradient_16", "gradient_32", "move_16", "move_4", "move_8", "put", "turn",
]  # fmt: skip

LANES = 16  # float32 numbers in a register of AVX-512; of others LLVM takes several
OUTS = 8  # sums per lane: with two registers' worth of lanes 16 of the 32 registers
PLACES = 2 * LANES
_WIDE = binding.get_host_cpu_features().get("avx512f", False)

_intrinsic: Any = intrinsic  # called without the context, which mypy does not know
_REAL, _WORD, _INDEX = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_REAL, LANES)
_i, _f = types.int64, types.float32


def _number(value: int) -> Any:
    return ir.Constant(_WORD, value)


def _place(builder: Any, address: Any, offset: Any, kind: Any) -> Any:
    """A pointer to what lies ``offset`` float32 elements after an address."""
    at = builder.add(address, builder.shl(offset, _number(2)))
    return builder.inttoptr(at, kind.as_pointer())


def _spread(builder: Any, value: Any, lanes: int = LANES) -> Any:
    """A vector of one number."""
    vector = ir.VectorType(_REAL, lanes)
    zero = ir.Constant(_INDEX, 0)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, zero)
    return builder.shuffle_vector(
        first, first, ir.Constant(ir.VectorType(_INDEX, lanes), [0] * lanes)
    )


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    found = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
    return builder.call(found, [a, b, c])


class _Loop:
    """A loop over i = 0, 1, ... below ``count`` (at least one) with vectors carried round it."""

    def __init__(self, builder: Any, count: Any, carried: list[Any]) -> None:
        self.builder, self.count = builder, count
        before = builder.block
        self.body = builder.append_basic_block("body")
        builder.branch(self.body)
        builder.position_at_end(self.body)
        self.i = builder.phi(_WORD)
        self.i.add_incoming(_number(0), before)
        self.values = [builder.phi(value.type) for value in carried]
        for phi, value in zip(self.values, carried):
            phi.add_incoming(value, before)

    def close(self, values: list[Any]) -> list[Any]:
        """Go round again with these values; what they are in the end."""
        builder = self.builder
        following = builder.add(self.i, _number(1))
        block = builder.block
        self.i.add_incoming(following, block)
        for phi, value in zip(self.values, values):
            phi.add_incoming(value, block)
        after = builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", following, self.count), self.body, after)
        builder.position_at_end(after)
        return values


def _blocks(across: int) -> Iterator[tuple[range, range]]:
    """Which rows and which vectors of lanes are done at a time."""
    rows, vectors = (OUTS, across) if _WIDE else (OUTS // 2, 1)
    for o in range(0, OUTS, rows):
        for v in range(0, across, vectors):
            yield range(o, o + rows), range(v, v + vectors)


# -- sums over channels and taps ----------------------------------------------------------------


def _correlation(across: int) -> Any:
    @_intrinsic
    def correlate(context, lines, offsets, count, windows, out, length):
        """Eight channels of output at 16 or 32 places: what ``count`` offsets met, times weights.

        lines: address of what the first place meets at an offset of zero.
        offsets: address of ``count`` int64 (at least one).
        windows: address of (count, 8) float32.
        out: address of the first place in the first of eight lines, ``length`` apart.
        """

        def generate(context, builder, signature, args):
            lines, offsets, count, windows, out, length = args
            zero = ir.Constant(_VECTOR, [0.0] * LANES)
            for outs, vectors in _blocks(across):
                loop = _Loop(builder, count, [zero] * (len(outs) * len(vectors)))
                at = builder.add(offsets, builder.shl(loop.i, _number(3)))
                offset = builder.load(builder.inttoptr(at, _WORD.as_pointer()))
                met = []
                for v in vectors:
                    start = builder.add(offset, _number(LANES * v))
                    met.append(builder.load(_place(builder, lines, start, _VECTOR), align=4))
                row = builder.mul(loop.i, _number(OUTS))
                totals = iter(loop.values)
                found = []
                for o in outs:
                    at = _place(builder, windows, builder.add(row, _number(o)), _REAL)
                    weight = _spread(builder, builder.load(at, align=4))
                    found += [_fused(builder, x, weight, next(totals)) for x in met]
                sums = iter(loop.close(found))
                for o in outs:
                    for v in vectors:
                        offset = builder.add(builder.mul(length, _number(o)), _number(LANES * v))
                        place = _place(builder, out, offset, _VECTOR)
                        builder.store(next(sums), place, align=4)
            return context.get_dummy_value()

        return types.void(*[_i] * 6), generate

    return correlate


correlate_16, correlate_32 = _correlation(1), _correlation(2)


# -- sums over places ---------------------------------------------------------------------------


def _gradient(across: int) -> Any:
    @_intrinsic
    def gradient(context, lines, offsets, rows, width, pitch, grads, out, step):
        """Add, for eight offsets and 16 or 32 channels, what each offset met times the gradients.

        lines: address of what the first place meets at an offset of zero; rows are ``pitch`` apart.
        offsets: address of eight int64.
        grads: address of (rows * width, 16 or 32) float32.
        out: address of 8 rows of 16 or 32 float32, which are ``step`` apart.
        """

        def generate(context, builder, signature, args):
            lines, offsets, rows, width, pitch, grads, out, step = args
            for outs, vectors in _blocks(across):
                starts, places = [], []
                for k in outs:
                    at = builder.inttoptr(builder.add(offsets, _number(8 * k)), _WORD.as_pointer())
                    starts.append(builder.add(lines, builder.shl(builder.load(at), _number(2))))
                    for v in vectors:
                        at = builder.add(builder.mul(step, _number(k)), _number(LANES * v))
                        places.append(_place(builder, out, at, _VECTOR))
                sums = [builder.load(place, align=4) for place in places]
                by_rows = _Loop(builder, rows, sums)
                line = builder.mul(by_rows.i, pitch)
                first = builder.mul(by_rows.i, width)
                along = _Loop(builder, width, list(by_rows.values))
                place = builder.mul(builder.add(first, along.i), _number(LANES * across))
                given = []
                for v in vectors:
                    at = _place(builder, grads, builder.add(place, _number(LANES * v)), _VECTOR)
                    given.append(builder.load(at, align=4))
                here = builder.add(line, along.i)
                totals = iter(along.values)
                found = []
                for start in starts:
                    met = builder.load(_place(builder, start, here, _REAL), align=4)
                    met = _spread(builder, met)
                    found += [_fused(builder, x, met, next(totals)) for x in given]
                for total, at in zip(by_rows.close(along.close(found)), places):
                    builder.store(total, at, align=4)
            return context.get_dummy_value()

        return types.void(*[_i] * 8), generate

    return gradient


gradient_16, gradient_32 = _gradient(1), _gradient(2)


# -- copies -------------------------------------------------------------------------------------


@_intrinsic
def turn(context, given, step, out, pitch):
    """Transpose 16 by 16 elements: rows are ``step`` apart, those of the result ``pitch``."""

    def generate(context, builder, signature, args):
        given, step, out, pitch = args
        rows = []
        for k in range(LANES):
            place = _place(builder, given, builder.mul(step, _number(k)), _VECTOR)
            rows.append(builder.load(place, align=4))
        distance = 1
        while distance < LANES:  # exchange blocks of this size across the diagonal
            low = [j if not j & distance else LANES + j - distance for j in range(LANES)]
            high = [j + distance if not j & distance else LANES + j for j in range(LANES)]
            masks = [ir.Constant(ir.VectorType(_INDEX, LANES), m) for m in (low, high)]
            for i in range(LANES):
                if not i & distance:
                    a, b = rows[i], rows[i | distance]
                    rows[i] = builder.shuffle_vector(a, b, masks[0])
                    rows[i | distance] = builder.shuffle_vector(a, b, masks[1])
            distance *= 2
        for k in range(LANES):
            place = _place(builder, out, builder.mul(pitch, _number(k)), _VECTOR)
            builder.store(rows[k], place, align=4)
        return context.get_dummy_value()

    return types.void(*[_i] * 4), generate


def _moving(lanes: int) -> tuple[Any, Any]:
    vector = ir.VectorType(_REAL, lanes)

    @_intrinsic
    def move(context, given, out):
        """Copy elements from one address to another."""

        def generate(context, builder, signature, args):
            pointers = [builder.inttoptr(a, vector.as_pointer()) for a in args]
            builder.store(builder.load(pointers[0], align=4), pointers[1], align=4)
            return context.get_dummy_value()

        return types.void(_i, _i), generate

    @_intrinsic
    def add(context, given, number, out):
        """The same with a number added to each."""

        def generate(context, builder, signature, args):
            given, number, out = args
            found = builder.load(builder.inttoptr(given, vector.as_pointer()), align=4)
            found = builder.fadd(found, _spread(builder, number, lanes))
            builder.store(found, builder.inttoptr(out, vector.as_pointer()), align=4)
            return context.get_dummy_value()

        return types.void(_i, _f, _i), generate

    return move, add


(move_16, add_16), (move_8, add_8), (move_4, add_4) = (_moving(n) for n in (16, 8, 4))


@_intrinsic
def get(context, given):
    """The float32 at an address."""

    def generate(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _REAL.as_pointer()), align=4)

    return _f(_i), generate


@_intrinsic
def put(context, number, out):
    """Write a float32 to an address."""

    def generate(context, builder, signature, args):
        builder.store(args[0], builder.inttoptr(args[1], _REAL.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(_f, _i), generate


@_intrinsic
def evens(context, given, out):
    """Copy every second of 15 elements: eight."""
    vector = ir.VectorType(_REAL, 8)

    def generate(context, builder, signature, args):
        given, out = args
        halves = [builder.load(_place(builder, given, _number(k), vector), align=4) for k in (0, 7)]
        mask = ir.Constant(ir.VectorType(_INDEX, 8), [0, 2, 4, 6, 9, 11, 13, 15])
        found = builder.shuffle_vector(*halves, mask)
        builder.store(found, builder.inttoptr(out, vector.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(_i, _i), generate
