"""What the demo learned, in one picture. Needs matplotlib."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, FAINT, RIGHT, WRONG = "#1f2d3d", "#b8c4d0", "#1a7f4b", "#c0392b"
SHOWN = 13  # digits: one of each class that was read rightly, then misread ones


def picture(path, model, losses, epochs, split, guesses):
    """Draw to the file `path`."""
    figure = Figure(figsize=(11, 6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    accuracy = (guesses == split.test_labels).mean()
    figure.suptitle(
        f"LeNet-5 after {epochs} epochs: {accuracy:.2%} of {len(guesses)} "
        "held-out digits read correctly",
        color=INK,
        fontsize=14,
    )
    upper, lower = figure.subfigures(2, 1, height_ratios=(2.7, 1))
    left, right = upper.subfigures(1, 2, width_ratios=(1.4, 1))
    _curve(left, losses, epochs)
    _filters(right, model.conv1.weight.detach().numpy()[:, 0])
    _digits(lower, split, guesses)
    figure.savefig(path, dpi=120, format="png")


def _curve(figure, losses, epochs):
    axes = figure.subplots()
    at = (np.arange(len(losses)) + 1) * epochs / len(losses)
    axes.plot(at, losses, color=FAINT, linewidth=0.8, label="each batch")
    batches = len(losses) // epochs
    means = np.reshape(losses, (epochs, batches)).mean(1)
    axes.plot(
        np.arange(epochs) + 0.5,
        means,
        color=INK,
        linewidth=2,
        marker="o",
        markersize=3,
        label="mean of the epoch",
    )
    axes.set_yscale("log")
    axes.set_xlim(0, epochs)
    axes.set_xlabel("epoch")
    axes.set_ylabel("cross-entropy")
    axes.set_title("Training loss", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=FAINT, linewidth=0.4)
    axes.legend(frameon=False)


def _filters(figure, filters):
    figure.suptitle("First layer: 6 filters of 5x5", color=INK)
    reach = np.abs(filters).max()
    for axes, weights in zip(figure.subplots(2, 3).flat, filters, strict=True):
        image = axes.imshow(weights, cmap="RdBu_r", vmin=-reach, vmax=reach)
        _bare(axes)
    figure.colorbar(image, ax=figure.axes, shrink=0.7)


def _digits(figure, split, guesses):
    figure.suptitle(
        "Held-out digits and what was read (red: wrong, the truth in brackets)",
        color=INK,
    )
    right = np.flatnonzero(guesses == split.test_labels)
    _, first = np.unique(split.test_labels[right], return_index=True)
    wrong = np.flatnonzero(guesses != split.test_labels)
    shown = np.concatenate([right[first], wrong, np.delete(right, first)])
    for axes, i in zip(figure.subplots(1, SHOWN).flat, shown, strict=False):
        axes.imshow(split.test_images[i, 0], cmap="gray_r", vmin=0, vmax=1)
        guess, truth = guesses[i], split.test_labels[i]
        text, color = (
            (f"{guess}", RIGHT) if guess == truth else (f"{guess} ({truth})", WRONG)
        )
        axes.set_xlabel(text, color=color, fontsize=13, fontweight="bold")
    for axes in figure.axes:
        _bare(axes)


def _bare(axes):
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(FAINT)
