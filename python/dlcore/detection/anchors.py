"""The boxes that a detector starts from: anchors and default (prior) boxes."""

import math

import numpy as np

from ..ops import concatenate, grid_anchors


class AnchorGenerator:
    """Faster R-CNN's anchors: boxes of given sizes and shapes at every feature.

    Parameters
    ----------
    sizes : sequence of sequences of float
        For each feature map the square roots of the anchors' areas, in pixels.
    aspect_ratios : sequence of sequences of float
        For each feature map the anchors' heights over their widths.

    Raises
    ------
    ValueError
        If there are not as many sizes as aspect ratios, or one is not above 0.

    Notes
    -----
    The corners are rounded to whole pixels. As torchvision's ``AnchorGenerator``, from
    sizes instead of pictures.

    Examples
    --------
    >>> from dlcore.detection import AnchorGenerator
    >>> AnchorGenerator([[32]], [[1.0]])((64, 64), [(2, 2)])
    array([[-16., -16.,  16.,  16.],
           [ 16., -16.,  48.,  16.],
           [-16.,  16.,  16.,  48.],
           [ 16.,  16.,  48.,  48.]], dtype=float32)
    """

    def __init__(
        self,
        sizes=((128, 256, 512),),
        aspect_ratios=((0.5, 1.0, 2.0),),
        dtype="float32",
    ):
        _all_positive("AnchorGenerator", "sizes", sizes)
        _all_positive("AnchorGenerator", "aspect_ratios", aspect_ratios)
        _as_many("AnchorGenerator", "aspect_ratios", aspect_ratios, "sizes", sizes)
        self.sizes = tuple(tuple(s) for s in sizes)
        self.aspect_ratios = tuple(tuple(r) for r in aspect_ratios)
        self.cell_anchors = [
            np.array(_cell(*both), dtype) for both in zip(sizes, aspect_ratios)
        ]

    def num_anchors_per_location(self):
        """How many anchors a place of each feature map has."""
        return [len(cell) for cell in self.cell_anchors]

    def __call__(self, image_size, grid_sizes):
        """All anchors of one picture.

        Parameters
        ----------
        image_size : pair of int
            Height and width of the picture in pixels.
        grid_sizes : sequence of pairs of int
            Height and width of each feature map.

        Returns
        -------
        ndarray, shape (K, 4)
            Corners in pixels, map by map; strides are ``image // grid``.
        """
        _as_many("AnchorGenerator", "grid_sizes", grid_sizes, "sizes", self.sizes)
        return concatenate(
            [
                grid_anchors(cell, grid, _strides(image_size, grid))
                for cell, grid in zip(self.cell_anchors, grid_sizes)
            ]
        )


