"""Writing PNGs that say how they were made."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image, PngImagePlugin

from undrift.outputs import PICTURE_ENDINGS, check_ending, write_output

METADATA_KEY = "undrift"
XMP_KEY = "XML:com.adobe.xmp"

_EDITED_BY_MODEL = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def png_bytes(image: Image.Image, metadata: Mapping[str, Any] | None = None) -> bytes:
    """A PNG file. The same picture and metadata give the same bytes.

    Args:
        image: RGB or L.
        metadata: JSON values. Stored as iTXt ``undrift``, and, if it has a ``prompt``, as an XMP packet that other
            programs show: description, creator tool, and IPTC's "edited with a trained model".
    """
    info = PngImagePlugin.PngInfo()
    if metadata is not None:
        info.add_itxt(METADATA_KEY, json.dumps(metadata, ensure_ascii=False, sort_keys=True))
    if metadata is not None and "prompt" in metadata:
        info.add_itxt(XMP_KEY, _xmp(str(metadata["prompt"]), str(metadata.get("software", METADATA_KEY))))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def write_png(image: Image.Image, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write ``png_bytes`` to ``path``, completely or not at all.

    Raises:
        InputError: ``path`` ends in something else than .png.
        SessionError: the file cannot be written.
    """
    check_ending(path, PICTURE_ENDINGS)
    write_output(path, png_bytes(image, metadata))


def _xmp(description: str, software: str) -> str:
    """An XMP packet (ISO 16684-1) with what other programs understand."""
    text, tool = (escape(re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", " ", s)) for s in (description, software))
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>'
        f"<xmp:CreatorTool>{tool}</xmp:CreatorTool>"
        f"<ext:DigitalSourceType>{_EDITED_BY_MODEL}</ext:DigitalSourceType>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
