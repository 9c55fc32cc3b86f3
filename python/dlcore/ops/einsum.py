"""Sums of products in Einstein's notation, made of matrix products."""

import math

import numpy as np

from ..tensor import record
from .arithmetic import mul
from .gemm import matmul
from .reduction import sum as sum_along
from .shape import as_array, permute, reshape, squeeze, unsqueeze

_LOWER = "abcdefghijklmnopqrstuvwxyz"  # the module string takes 1 ms to import
_LETTERS = frozenset(_LOWER + _LOWER.upper())


def einsum(equation, *operands):
    """Sum of products over named axes: ``einsum("bij,bjk->bik", a, b)``.

    Parameters
    ----------
    equation : str
        A letter for each axis of each operand, operands parted by commas; after
        ``->`` those of the result, in its order. Letters that are not in the result are
        summed over; without ``->`` those that occur once make it, in alphabetical
        order. A letter twice in one operand takes its diagonal. ``...`` stands for axes
        that broadcast.
    *operands : ndarray or Tensor
        float32 or float64, of one dtype; or one list of them.

    Returns
    -------
    ndarray or Tensor

    Raises
    ------
    ValueError
        If the equation cannot be read, or the lengths of one letter differ.
    TypeError
        If an operand is not an array, or the dtypes differ.

    See Also
    --------
    matmul

    Notes
    -----
    Pairs of operands are joined by one batched matrix product each: always the pair
    whose product is smallest beside its operands, so that few large arrays arise
    between.

    Examples
    --------
    >>> import numpy as np
    >>> import dlcore as dl
    >>> a, b = np.ones((2, 3)), np.ones((4, 3))
    >>> dl.einsum("ik,jk->ij", a, b).shape
    (2, 4)
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    shapes = [_operand(x).shape for x in operands]
    terms, result, sizes = _parse(equation, shapes)
    dtypes = {_operand(x).dtype for x in operands}
    if len(dtypes) > 1:
        names = ", ".join(sorted(map(str, dtypes)))
        raise TypeError(f"einsum: operands must have one dtype, got {names}")
    left = [_narrowed(x, t, sizes) for x, t in zip(operands, terms, strict=True)]
    while len(left) > 1:
        i, j = _next_pair([t for _, t in left], result, sizes)
        second, first = left.pop(j), left.pop(i)
        others = set().union(*(t for _, t in left))
        left.append(_join(first, second, result, others, sizes))
    x, term = _without(*left[0], set(result))
    if term != result:
        x = permute(x, *(term.index(c) for c in result))
    # Not the operand itself: a result may be changed in place.
    return reshape(x, *x.shape) if any(x is one for one in operands) else x


def _operand(x):
    a = as_array("einsum", x, "each operand")
    if a.dtype.char not in "fd":
        raise TypeError(
            f"einsum: each operand must be float32 or float64, got {a.dtype}: "
            "cast with .astype('float32')"
        )
    return a


# -- the equation --


def _parse(equation, shapes):
    """A text of letters for each operand and for the result; the length of each."""
    if not isinstance(equation, str):
        kind = type(equation).__name__
        raise TypeError(f"einsum: equation must be a str, got {kind}")
    text = equation.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum: equation must name as many operands as are given, "
            f"got {len(terms)} in {equation!r:.60} for {len(shapes)}"
        )
    spare = _spare_letters(text, equation)
    wide = max(
        (len(s) - len(t) + 3 for t, s in zip(terms, shapes, strict=True) if "..." in t),
        default=0,
    )
    if wide > len(spare):
        raise ValueError("einsum: equation must name at most 52 axes")
    dots = "".join(spare[: max(wide, 0)])
    terms = [
        _expanded(t, s, dots, equation) for t, s in zip(terms, shapes, strict=True)
    ]
    sizes = _sizes(terms, shapes, equation)
    if arrow:
        result = output.replace("...", dots)
    else:
        every = "".join(terms)
        once = sorted(c for c in set(every) - set(dots) if every.count(c) == 1)
        result = dots + "".join(once)
    if len(set(result)) < len(result) or not set(result) <= sizes.keys():
        raise ValueError(
            "einsum: the result must name letters of the operands, each once, "
            f"got {equation!r:.60}"
        )
    return terms, result, sizes


def _spare_letters(text, equation):
    named = set(text) - set(",->.")
    if not named <= _LETTERS or "." in text.replace("...", ""):
        raise ValueError(
            "einsum: equation must be of letters, commas, '...' and one '->', "
            f"got {equation!r:.60}"
        )
    return sorted(_LETTERS - named)


def _expanded(term, shape, dots, equation):
    """The term with letters for its dots: the last of them, as broadcasting goes."""
    before, has_dots, after = term.partition("...")
    count = len(shape) - len(before) - len(after)
    if "." in after or count < 0 or (count > 0 and not has_dots):
        raise ValueError(
            f"einsum: {term!r:.40} must have a letter for each axis of its operand, "
            f"got shape {shape} in {equation!r:.60}"
        )
    return before + (dots[len(dots) - count :] if count else "") + after


def _sizes(terms, shapes, equation):
    sizes = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, n in zip(term, shape, strict=True):
            known = sizes.setdefault(letter, n)
            if known == 1:
                sizes[letter] = n
            elif n not in (1, known):
                raise ValueError(
                    f"einsum: the axes of one letter must have one length, "
                    f"got {known} and {n} for {letter!r} in {equation!r:.60}"
                )
    return sizes


# -- one operand --


def _narrowed(x, term, sizes):
    """The operand with each letter once, without axes that are 1 to others' more."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            i = term.index(letter)
            j = term.index(letter, i + 1)
            x = _diagonal(x, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + letter
    shape = as_array("einsum", x).shape
    stays = [d for d, c in enumerate(term) if shape[d] == sizes[c]]
    if len(stays) < len(term):
        x = reshape(x, *(shape[d] for d in stays))
    return x, "".join(term[d] for d in stays)


def _diagonal(x, i, j):
    a = as_array("einsum", x)
    if a.shape[i] != a.shape[j]:
        raise ValueError(
            "einsum: axes of one letter in one operand must have one length, "
            f"got shape {a.shape}"
        )

    def backward(dy):
        dx = np.zeros_like(a)
        diagonal = np.diagonal(dx, 0, i, j)
        diagonal.flags.writeable = True  # it is a view of dx
        diagonal[...] = dy
        return (dx,)

    return record(np.diagonal(a, 0, i, j), (x,), backward)


def _without(x, term, needed):
    """Summed over the letters that nobody needs."""
    gone = [d for d, c in enumerate(term) if c not in needed]
    if gone:
        x = sum_along(x, gone)
    return x, "".join(c for c in term if c in needed)


# -- two operands --


def _next_pair(terms, result, sizes):
    """Whose product is smallest beside its operands."""

    def size(letters):
        return math.prod(sizes[c] for c in letters)

    def growth(pair):
        i, j = pair
        others = set(result).union(*(t for k, t in enumerate(terms) if k not in pair))
        both = set(terms[i]) | set(terms[j])
        return size(both & others) - size(terms[i]) - size(terms[j]), size(both)

    n = len(terms)
    return min(((i, j) for i in range(n) for j in range(i + 1, n)), key=growth)


def _join(first, second, result, others, sizes):
    """Two (operand, term) as one, summed over what nobody else needs."""
    needed = others.union(result)
    a, term_a = _without(*first, needed | set(second[1]))
    b, term_b = _without(*second, needed | set(term_a))
    rows = [c for c in term_a if c not in term_b]
    columns = [c for c in term_b if c not in term_a]
    if rows and columns and result.find(rows[0]) > result.find(columns[0]) >= 0:
        a, term_a, rows, b, term_b, columns = b, term_b, columns, a, term_a, rows
    shared = [c for c in term_a if c in term_b]
    batch = [c for c in shared if c in needed]
    summed = [c for c in shared if c not in needed]
    a = _laid_out(a, term_a, (batch, rows, summed), sizes)
    term = (*batch, *rows, *columns)
    if not summed or (batch and not rows and not columns):  # no product of matrices
        b = _laid_out(b, term_b, (batch, columns, summed), sizes)
        a, b = unsqueeze(a, 2), unsqueeze(b, 1)
        y = sum_along(mul(a, b), 3) if summed else mul(a, b)
    else:
        b = _laid_out(b, term_b, (batch, summed, columns), sizes)
        if not batch:
            a, b = squeeze(a, 0), squeeze(b, 0)
        y = matmul(a, b)
    return reshape(y, *(sizes[c] for c in term)), "".join(term)


def _laid_out(x, term, parts, sizes):
    """The axes in the order of the parts, those of each as one."""
    order = [term.index(c) for part in parts for c in part]
    if order != list(range(len(order))):
        x = permute(x, *order)
    return reshape(x, *(math.prod(sizes[c] for c in part) for part in parts))
