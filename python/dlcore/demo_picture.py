"""What the demo learned, in one picture. Needs matplotlib."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, FAINT, RIGHT, WRONG = "#1f2d3d", "#b8c4d0", "#1a7f4b", "#c0392b"
SHOWN = 10  # digits in a row


def picture(path, model, losses, epochs, split, probabilities):
    """Draw to the file `path`. `probabilities` are those of the held-out digits."""
    figure = Figure(figsize=(11, 8), facecolor="white")
    FigureCanvasAgg(figure)
    guesses = probabilities.argmax(1)
    right = (guesses == split.test_labels).sum()
    figure.suptitle(
        f"LeNet-5 after {epochs} epochs reads {right} of {len(guesses)} "
        f"held-out digits ({right / len(guesses):.2%})",
        color=INK,
        fontsize=15,
        fontweight="bold",
    )
    _curve(figure.add_axes((0.07, 0.54, 0.5, 0.34)), losses, epochs)
    _filters(figure, figure.add_axes((0.63, 0.54, 0.33, 0.34)), model)
    _each_class(figure, 0.265, split, guesses)
    _doubtful(figure, 0.03, split, probabilities)
    figure.savefig(path, dpi=120, format="png")


def _curve(axes, losses, epochs):
    batches = len(losses) // epochs
    at = (np.arange(len(losses)) + 1) / batches
    means = np.reshape(losses, (epochs, batches)).mean(1)
    axes.plot(at, losses, color=FAINT, linewidth=0.6, label="each batch")
    axes.plot(
        np.arange(epochs) + 0.5,
        means,
        color=INK,
        linewidth=2,
        label="mean of the epoch",
    )
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter("")
    axes.set_xlim(0, epochs)
    axes.set_xlabel("epoch")
    axes.set_ylabel("cross-entropy")
    axes.set_title("Training loss", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=FAINT, linewidth=0.4)
    axes.legend(frameon=False)


def _filters(figure, axes, model):
    filters = model.conv1.weight.detach().numpy()[:, 0]
    reach = np.abs(filters).max()
    sheet = np.full((11, 17), np.nan)  # two rows of three 5x5, a pixel between them
    for i, weights in enumerate(filters):
        row, col = i // 3 * 6, i % 3 * 6
        sheet[row : row + 5, col : col + 5] = weights
    image = axes.imshow(sheet, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="equal")
    axes.set_title("First layer: six filters of 5x5", color=INK)
    axes.set_axis_off()
    axes.set_anchor("N")
    place = figure.add_axes((0.66, 0.52, 0.27, 0.015))
    bar = figure.colorbar(image, cax=place, orientation="horizontal")
    bar.outline.set_visible(False)


def _each_class(figure, bottom, split, guesses):
    """One digit of each class that was read rightly."""
    right = np.flatnonzero(guesses == split.test_labels)
    _, first = np.unique(split.test_labels[right], return_index=True)
    _row(
        figure,
        bottom,
        "Held-out digits and what was read",
        split.test_images[right[first]],
        [(f"{guesses[i]}", RIGHT) for i in right[first]],
    )


def _doubtful(figure, bottom, split, probabilities):
    """Every mistake that fits, then what was nearest to one."""
    labels, guesses = split.test_labels, probabilities.argmax(1)
    every = np.arange(len(labels))
    sure = probabilities[every, labels]
    # Mistakes come first, whatever the probability of the truth.
    hardest = np.argsort(sure + (guesses == labels), kind="stable")[:SHOWN]
    texts = [
        (f"{guesses[i]}  ({probabilities[i, guesses[i]]:.0%})", RIGHT)
        if guesses[i] == labels[i]
        else (f"{guesses[i]}, is {labels[i]}", WRONG)
        for i in hardest
    ]
    mistakes = (guesses != labels).sum()
    title = f"Mistakes: {mistakes}" if mistakes else "No mistakes"
    title += f", {SHOWN} of them" if mistakes > SHOWN else ""
    title += "; the least sure, in brackets how sure" if mistakes < SHOWN else ""
    _row(figure, bottom, title, split.test_images[hardest], texts)


def _row(figure, bottom, title, images, texts):
    figure.text(0.5, bottom + 0.155, title, color=INK, fontsize=12, ha="center")
    for i, (image, (text, color)) in enumerate(zip(images, texts, strict=True)):
        axes = figure.add_axes((0.03 + 0.0945 * i, bottom + 0.035, 0.085, 0.11))
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
        axes.set_xlabel(text, color=color, fontsize=12, fontweight="bold")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(FAINT)
