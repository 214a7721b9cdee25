"""How far back gradients reach in a simple RNN, an LSTM and a GRU (kexue.fm/archives/7888), with a picture.

    python examples/techniques/rnn_gradients.py --width 64 --steps 100 --output rnn_gradients.svg

For one number a cell, d h(t) / d h(t-1) is a formula (`simple`, `lstm`, `gru` below). For many numbers it is a matrix,
and what an input k steps ago still changes is the product of k of them: its largest singular value is drawn against k.
Bounds of the formula for one number do not hold there: tanh cells explode too where recurrent weights are large.
Weights are random: what is shown is where training begins. Only NumPy is needed.
"""

import argparse

import numpy as np

LENGTHS = (1, 10, 50, 100)
COLOURS = ("#1b6ca8", "#d1495b", "#2e933c", "#edae49", "#7b2d8b", "#444444", "#00a6a6")


def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


# -- one number a cell: (new state, derivative by the old one) -------------------------------------------------------


def simple(x, h, w, u, b, relu=False):
    """Return h' = f(w x + u h + b) and d h' / d h: (1 - h'^2) u for tanh, u or 0 for relu."""
    a = w * x + u * h + b
    if relu:
        return np.maximum(a, 0), u * float(a > 0)
    return np.tanh(a), (1 - np.tanh(a) ** 2) * u


def lstm(x, c, o, w, u, b):
    """Return c', and d c' / d c, where h = o tanh(c) feeds the gates; w, u, b hold (input, forget, candidate).

    The forget gate alone is f; the other terms come over h and are small: |(1 - tanh(c)^2) c| < 0.45.
    """
    h, by_c = o * np.tanh(c), o * (1 - np.tanh(c) ** 2)
    i, f = (sigmoid(w[k] * x + u[k] * h + b[k]) for k in (0, 1))
    new = np.tanh(w[2] * x + u[2] * h + b[2])
    slope = f + c * f * (1 - f) * by_c * u[1] + new * i * (1 - i) * by_c * u[0] + i * (1 - new**2) * by_c * u[2]
    return f * c + i * new, slope


def gru(x, h, w, u, b):
    """Return h' = (1 - z) h + z n and d h' / d h; w, u, b hold (update, reset, candidate), the reset before u."""
    z, r = (sigmoid(w[k] * x + u[k] * h + b[k]) for k in (0, 1))
    new = np.tanh(w[2] * x + u[2] * (r * h) + b[2])
    slope = 1 - z + z * (1 - z) * (new - h) * u[0] + (1 - new**2) * r * (1 + (1 - r) * h * u[1]) * z * u[2]
    return (1 - z) * h + z * new, slope


# -- many numbers: the Jacobian matrix of one step --------------------------------------------------------------------


def orthogonal(random, size):
    """Return a random orthogonal matrix."""
    return np.linalg.qr(random.standard_normal((size, size)))[0]


def recurrent_step(kind, random, width, scale=1.0, forget=1.0):
    """Return a function from (input, state) to (new state, Jacobian); an LSTM's state is (c, h) in one row."""
    gates = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}[kind]
    limit = np.sqrt(6 / (2 * width))
    w = [random.uniform(-limit, limit, (width, width)) for _ in range(gates)]
    u = [scale * orthogonal(random, width) for _ in range(gates)]

    def plain(x, h):
        a = x @ w[0] + h @ u[0]
        new, slope = (np.tanh(a), 1 - np.tanh(a) ** 2) if kind == "tanh" else (np.maximum(a, 0), (a > 0) * 1.0)
        return new, u[0] * slope

    def gated(x, h):
        z, r = (sigmoid(x @ w[k] + h @ u[k]) for k in (0, 1))
        new = np.tanh(x @ w[2] + (r * h) @ u[2])
        through = (np.diag(r) + u[1] * (r * (1 - r) * h)) @ u[2]
        return (1 - z) * h + z * new, np.diag(1 - z) + u[0] * (z * (1 - z) * (new - h)) + through * (z * (1 - new**2))

    def memory(x, state):
        c, h = state[:width], state[width:]
        i, f, o = (sigmoid(x @ w[k] + h @ u[k] + (forget if k == 1 else 0)) for k in (0, 1, 2))
        g = np.tanh(x @ w[3] + h @ u[3])
        new = f * c + i * g
        c_by_h = u[1] * (c * f * (1 - f)) + u[0] * (g * i * (1 - i)) + u[3] * (i * (1 - g**2))
        slope = o * (1 - np.tanh(new) ** 2)
        h_by_h = u[2] * (o * (1 - o) * np.tanh(new)) + c_by_h * slope
        jacobian = np.block([[np.diag(f), np.diag(f * slope)], [c_by_h, h_by_h]])
        return np.concatenate([new, o * np.tanh(new)]), jacobian

    return {"gru": gated, "lstm": memory}.get(kind, plain)


def reach(step, random, width, steps, twice):
    """Return (steps,) largest singular values of the products of 1, 2... Jacobians, after 20 steps of warming up."""
    state, product, found = np.zeros(2 * width if twice else width), None, []
    for number in range(20 + steps):
        state, jacobian = step(random.standard_normal(width), state)
        if number >= 20:
            product = jacobian if product is None else product @ jacobian
            found.append(np.linalg.norm(product, 2))
    return np.array(found)


def svg(curves, path):
    """Write log10 of curves against the number of steps."""
    low, high, width, height = -20.0, 12.0, 640, 400
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 220}" height="{height + 40}" font-size="12">']
    for power in range(int(low), int(high) + 1, 4):
        y = height - (power - low) / (high - low) * height + 10
        lines.append(f'<path d="M40 {y:.0f}H{width + 40}" stroke="#ddd"/><text x="2" y="{y + 4:.0f}">1e{power}</text>')
    for number, (name, values) in enumerate(curves.items()):
        logs = np.clip(np.log10(np.maximum(values, 1e-300)), low, high)
        points = " ".join(
            f"{40 + width * (k + 1) / len(logs):.1f},{height - (y - low) / (high - low) * height + 10:.1f}"
            for k, y in enumerate(logs)
        )
        colour = COLOURS[number % len(COLOURS)]
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines.append(f'<text x="{width + 50}" y="{24 + 18 * number}" fill="{colour}">{name}</text>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, f'<text x="{width // 2}" y="{height + 34}">steps back</text></svg>']) + "\n")


def main():
    """Print a table and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="numbers of a state")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--output", default="rnn_gradients.svg")
    args = parser.parse_args()
    cases = {
        "tanh, U x 1": ("tanh", {}),
        "tanh, U x 3": ("tanh", {"scale": 3.0}),
        "relu, U x 1": ("relu", {}),
        "relu, U x 1.5": ("relu", {"scale": 1.5}),
        "GRU": ("gru", {}),
        "LSTM, forget bias 0": ("lstm", {"forget": 0.0}),
        "LSTM, forget bias 1": ("lstm", {"forget": 1.0}),
        "LSTM, forget bias 3": ("lstm", {"forget": 3.0}),
    }
    curves = {}
    for name, (kind, options) in cases.items():
        random = np.random.default_rng(0)
        step = recurrent_step(kind, random, args.width, **options)
        curves[name] = reach(step, random, args.width, args.steps, kind == "lstm")
        told = "  ".join(f"{curves[name][k - 1]:8.1e}" for k in LENGTHS if k <= args.steps)
        print(f"{name:20s} {told}")
    print(f"Steps back: {', '.join(str(k) for k in LENGTHS if k <= args.steps)}; norm of d state / d earlier state")
    svg(curves, args.output)
    print(f"Picture in {args.output}")


if __name__ == "__main__":
    main()
