"""Taps: what looks into, or changes, the attention of a flow transformer while it runs."""

from undrift.attention.capture import MapCapture
from undrift.attention.columns import TextColumns
from undrift.attention.highlight import AdaptiveHighlight, HighlightSettings
from undrift.attention.inject import FeatureStore, InjectFeatures, ShareRows, StoreFeatures
from undrift.attention.sites import Site
from undrift.attention.taps import AttentionTap, Projections
from undrift.attention.words import changed_columns, changed_words, word_columns

__all__ = [
    "AdaptiveHighlight",
    "AttentionTap",
    "FeatureStore",
    "HighlightSettings",
    "InjectFeatures",
    "MapCapture",
    "Projections",
    "ShareRows",
    "Site",
    "StoreFeatures",
    "TextColumns",
    "changed_columns",
    "changed_words",
    "word_columns",
]
