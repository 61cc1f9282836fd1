"""Measurements: ratios within one run (``core``) and timings on a device (``flux_shapes``)."""
