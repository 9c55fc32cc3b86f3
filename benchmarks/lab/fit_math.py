"""Derives the coefficients of csrc/cpu/simd_math.h (needs mpmath): python fit_math.py

Polynomials and rationals of least relative error by Remez' exchange, in 60 digits. Prints each
with the error that is left before rounding.
"""

import mpmath as mp

mp.mp.dps = 60
LN2 = mp.log(2)


def remez(f, weight, low, high, p, q=0, centre=None, rounds=16):
    """Coefficients, lowest first, of P/Q (Q(0) = 1) with the least max |P/Q - f| * weight.

    With a centre c the first points are Chebyshev's in (x - c) / (x + c): rationals need it.
    """
    n = p + q + 2
    low, high = mp.mpf(low), mp.mpf(high)

    def node(k):
        if centre is None:
            return (low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * k / (n - 1))
        a, b = (low - centre) / (low + centre), (high - centre) / (high + centre)
        t = (a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * k / (n - 1))
        return min(max(centre * (1 + t) / (1 - t), low), high)

    points = [node(k) for k in range(n)]
    grid = [node(mp.mpf(i) * (n - 1) / 1500) for i in range(1501)]
    values = [(x, f(x), weight(x)) for x in grid]
    error = mp.mpf(0)
    for _ in range(rounds):
        for _ in range(1 if q == 0 else 6):  # the error times Q is not linear: iterate
            rows, right = [], []
            for k, x in enumerate(points):
                y, w = f(x), weight(x)
                e = (-1) ** k * error / w
                rows.append(
                    [x**i for i in range(p + 1)]
                    + [-(y + e) * x**j for j in range(1, q + 1)]
                    + [-((-1) ** k) / w]
                )
                right.append(y)
            solution = mp.lu_solve(mp.matrix(rows), mp.matrix(right))
            error = solution[n - 1]
        num = [solution[i] for i in range(p + 1)]
        den = [mp.mpf(1)] + [solution[p + j] for j in range(1, q + 1)]
        e = [
            (w * (mp.polyval(num[::-1], x) / mp.polyval(den[::-1], x) - y), x)
            for x, y, w in values
        ]
        extrema = []
        for i, (value, x) in enumerate(e):
            if extrema and (value > 0) == (extrema[-1][0] > 0):
                if abs(value) > abs(extrema[-1][0]):
                    extrema[-1] = (value, x)
            else:
                extrema.append((value, x))
        while len(extrema) > n:
            extrema.pop(0 if abs(extrema[0][0]) < abs(extrema[-1][0]) else -1)
        if len(extrema) < n:
            break
        points = [x for _, x in extrema]
    return num, den[1:], max(abs(v) for v, _ in e)


def show(name, digits, num, den, error):
    print(f"{name}: relative error {mp.nstr(error, 3)}")
    print("  ", ", ".join(mp.nstr(c, digits) for c in num))
    if den:
        print("  / 1,", ", ".join(mp.nstr(c, digits) for c in den))


def series(f, near):
    """f, or its value by Taylor's series where the formula cancels: done by more digits."""

    def g(x):
        with mp.workdps(120):
            return f(x) if abs(x) > mp.mpf(10) ** -25 else near

    return g


one = lambda x: mp.mpf(1)  # noqa: E731


def main():
    half = LN2 / 2 * mp.mpf("1.0001")
    expm2 = series(lambda r: (mp.exp(r) - 1 - r) / r**2, mp.mpf(1) / 2)
    for digits, degree in ((10, 4), (19, 9), (19, 10)):
        num, den, e = remez(
            expm2, lambda r: max(r * r, mp.mpf(10) ** -6), -half, half, degree
        )
        show(f"(exp(r) - 1 - r) / r^2, degree {degree}", digits, num, den, e)

    low, high = mp.sqrt(0.5) - 1, mp.sqrt(2) - 1
    rest = series(lambda r: (mp.log1p(r) - r + r * r / 2) / r**3, mp.mpf(1) / 3)
    for degree in (7, 8):
        num, den, e = remez(
            rest, lambda r: max(r * r, mp.mpf(10) ** -6), low, high, degree
        )
        show(f"(log1p(r) - r + r^2/2) / r^3, degree {degree}", 10, num, den, e)
    # log((1+s)/(1-s)) = 2s + s^3 P(s^2)
    top = (3 - 2 * mp.sqrt(2)) ** 2 * mp.mpf("1.0001")
    tail = series(
        lambda z: (2 * mp.atanh(mp.sqrt(z)) - 2 * mp.sqrt(z)) / mp.sqrt(z) ** 3,
        mp.mpf(2) / 3,
    )
    for degree in (6, 7):
        num, den, e = remez(tail, lambda z: max(z, mp.mpf(10) ** -9), 0, top, degree)
        show(f"log's atanh tail, degree {degree}", 19, num, den, e)

    # log(1 + e) = s P(s^2) with s = e / (2 + e), for 0 <= e <= 1
    whole = series(lambda z: 2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z), mp.mpf(2))
    for digits, degree in ((10, 4), (19, 9), (19, 10)):
        num, den, e = remez(whole, lambda z: 1 / whole(z), 0, mp.mpf(1) / 9, degree)
        show(f"log1p(e) / s in s^2, degree {degree}", digits, num, den, e)

    bend = series(lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, -mp.mpf(1) / 3)
    for degree in (3, 4):
        num, den, e = remez(bend, lambda z: max(z, mp.mpf(10) ** -6), 0, "0.4", degree)
        show(
            f"(tanh(x)/x - 1) / x^2 in x^2 up to 0.4, degree {degree}", 10, num, den, e
        )

    erf = series(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z), 2 / mp.sqrt(mp.pi))
    for digits, degree in ((10, 6), (19, 12), (19, 13)):
        num, den, e = remez(erf, lambda z: 1 / erf(z), 0, 1, degree)
        show(f"erf(x)/x in x^2 up to 1, degree {degree}", digits, num, den, e)

    mills = lambda h: mp.exp(h * h / 2) * mp.ncdf(-h)  # noqa: E731
    for p, q in ((4, 5), (5, 6)):
        num, den, e = remez(mills, lambda h: 1 / mills(h), 0, "14.6", p, q, 2)
        show(f"exp(h^2/2) Phi(-h) up to 14.6, {p}/{q}", 10, num, den, e)
    for p, q in ((9, 10), (10, 11), (11, 12)):
        num, den, e = remez(mills, lambda h: 1 / mills(h), 0, "39", p, q, 3)
        show(f"exp(h^2/2) Phi(-h) up to 39, {p}/{q}", 19, num, den, e)


if __name__ == "__main__":
    main()
