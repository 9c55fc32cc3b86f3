"""Object detection under torchvision's names: the ops, box coding, anchors."""

# ruff: noqa: F401
from ..ops import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    complete_box_iou,
    complete_box_iou_loss,
    decode_boxes,
    distance_box_iou,
    distance_box_iou_loss,
    encode_boxes,
    fast_rcnn_loss,
    generalized_box_iou,
    generalized_box_iou_loss,
    grid_anchors,
    nms,
    remove_small_boxes,
    roi_align,
    roi_pool,
    rpn_loss,
    sigmoid_focal_loss,
    soft_nms,
    yolo_loss,
)
from .anchors import AnchorGenerator, DefaultBoxGenerator
from .coding import BoxCoder
