"""Writes csrc/cpu/simd_tanh.h (needs mpmath): python fit_tanh.py > ../../csrc/cpu/simd_tanh.h

tanh on |x| in 32 pieces, each a polynomial about a centre whose tanh is all but a float32 number.
"""

import mpmath as mp
import numpy as np

mp.mp.dps = 40
PIECES, WIDTH, DEGREE = 32, 19 / 64, 6


def centre(piece):
    """Near piece * WIDTH, with the tanh nearest to a float32."""
    near = np.float32(piece * WIDTH)
    if piece == 0:
        return near
    best = None
    for step in range(-300, 301):
        x = np.float32(near + step * np.spacing(near))
        y = mp.tanh(mp.mpf(float(x)))
        miss = abs(y - mp.mpf(float(np.float32(float(y)))))
        if best is None or miss < best[0]:
            best = (miss, x)
    return best[1]


def coefficients(piece, c):
    """Of tanh(c + r): the first are given, the rest interpolate at Chebyshev's points."""
    middle = mp.mpf(float(c))
    low, high = (0 if piece == 0 else -WIDTH / 2), WIDTH / 2
    given = (
        [mp.mpf(0), mp.mpf(1)]
        if piece == 0
        else [mp.mpf(float(np.float32(float(mp.tanh(middle)))))]
    )
    n = DEGREE + 1 - len(given)
    points = [
        (low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (k + 0.5) / n)
        for k in range(n)
    ]
    rows = mp.matrix([[r**j for j in range(n)] for r in points])
    right = mp.matrix(
        [
            (mp.tanh(middle + r) - mp.polyval(given[::-1], r)) / r ** len(given)
            for r in points
        ]
    )
    return given + list(mp.lu_solve(rows, right))


def main():
    centres = [centre(i) for i in range(PIECES)]
    table = [coefficients(i, c) for i, c in enumerate(centres)]
    rows = [("kCentre", centres)]
    rows += [(f"kTerm{j}", [c[j] for c in table]) for j in range(DEGREE + 1)]
    print(
        "// tanh on |x| in 32 pieces of 19/64: tanh(centre + r) = term0 + term1 r + ... + term6 r^6."
    )
    print("// Written by benchmarks/lab/fit_tanh.py.")
    print("#pragma once\n\nnamespace dlcore {\nnamespace DLCORE_ISA {\nnamespace {\n")
    print("struct TanhPieces {")
    for name, values in rows:
        print(f"  static constexpr float {name}[32] = {{")
        for i in range(0, PIECES, 4):
            print(
                "    "
                + " ".join(
                    f"{float(np.float32(float(v))):.8e}f," for v in values[i : i + 4]
                )
            )
        print("  };")
    print("};\n\n}  // namespace\n}  // namespace DLCORE_ISA\n}  // namespace dlcore")


if __name__ == "__main__":
    main()
