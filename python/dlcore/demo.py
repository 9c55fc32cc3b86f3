"""``python -m dlcore demo``: LeNet-5 learns to read real handwriting, with a picture.

The same seed gives the same bits, whatever the number of threads.

How the settings below were chosen: by five-fold cross-validation on the 1,438 training
images of the wheel's digits (every fifth image of them validates), the held-out part
unseen. Share of the validation images read rightly, one figure for each set of seeds:

    moved by up to 2 pixels, 30 or 60 epochs        98.9, 99.0 %
    and label smoothing 0.1                         99.0 %
    turned by 12 degrees, zoomed by 0.1, 60 epochs  99.6, 99.4, 99.4 %  <- taken
    ... 90 epochs                                   99.4, 99.3 %
    ... 90 epochs, batches of 64, rate 3e-3         99.7 %
    ... label smoothing 0.1                         99.5 %
    ... weight decay 0.05, weights averaged         99.4 %
    ... moved by 1 pixel                            99.6 %
    ... rate 1e-3, 3e-3 in place of 2e-3            99.3, 99.4 %
    turned by 20 degrees, zoomed by 0.15            99.4, 99.3 %

Turning and zooming is what helps; the rest is within the noise, 0.2 %. Looked at once,
after that, the held-out part: 359 of 359.
"""

import argparse
import hashlib
import math
import sys
import time
from pathlib import Path

import numpy as np

from . import data, no_grad, ops, optim, random

VARIED = {"degrees": 12, "pixels": 2, "zoom": 0.1}  # training images, each time anew
EVALUATED_AT_ONCE = 256


def add_arguments(parser):
    """The command's options."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="MNIST's IDX files, plain or .gz (default: the 1,797 digits of the wheel)",
    )
    parser.add_argument(
        "--epochs",
        type=_from_one,
        help="passes over the data (default 60; 3 for MNIST)",
    )
    parser.add_argument("--batch-size", type=_from_one, default=32)
    parser.add_argument("--lr", type=_positive, default=2e-3, help="Adam's, at first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo.png"), metavar="PNG")


def run(args):
    """Train, report, draw; returns the exit code."""
    try:
        split = data.mnist(args.data) if args.data else data.digits(20, padding=4)
        _check(split, args.output)
    except (OSError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    epochs = args.epochs or (3 if args.data else 60)
    print(
        f"LeNet-5 on {len(split.train_images)} handwritten digits, "
        f"{len(split.test_images)} held out"
    )
    random.manual_seed(args.seed)
    start = time.perf_counter()
    model, losses = train(split, epochs, args.batch_size, args.lr)
    seconds = time.perf_counter() - start
    probabilities = predict(model, split.test_images)
    print(f"{epochs} epochs in {seconds:.1f} s")
    print(f"{epochs * len(split.train_images) / seconds:.0f} samples per second")
    print(f"weights' digest: {digest(model)}")
    draw(args.output, model, losses, epochs, split, probabilities)
    accuracy = (probabilities.argmax(1) == split.test_labels).mean()
    print(f"test accuracy: {accuracy:.4f}")
    return 0


def train(split, epochs, batch_size, lr):
    """Minimize the cross-entropy with Adam on varied images, the rate on a cosine.

    Returns
    -------
    model : LeNet5
    losses : list of float
        One of each batch.
    """
    from .models import LeNet5  # here: the other commands do without it

    model = LeNet5(num_classes=int(split.train_labels.max()) + 1)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    images, labels = split.train_images, split.train_labels
    batches = math.ceil(len(images) / batch_size)
    losses = []
    with _Progress(epochs, batches) as progress:
        for _ in range(epochs):
            order = random.randperm(len(images))
            for at in range(0, len(order), batch_size):
                rows = order[at : at + batch_size]
                scores = model(data.random_affine(images[rows], **VARIED))
                loss = ops.cross_entropy(scores, labels[rows])
                optimizer.zero_grad()
                loss.backward()
                done = len(losses) / (epochs * batches)
                for group in optimizer.param_groups:
                    group["lr"] = lr * (1 + math.cos(math.pi * done)) / 2
                optimizer.step()
                losses.append(loss.item())
                progress.batch(losses)
    return model, losses


@no_grad()
def predict(model, images):
    """The probability of each class for each image."""
    model.eval()
    pieces = range(0, len(images), EVALUATED_AT_ONCE)
    scores = [model(images[at : at + EVALUATED_AT_ONCE]).numpy() for at in pieces]
    model.train()
    return ops.softmax(np.concatenate(scores), dim=1)


def digest(model):
    """A short name of the weights: the same bits give the same name."""
    content = hashlib.sha256()
    for name, array in model.state_dict().items():
        content.update(name.encode() + array.tobytes())
    return content.hexdigest()[:16]


class _Progress:
    """tqdm's bar where it is installed and somebody watches, else a line an epoch."""

    def __init__(self, epochs, batches):
        self.epochs, self.batches, self.bar = epochs, batches, None
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.bar = tqdm(total=epochs * batches, unit="batch", leave=False)

    def batch(self, losses):
        ends_epoch = len(losses) % self.batches == 0
        if ends_epoch:
            mean = math.fsum(losses[-self.batches :]) / self.batches
            if self.bar is None:
                epoch = len(losses) // self.batches
                print(f"epoch {epoch}/{self.epochs}: loss {mean:.4f}", flush=True)
            else:
                self.bar.set_postfix(loss=f"{mean:.4f}", refresh=False)
        if self.bar is not None:
            self.bar.update()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()


def draw(path, model, losses, epochs, split, probabilities):
    """Write the loss curve, the first filters, test digits and mistakes as a PNG."""
    try:
        from .demo_picture import picture
    except ImportError:
        print("no picture: it needs matplotlib: pip install matplotlib")
        return
    picture(path, model, losses, epochs, split, probabilities)
    print(f"picture: {path}")


def _check(split, output):
    if split.train_images.shape[2:] != (28, 28):
        height, width = split.train_images.shape[2:]
        raise ValueError(f"images must be 28x28 for LeNet-5, got {height}x{width}")
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise ValueError(f"--output must be a file in an existing folder, got {output}")


def _from_one(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def _positive(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return value