class DefaultBoxGenerator:
    r"""SSD's default boxes (priors): scales that grow from map to map.

    Parameters
    ----------
    aspect_ratios : sequence of sequences of float
        For each feature map the ratios beside 1; each gives a wide and a tall box.
    min_ratio, max_ratio : float, optional
        Scales of the first and of the last map, as parts of the picture.
    scales : sequence of float, optional
        The scale of each map and one more, in place of the two.
    steps : sequence of float, optional
        Pixels between the boxes of each map; default is the picture over the map.
    clip : bool, optional
        Whether a box is at most as large as the picture.

    Raises
    ------
    ValueError
        If the lengths do not fit or a ratio, scale or step is not above 0.

    Notes
    -----
    Map k has a square box of scale :math:`s_k`, one of :math:`\sqrt{s_k s_{k+1}}`, and
    for each ratio r boxes of sides :math:`s_k \sqrt r` and :math:`s_k / \sqrt r`. W.
    Liu et al., `SSD <https://arxiv.org/abs/1512.02325>`_, 2016; as torchvision's
    ``DefaultBoxGenerator``, from sizes instead of pictures.

    Examples
    --------
    >>> from dlcore.detection import DefaultBoxGenerator
    >>> DefaultBoxGenerator([[]], scales=[0.5, 0.5])((8, 8), [(1, 2)])
    array([[0., 2., 4., 6.],
           [0., 2., 4., 6.],
           [4., 2., 8., 6.],
           [4., 2., 8., 6.]], dtype=float32)
    """

    def __init__(
        self,
        aspect_ratios,
        min_ratio=0.15,
        max_ratio=0.9,
        scales=None,
        steps=None,
        clip=True,
        dtype="float32",
    ):
        op = "DefaultBoxGenerator"
        _all_positive(op, "aspect_ratios", aspect_ratios)
        if scales is None:
            scales = _even_scales(len(aspect_ratios), min_ratio, max_ratio)
        _all_positive(op, "scales", [scales])
        if len(scales) != len(aspect_ratios) + 1:
            raise ValueError(
                f"{op}: scales must be one more than aspect_ratios, got {len(scales)} "
                f"for {len(aspect_ratios)}"
            )
        if steps is not None:
            _all_positive(op, "steps", [steps])
            _as_many(op, "steps", steps, "aspect_ratios", aspect_ratios)
        self.aspect_ratios = tuple(tuple(r) for r in aspect_ratios)
        self.scales, self.steps = list(scales), steps
        self.clip, self.dtype = clip, dtype

    def num_anchors_per_location(self):
        """How many boxes a place of each feature map has."""
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def __call__(self, image_size, grid_sizes):
        """All default boxes of one picture.

        Parameters
        ----------
        image_size : pair of int
            Height and width of the picture in pixels.
        grid_sizes : sequence of pairs of int
            Height and width of each feature map.

        Returns
        -------
        ndarray, shape (K, 4)
            Corners in pixels, map by map. They may reach over the picture's edge.
        """
        op = "DefaultBoxGenerator"
        _as_many(op, "grid_sizes", grid_sizes, "aspect_ratios", self.aspect_ratios)
        height, width = image_size
        maps = []
        for k, (rows, columns) in enumerate(grid_sizes):
            boxes = [
                (-w * width / 2, -h * height / 2, w * width / 2, h * height / 2)
                for w, h in self._sides(k)
            ]
            stride = (height / rows, width / columns)
            if self.steps is not None:
                stride = (self.steps[k], self.steps[k])
            cell = np.array(boxes, self.dtype)
            maps.append(grid_anchors(cell, (rows, columns), stride, 0.5))
        return concatenate(maps)

    def _sides(self, k):
        """(width, height) of the boxes of map k, as parts of the picture."""
        scale, between = self.scales[k], math.sqrt(self.scales[k] * self.scales[k + 1])
        sides = [(scale, scale), (between, between)]
        for ratio in self.aspect_ratios[k]:
            wide, tall = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            sides += [(wide, tall), (tall, wide)]
        if self.clip:
            sides = [(min(w, 1.0), min(h, 1.0)) for w, h in sides]
        return sides


def _cell(sizes, aspect_ratios):
    """Anchors around (0, 0): all sizes of the first ratio, of the second, ..."""
    cell = []
    for ratio in aspect_ratios:
        for size in sizes:
            w, h = size / math.sqrt(ratio), size * math.sqrt(ratio)
            cell.append([round(v) for v in (-w / 2, -h / 2, w / 2, h / 2)])
    return cell


def _strides(image_size, grid_size):
    if min(grid_size) < 1:
        raise ValueError(
            f"AnchorGenerator: grid_sizes must be at least 1, got {tuple(grid_size)}"
        )
    return tuple(int(image) // int(grid) for image, grid in zip(image_size, grid_size))


def _even_scales(maps, low, high):
    if maps == 1:
        return [low, high]
    return [low + (high - low) * k / (maps - 1) for k in range(maps)] + [1.0]


def _all_positive(op, name, rows):
    for row in rows:
        for value in row:
            if not value > 0:
                raise ValueError(f"{op}: {name} must be above 0, got {value!r}")


def _as_many(op, name, got, like, wanted):
    if len(got) != len(wanted):
        raise ValueError(
            f"{op}: {name} must be as many as {like}, got {len(got)} for {len(wanted)}"
        )
