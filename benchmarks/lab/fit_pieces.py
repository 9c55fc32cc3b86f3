"""Writes csrc/cpu/simd_pieces.h (needs mpmath): python fit_pieces.py > ../../csrc/cpu/simd_pieces.h

Functions of |x| in 32 pieces, each a polynomial about a centre where the function's value is all
but a float32 number: its rounding costs nothing.
"""

from fractions import Fraction

import mpmath as mp
import numpy as np

mp.mp.dps = 40
PIECES = 32


def tail(h):
    return mp.erfc(h / mp.sqrt(2)) / 2


def density(h):
    return mp.exp(-h * h / 2) / mp.sqrt(2 * mp.pi)


# name, what it is, f, width of a piece, degree, first terms at 0, value from the last piece on
FUNCTIONS = (
    ("TanhPieces", "tanh(h)", mp.tanh, Fraction(37, 128), 6, (0, 1), 1),
    (
        "GeluPieces",
        "h times the normal distribution's upper tail",
        lambda h: h * tail(h),
        Fraction(13, 64),
        6,
        (0, 0.5),
        0,
    ),
    (
        "GeluSlopePieces",
        "the upper tail less h times the density",
        lambda h: tail(h) - h * density(h),
        Fraction(7, 32),
        5,
        (0.5,),
        0,
    ),
)


def to_float(x):
    return np.float32(float(x))


def centre(f, piece, width):
    """Near piece * width, where f is nearest to a float32."""
    near = np.float32(piece * width)
    best = None
    for step in range(-300, 301):
        x = np.float32(near + step * np.spacing(near))
        y = f(mp.mpf(float(x)))
        miss = abs(y - mp.mpf(float(to_float(y)))) / abs(y)
        if best is None or miss < best[0]:
            best = (miss, x)
    return best[1]


def coefficients(f, c, width, degree, given, low):
    """Of f(c + r): the first are given, the rest interpolate at Chebyshev's points."""
    middle, high = mp.mpf(float(c)), mp.mpf(float(width)) / 2
    n = degree + 1 - len(given)
    points = [
        (low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (k + mp.mpf(0.5)) / n)
        for k in range(n)
    ]

    def rest(r):
        if abs(r) < mp.mpf(10) ** -20:  # the middle point of a symmetric piece
            return mp.diff(f, middle)
        return (f(middle + r) - mp.polyval(given[::-1], r)) / r ** len(given)

    rows = mp.matrix([[r**j for j in range(n)] for r in points])
    return given + list(mp.lu_solve(rows, mp.matrix([rest(r) for r in points])))


def table(f, width, degree, at_zero, last):
    """The centres, and the terms of each piece."""
    centres, terms = [np.float32(0)], []
    terms.append(
        coefficients(f, 0, width, degree, [mp.mpf(t) for t in at_zero], mp.mpf(0))
    )
    for piece in range(1, PIECES):
        c = centre(f, piece, width)
        centres.append(c)
        if piece == PIECES - 1:
            terms.append([mp.mpf(last)] + [mp.mpf(0)] * degree)
            continue
        given = [mp.mpf(float(to_float(f(mp.mpf(float(c))))))]
        low = -mp.mpf(float(width)) / 2
        terms.append(coefficients(f, c, width, degree, given, low))
    return centres, terms


def show(name, values):
    print(f"  alignas(64) static constexpr float {name}[32] = {{")
    for i in range(0, PIECES, 4):
        print(
            "    " + " ".join(f"{float(to_float(v)):.8e}f," for v in values[i : i + 4])
        )
    print("  };")


def main():
    print("// Functions of h = |x| in 32 pieces: f(centre + r) = term0 + term1 r + ...")
    print("// Written by benchmarks/lab/fit_pieces.py.")
    print("#pragma once\n\nnamespace dlcore {\nnamespace DLCORE_ISA {\nnamespace {\n")
    for name, what, f, width, degree, at_zero, last in FUNCTIONS:
        centres, terms = table(f, width, degree, at_zero, last)
        end = width * (16 * PIECES - 9) / 16
        print(f"// {what}.")
        print(f"struct {name} {{")
        print(f"  static constexpr int kDegree = {degree};")
        print(
            f"  static constexpr float kPerUnit = {width.denominator}.0f / {width.numerator};"
        )
        print(
            f"  static constexpr float kEnd = {float(end)}f;  // in the last piece, whose value holds on"
        )
        show("kCentre", centres)
        print(f"  alignas(64) static constexpr float kTerm[{degree + 1}][32] = {{")
        for j in range(degree + 1):
            values = [to_float(t[j]) for t in terms]
            print("    {")
            for i in range(0, PIECES, 4):
                print(
                    "      " + " ".join(f"{float(v):.8e}f," for v in values[i : i + 4])
                )
            print("    },")
        print("  };")
        print("};\n")
    print("}  // namespace\n}  // namespace DLCORE_ISA\n}  // namespace dlcore")


if __name__ == "__main__":
    main()
