"""The parts of an image's header, and the files beside it, made by hand or by Pillow; and what they say."""

import io
import json
import struct
import time
import zlib
from datetime import datetime

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from sightline.processing.metadata import Metadata
from support.images import image

MAKE, MODEL, DESCRIPTION, ORIENTATION, CHANGED, DETAILS, GPS = 0x10F, 0x110, 0x10E, 0x112, 0x132, 0x8769, 0x8825
ORIGINAL, DIGITIZED = 0x9003, 0x9004
INSTANT = 1_609_459_200  # 2021-01-01 00:00:00 UTC


def picture(name, size=(64, 48)):
    """An image that no other name has."""
    return image(zlib.crc32(name.encode()), size)


def exif(main=None, details=None, gps=None):
    """EXIF by Pillow's writer."""
    record = Image.Exif()
    record.update(main or {})
    record.update({tag: fields for tag, fields in ((DETAILS, details), (GPS, gps)) if fields})
    return record


def gps(latitude, longitude, altitude=None, refs="NE", below=0):
    """GPS' directory, from (degrees, minutes, seconds)."""
    directory = {1: refs[0], 2: latitude, 3: refs[1], 4: longitude}
    return directory | ({} if altitude is None else {5: bytes([below]), 6: altitude})


def apple_note(**fields):
    """Apple's maker note with texts: {tag: text}."""
    entries = sorted((int(tag[1:]), text.encode() + b"\0") for tag, text in fields.items())
    note = b"Apple iOS\0\0\1MM" + struct.pack(">H", len(entries))
    at, values = len(note) + 12 * len(entries) + 4, b""
    for tag, text in entries:
        note += struct.pack(">HHII", tag, 2, len(text), at + len(values))
        values += text
    return note + bytes(4) + values


def packet(body="", attributes="", name=""):
    """XMP with these elements and attributes."""
    names = {
        "aux": "http://ns.adobe.com/exif/1.0/aux/",
        "dc": "http://purl.org/dc/elements/1.1/",
        "exif": "http://ns.adobe.com/exif/1.0/",
        "exifEX": "http://cipa.jp/exif/1.0/",
        "GCamera": "http://ns.google.com/photos/1.0/camera/",
        "Container": "http://ns.google.com/photos/1.0/container/",
        "Item": "http://ns.google.com/photos/1.0/container/item/",
        "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        "tiff": "http://ns.adobe.com/tiff/1.0/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
    }
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in names.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {spaces} {attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
        f'{" " * 200}<?xpacket end="w"?>'
    ).encode()


def alternatives(name, **texts):
    items = "".join(f'<rdf:li xml:lang="{lang.replace("_", "-")}">{text}</rdf:li>' for lang, text in texts.items())
    return f"<{name}><rdf:Alt>{items}</rdf:Alt></{name}>"


def bag(name, *texts):
    return f"<{name}><rdf:Bag>{''.join(f'<rdf:li>{text}</rdf:li>' for text in texts)}</rdf:Bag></{name}>"


def iptc(*fields):
    """IPTC-IIM of (record, number, bytes)."""
    return b"".join(struct.pack(">BBBH", 0x1C, record, number, len(raw)) + raw for record, number, raw in fields)


def resources(data):
    """Photoshop's image resources with IPTC, after another resource with a name."""
    parts = [(0x03ED, b"\4name", b"x" * 15), (0x0404, b"\0", data)]
    return b"".join(
        b"8BIM"
        + struct.pack(">H", code)
        + (name + b"\0" * (len(name) % 2))
        + struct.pack(">I", len(raw))
        + raw
        + b"\0" * (len(raw) % 2)
        for code, name, raw in parts
    )


def segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def chunk(kind, data):
    """A chunk of PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(path, exif=None, xmp=None, iptc=None, after=b""):
    options = ({"exif": exif} if exif else {}) | ({"xmp": xmp} if xmp else {})
    out = io.BytesIO()
    picture(path.name).save(out, "JPEG", **options)
    data = out.getvalue()
    if iptc:
        data = data[:2] + segment(0xED, b"Photoshop 3.0\0" + resources(iptc)) + data[2:]
    path.write_bytes(data + after)


def local(seconds=INSTANT, source="mp4"):
    """What an instant is on the clocks of this machine's zone."""
    fields = time.localtime(seconds)
    return {
        "taken": datetime(*fields[:6]),
        "taken_offset": fields.tm_gmtoff // 60,
        "taken_source": source,
    }


def captioned(text, source, **fields):
    return Metadata(caption=text, caption_source=source, **fields)


def dated(*time, offset=None, source="exif", **fields):
    return Metadata(taken=datetime(*time), taken_offset=offset, taken_source=source, **fields)


def takeout(path, description="", timestamp=INSTANT, latitude=0.0, longitude=0.0, **fields):
    content = {
        "title": "IMG.jpg",
        "description": description,
        "photoTakenTime": {"timestamp": str(timestamp), "formatted": "01.01.2021, 00:00:00 UTC"},
        "geoData": {"latitude": latitude, "longitude": longitude, "altitude": 0.0},
        **fields,
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def with_description(raw):
    """EXIF with a description of these bytes, which Pillow's writer would turn to ASCII."""
    directory = ImageFileDirectory_v2()
    directory[DESCRIPTION] = "x" * len(raw)
    out = io.BytesIO()
    directory.save(out)
    head = b"II*\0\x08\0\0\0"
    return b"Exif\0\0" + (head + out.getvalue().removeprefix(head)).replace(b"x" * len(raw), raw)
