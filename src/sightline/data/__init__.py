"""Data sets of captioned or labelled images and videos, in the layouts that they have on disk."""

from sightline.data.captions import captions, equal_captions
from sightline.data.labelled import labelled
from sightline.data.left_out import LeftOut
from sightline.data.sample import Captions, Item, Labelled, LabelledSample, Sample
from sightline.data.tar import Member

__all__ = [
    "Captions",
    "Item",
    "Labelled",
    "LabelledSample",
    "LeftOut",
    "Member",
    "Sample",
    "captions",
    "equal_captions",
    "labelled",
]
