"""Data sets as two disjoint splits of uint8 images: one to train on, one to score against."""

from transgan.data.error import DataError
from transgan.data.image_data import ImageData
from transgan.data.image_files import IMAGE_SUFFIXES, MIN_IMAGES
from transgan.data.loading import foresee_data, load_data
from transgan.data.location import MissingDataError

__all__ = [
    "IMAGE_SUFFIXES",
    "MIN_IMAGES",
    "DataError",
    "ImageData",
    "MissingDataError",
    "foresee_data",
    "load_data",
]
