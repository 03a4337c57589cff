"""XMP (ISO 16684-1): embedded packets, and .xmp files beside an image."""

import re
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from sightline.processing.metadata import values
from sightline.processing.metadata.dates import dated, parse_date
from sightline.processing.metadata.record import Metadata

MAX_BYTES = 1 << 22
"""A longer packet is not read."""

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_NAMESPACES = {
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
_PREFIXES = {uri: prefix for prefix, uri in _NAMESPACES.items()}
_DATES = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate", "exif:DateTimeDigitized")
_DEGREES = re.compile(r"\s*(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?\s*([NSEW])\s*", re.IGNORECASE)


class Packet:
    """The properties of an XMP packet by their usual names ("dc:title"), each with its values in order."""

    def __init__(self, data: bytes) -> None:
        """Raises ValueError or ElementTree.ParseError for what is no XMP, is too long, or declares entities."""
        self._root = ElementTree.fromstring(_xml(data))
        self._properties: dict[str, list[str]] = {}
        for rdf in self._root.iter(f"{_RDF}RDF"):
            for description in rdf.findall(f"{_RDF}Description"):
                for name, text in description.attrib.items():
                    self._properties.setdefault(_short(name), [text])
                for child in description:
                    self._properties.setdefault(_short(child.tag), _values(child))

    def all(self, name: str) -> list[str]:
        return self._properties.get(name, [])

    def first(self, *names: str) -> str | None:
        """The first value of the first of these properties that is present and not blank."""
        return next((value for name in names for value in self.all(name)[:1] if value.strip()), None)

    def number(self, *names: str) -> float | None:
        return values.fraction(self.first(*names))

    def video_length(self) -> int | None:
        """How many bytes before the file's end the video of a Google motion photo begins."""
        if self.first("GCamera:MicroVideoOffset"):
            return values.whole(self.number("GCamera:MicroVideoOffset"), 1, 1 << 40)
        length = 0
        for item in self._root.iter():
            fields = {_short(name): text for name, text in item.attrib.items()}
            fields.update((_short(child.tag), child.text or "") for child in item)
            if length or fields.get("Item:Semantic") == "MotionPhoto":  # this item and all that follow it
                length += values.whole(values.fraction(fields.get("Item:Length")), 1, 1 << 40) or 0
        return length or None


def read_xmp(packet: Packet, source: str = "xmp") -> Metadata:
    """`source`: what the record names as the source of its date and its caption."""
    local = next(filter(None, (parse_date(packet.first(name)) for name in _DATES)), None)
    return Metadata(
        **dated(local, source),
        camera_make=values.name_text(packet.first("tiff:Make")),
        camera_model=values.name_text(packet.first("tiff:Model")),
        lens=values.name_text(packet.first("exifEX:LensModel", "aux:Lens")),
        iso=values.whole(
            packet.number("exifEX:PhotographicSensitivity", "exif:ISOSpeedRatings"), 1, values.MAX_INTEGER
        ),
        f_number=values.positive(packet.number("exif:FNumber"), values.MAX_F_NUMBER),
        exposure=values.positive(packet.number("exif:ExposureTime"), values.MAX_EXPOSURE),
        focal_length=values.positive(packet.number("exif:FocalLength"), values.MAX_FOCAL_LENGTH),
        **_place(packet),
        orientation=values.whole(packet.number("tiff:Orientation"), 1, 8),
        rating=values.stars(packet.number("xmp:Rating"), packet.number("MicrosoftPhoto:Rating")),
        keywords=values.unique(packet.all("dc:subject")),
        title=values.clean(packet.first("dc:title")),
        caption=values.caption_text(packet.first("dc:description", "exif:UserComment", "tiff:ImageDescription")),
        caption_source=source,
        burst_id=values.clean(packet.first("GCamera:BurstID")),
    )


def _xml(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise ValueError("XMP too long")
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]
    encoding = "utf-16" if data[:1] in (b"\xff", b"\xfe") else "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    text = data.decode(encoding, "replace") if utf16 else values.decode(data)
    text = text[text.find("<") : text.rfind(">") + 1]
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # XMP has neither; entities can grow without limit
        raise ValueError("XMP with a document type")
    return re.sub(r"^<\?xml[^>]*\?>", "", text)  # its encoding is no longer true


def _short(name: str) -> str:
    uri, _, local = name.removeprefix("{").rpartition("}")
    return f"{_PREFIXES.get(uri, uri)}:{local}"


def _values(element: Element) -> list[str]:
    """The values of a property: its text, or its list's items, of which that in the default language is the first."""
    items = element.findall(f"*/{_RDF}li")
    items.sort(key=lambda item: item.get(_LANGUAGE) != "x-default")
    texts = [item.text or item.get(f"{_RDF}value") or "" for item in items] or [element.text or ""]
    return [text for text in texts if text.strip()]


def _place(packet: Packet) -> dict[str, Any]:
    altitude = packet.number("exif:GPSAltitude")
    if altitude is not None and packet.first("exif:GPSAltitudeRef") == "1":
        altitude = -altitude
    return values.place(
        _degrees(packet.first("exif:GPSLatitude")), _degrees(packet.first("exif:GPSLongitude")), altitude
    )


def _degrees(text: str | None) -> float | None:
    """ "52,31,12N", "52,31.2N", or signed degrees as some programs write them."""
    match = _DEGREES.fullmatch(text or "")
    if not match:
        return values.fraction(text)
    degrees = values.sexagesimal(match.group(1, 2, 3))
    return -degrees if degrees is not None and match[4] in "SWsw" else degrees
