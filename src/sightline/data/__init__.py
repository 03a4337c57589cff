"""Captioned and labelled pictures and films, however they are kept on disk."""

from sightline.data.captions import captions
from sightline.data.labelled import labelled
from sightline.data.sample import Captions, Item, Labelled, LabelledSample, LeftOut, Member, Sample

__all__ = ["Captions", "Item", "Labelled", "LabelledSample", "LeftOut", "Member", "Sample", "captions", "labelled"]
