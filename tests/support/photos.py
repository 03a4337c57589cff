"""Images and videos with all kinds of metadata, and what is right for each: `made(folder)`."""

import hashlib
import io
import json
import struct
import tempfile
import time
import zlib
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
from av import AudioFrame, VideoFrame
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2
from pillow_heif import register_heif_opener

from sightline.processing.metadata import Metadata
from support.videos import shot

MAKE, MODEL, DESCRIPTION, ORIENTATION, CHANGED, DETAILS, GPS = 0x10F, 0x110, 0x10E, 0x112, 0x132, 0x8769, 0x8825
ORIGINAL, DIGITIZED = 0x9003, 0x9004
BURST, PAIR = "9B6E2D5A-3F0C-4E0E-9A65-8F5A2C1B7D10", "1F0B7C0E-58B5-4D8C-B4B0-0A8F6C1D2E3F"
INSTANT = 1_609_459_200  # 2021-01-01 00:00:00 UTC


def made(folder):
    """The files, written into `folder`, each with its Metadata. What is in UTC is turned by the machine's zone."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = (exif_dates, exif_fields, texts, xmp_packets, sidecars, takeouts, bursts_and_pairs, formats, videos)
    return [(folder / name, metadata) for make in makers for name, metadata in make(folder).items()]


# The parts


def picture(name, size=(64, 48)):
    """An image that no other name has."""
    return shot(zlib.crc32(name.encode()), size)


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


# The files


def exif_dates(folder):
    written = {
        "original.jpg": {
            ORIGINAL: "2024:02:21 10:14:22",
            0x9011: "-05:30",
            0x9291: "27",
            DIGITIZED: "2025:01:01",
        },
        "digitized.jpg": {ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: "2011:12:31 23:59:60", 0x9012: "+02:00"},
        "blank.jpg": {ORIGINAL: "    :  :     :  :  "},
        "iso.jpg": {ORIGINAL: "2025-01-14T18:31:30Z"},
        "after_midnight.jpg": {ORIGINAL: "2016:01:01 24:05:00"},
        "day.jpg": {ORIGINAL: "2025/01/14\0"},
        "unix_zero.jpg": {ORIGINAL: "1970:01:01 00:00:00"},
        "future.jpg": {ORIGINAL: "2567:01:01 00:00:00"},
    }
    for name, details in written.items():
        jpeg(folder / name, exif(details=details))
    jpeg(folder / "changed.jpg", exif({CHANGED: "2012:08:18 15:32:58"}, {0x9010: "+01:00"}))
    return {
        "original.jpg": dated(2024, 2, 21, 10, 14, 22, 270_000, offset=-330),
        "digitized.jpg": dated(2012, 1, 1, offset=120),
        "blank.jpg": Metadata(),
        "iso.jpg": dated(2025, 1, 14, 18, 31, 30, offset=0),
        "after_midnight.jpg": dated(2016, 1, 2, 0, 5),
        "day.jpg": dated(2025, 1, 14),
        "unix_zero.jpg": Metadata(),
        "future.jpg": Metadata(),
        "changed.jpg": dated(2012, 8, 18, 15, 32, 58, offset=60),
    }


def exif_fields(folder):
    jpeg(folder / "nothing.jpg")
    jpeg(
        folder / "camera.jpg",
        exif(
            {MAKE: "Canon\0", MODEL: "Canon EOS R5 ", ORIENTATION: 6, 0x4746: 4},
            {0x829A: 1 / 250, 0x829D: 2.8, 0x8827: 400, 0x920A: 35.0, 0xA434: "RF24-70mm F2.8 L IS USM"},
            gps((52.0, 31.0, 12.0), (13.0, 24.0, 18.0), 34.5),
        ),
    )
    jpeg(
        folder / "apex.jpg",
        exif({MAKE: "-----", ORIENTATION: 9}, {0x9201: 5.0, 0x9202: 4.0, 0x8827: 65535, 0x8832: 102_400, 0x920A: 0.0}),
    )
    jpeg(folder / "south.jpg", exif(gps=gps((33.0, 51.5, 0.0), (70.0, 40.0, 30.0), 12.0, "SW", below=1)))
    jpeg(folder / "null_island.jpg", exif(gps=gps((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 10.0)))
    jpeg(folder / "no_denominator.jpg", exif(gps=gps((52.0, 31.0, IFDRational(0, 0)), (13.0, 24.0, 0.0))))
    jpeg(folder / "far_north.jpg", exif(gps=gps((95.0, 0.0, 0.0), (13.0, 24.0, 0.0))))
    jpeg(folder / "no_hemisphere.jpg", exif(gps={2: (52.0, 31.0, 0.0), 4: (13.0, 24.0, 0.0)}))
    return {
        "nothing.jpg": Metadata(),
        "camera.jpg": Metadata(
            camera_make="Canon",
            camera_model="Canon EOS R5",
            lens="RF24-70mm F2.8 L IS USM",
            iso=400,
            f_number=2.8,
            exposure=0.004,
            focal_length=35.0,
            latitude=52.52,
            longitude=13.405,
            altitude=34.5,
            orientation=6,
            rating=4,
        ),
        "apex.jpg": Metadata(iso=102_400, exposure=1 / 32, f_number=4.0),
        "south.jpg": Metadata(latitude=-33 - 51.5 / 60, longitude=-70.675, altitude=-12.0),
        "null_island.jpg": Metadata(),
        "no_denominator.jpg": Metadata(),
        "far_north.jpg": Metadata(),
        "no_hemisphere.jpg": Metadata(),
    }


def texts(folder):
    jpeg(folder / "utf8.jpg", with_description("Большой мост".encode()))
    jpeg(folder / "latin.jpg", with_description("Café au lait – zwölf".encode("cp1252")))
    jpeg(folder / "camera_words.jpg", with_description(b"OLYMPUS DIGITAL CAMERA         "))
    wide = {
        tag: (text + "\0").encode("utf-16-le")
        for tag, text in {0x9C9B: "Ein Tag", 0x9C9C: "Am Meer", 0x9C9E: "Meer;Möwe; Meer"}.items()
    }
    jpeg(folder / "windows.jpg", exif(wide | {0x4749: 75}))
    jpeg(folder / "comment.jpg", exif(details={0x9286: b"UNICODE\0" + "山の上".encode("utf-16-be")}))
    fields = ((2, 5, "Die Brücke".encode()), (2, 25, b"Bach"), (2, 25, "Brücke".encode()), (2, 55, b"20190801"))
    fields += ((2, 60, b"143000+0200"), (2, 120, "Über den Bach".encode() + b"\xc3"))
    jpeg(folder / "iptc.jpg", iptc=iptc((1, 90, b"\x1b%G"), *fields))
    jpeg(folder / "iptc_latin.jpg", iptc=iptc((2, 120, "Über den Bach".encode("latin-1"))))
    return {
        "utf8.jpg": captioned("Большой мост", "exif"),
        "latin.jpg": captioned("Café au lait – zwölf", "exif"),
        "camera_words.jpg": Metadata(),
        "windows.jpg": captioned("Am Meer", "exif", title="Ein Tag", keywords=("Meer", "Möwe"), rating=4),
        "comment.jpg": captioned("山の上", "exif"),
        "iptc.jpg": dated(
            *(2019, 8, 1, 14, 30),
            offset=120,
            source="iptc",
            title="Die Brücke",
            keywords=("Bach", "Brücke"),
            caption="Über den Bach",
            caption_source="iptc",
        ),
        "iptc_latin.jpg": captioned("Über den Bach", "iptc"),
    }


def with_description(raw):
    """EXIF with a description of these bytes, which Pillow's writer would turn to ASCII."""
    directory = ImageFileDirectory_v2()
    directory[DESCRIPTION] = "x" * len(raw)
    out = io.BytesIO()
    directory.save(out)
    head = b"II*\0\x08\0\0\0"
    return b"Exif\0\0" + (head + out.getvalue().removeprefix(head)).replace(b"x" * len(raw), raw)


def xmp_packets(folder):
    elements = (
        alternatives("dc:title", en_US="Bridge", x_default="Brücke")
        + alternatives("dc:description", x_default="Eine Brücke &amp; ein Bach")
        + bag("dc:subject", "Bach", "Brücke", "Bach")
        + bag("exif:ISOSpeedRatings", "200")
        + "<xmp:Rating>5</xmp:Rating><exif:ExposureTime>1/100</exif:ExposureTime><exif:FNumber>56/10</exif:FNumber>"
        + "<exif:FocalLength>50/1</exif:FocalLength><tiff:Make>NIKON</tiff:Make><tiff:Model>D70</tiff:Model>"
        + "<aux:Lens>50.0 mm f/1.8</aux:Lens><exif:DateTimeOriginal>2005-06-07T08:09:10.5+02:00</exif:DateTimeOriginal>"
        + "<tiff:Orientation>3</tiff:Orientation>"
    )
    jpeg(folder / "xmp.jpg", xmp=packet(elements))
    jpeg(
        folder / "xmp_attributes.jpg",
        xmp=packet(
            attributes='xmp:Rating="-1" photoshop:DateCreated="2010-11-12" exif:GPSLatitude="52,31.2N" '
            'exif:GPSLongitude="13,24,18W" exif:GPSAltitude="340/10" exif:GPSAltitudeRef="1"'
        ),
    )
    jpeg(
        folder / "all_three.jpg",
        exif({DESCRIPTION: "in EXIF"}, {ORIGINAL: "2001:01:01 01:01:01"}),
        packet(alternatives("dc:description", x_default="in XMP"), 'xmp:CreateDate="2002-02-02T02:02:02"'),
        iptc((2, 120, b"in IPTC"), (2, 25, b"key")),
    )
    entity = b'<!DOCTYPE x [<!ENTITY e "caption">]>' + packet(alternatives("dc:description", x_default="&amp;e;"))
    jpeg(folder / "entity.jpg", exif({MODEL: "Z"}), entity)
    jpeg(folder / "not_xml.jpg", exif({MODEL: "Z"}), b"<x:xmpmeta><broken")
    return {
        "xmp.jpg": dated(
            *(2005, 6, 7, 8, 9, 10, 500_000),
            offset=120,
            source="xmp",
            camera_make="NIKON",
            camera_model="D70",
            lens="50.0 mm f/1.8",
            iso=200,
            f_number=5.6,
            exposure=0.01,
            focal_length=50.0,
            orientation=3,
            rating=5,
            keywords=("Bach", "Brücke"),
            title="Brücke",
            caption="Eine Brücke & ein Bach",
            caption_source="xmp",
        ),
        "xmp_attributes.jpg": dated(
            *(2010, 11, 12), source="xmp", rating=-1, latitude=52.52, longitude=-13.405, altitude=-34.0
        ),
        "all_three.jpg": dated(*(2001, 1, 1, 1, 1, 1), caption="in XMP", caption_source="xmp", keywords=("key",)),
        "entity.jpg": Metadata(camera_model="Z"),
        "not_xml.jpg": Metadata(camera_model="Z"),
    }


def sidecars(folder):
    written = packet(
        alternatives("dc:description", x_default="beside") + bag("dc:subject", "new"),
        'xmp:Rating="2" tiff:Orientation="8" photoshop:DateCreated="1999-09-09T09:09:09" '
        'exif:GPSLatitude="10,0N" exif:GPSLongitude="20,0E"',
    )
    inside = exif({DESCRIPTION: "inside", ORIENTATION: 1, 0x4746: 5}, {ORIGINAL: "2001:01:01 01:01:01"})
    jpeg(folder / "darktable.jpg", inside, iptc=iptc((2, 25, b"old"), (2, 5, b"a title")))
    (folder / "darktable.jpg.xmp").write_bytes(written)
    jpeg(folder / "lightroom.jpg")
    (folder / "LightRoom.XMP").write_bytes(written)
    beside = {"rating": 2, "keywords": ("new",), "caption": "beside", "caption_source": "sidecar"}
    place = {"latitude": 10.0, "longitude": 20.0}
    return {
        "darktable.jpg": dated(2001, 1, 1, 1, 1, 1, orientation=1, title="a title", **beside, **place),
        "lightroom.jpg": dated(1999, 9, 9, 9, 9, 9, source="sidecar", **beside, **place),
    }


def takeout(path, description="", timestamp=INSTANT, latitude=0.0, longitude=0.0, **fields):
    content = {
        "title": "IMG.jpg",
        "description": description,
        "photoTakenTime": {"timestamp": str(timestamp), "formatted": "01.01.2021, 00:00:00 UTC"},
        "geoData": {"latitude": latitude, "longitude": longitude, "altitude": 0.0},
        **fields,
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def takeouts(folder):
    jpeg(folder / "takeout.jpg")
    people = [{"name": "Grandma"}, {"name": "Grandpa"}]
    takeout(folder / "takeout.jpg.json", "A walk", latitude=52.5, longitude=13.25, people=people)
    jpeg(
        folder / "takeout_camera.jpg",
        exif(details={ORIGINAL: "2001:01:01 01:01:01"}, gps=gps((1.0, 0, 0), (2.0, 0, 0))),
    )
    takeout(folder / "takeout_camera.jpg.supplemental-metadata.json", latitude=52.5, longitude=13.25)
    long = "PXL_20230101_120000000.NIGHT.jpg"
    jpeg(folder / long)
    takeout(folder / f"{long}.supplemental-met.json", "At night")
    longer = "a picture whose name is very long indeed, really.jpg"
    jpeg(folder / longer)
    takeout(folder / (longer[:46] + ".json"), "A long name")
    jpeg(folder / "party(1).jpg")
    takeout(folder / "party.jpg(1).json", "Number one")
    jpeg(folder / "dinner-edited.jpg")
    takeout(folder / "dinner.jpg.supplemental-metada.json", "Before it was edited")
    jpeg(folder / "settings.jpg")
    (folder / "settings.json").write_text('{"description": "another program\'s"}')
    taken = local(source="takeout")
    return {
        "takeout.jpg": captioned(
            "A walk", "takeout", latitude=52.5, longitude=13.25, keywords=("Grandma", "Grandpa"), **taken
        ),
        "takeout_camera.jpg": dated(2001, 1, 1, 1, 1, 1, latitude=1.0, longitude=2.0),
        long: captioned("At night", "takeout", **taken),
        longer: captioned("A long name", "takeout", **taken),
        "party(1).jpg": captioned("Number one", "takeout", **taken),
        "dinner-edited.jpg": captioned("Before it was edited", "takeout", **taken),
        "settings.jpg": Metadata(),
    }


def bursts_and_pairs(folder):
    register_heif_opener()
    for number in (1, 2):
        jpeg(folder / f"burst_{number}.jpg", exif({MAKE: "Apple"}, {0x927C: apple_note(x11=BURST)}))
    jpeg(folder / "pixel_burst.jpg", xmp=packet(attributes='GCamera:BurstID="c0ffee" GCamera:BurstPrimary="1"'))
    picture("live").save(folder / "live.heic", exif=exif({MAKE: "Apple"}, {0x927C: apple_note(x17=PAIR)}))
    film(folder / "live.mov", {"com.apple.quicktime.content.identifier": PAIR}, rate=30)
    video = motion_video()
    motion = f"motion:{hashlib.blake2b(video, digest_size=16).hexdigest()}"
    jpeg(
        folder / "micro.jpg",
        xmp=packet(attributes=f'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(video)}"'),
        after=video,
    )
    items = "".join(
        '<rdf:li rdf:parseType="Resource">'
        f'<Container:Item Item:Mime="image/jpeg" Item:Semantic="{kind}" Item:Length="{length}"/></rdf:li>'
        for kind, length in (("Primary", 0), ("MotionPhoto", len(video)))
    )
    directory = f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>"
    jpeg(folder / "motion.jpg", xmp=packet(directory, 'GCamera:MotionPhoto="1"'), after=video)
    jpeg(folder / "motion_lost.jpg", xmp=packet(directory, 'GCamera:MotionPhoto="1"'))
    part = struct.pack("<HHI", 0, 0x0A30, 16) + b"MotionPhoto_Data" + video
    entries = b"SEFH" + struct.pack("<IIHHII", 107, 1, 0, 0x0A30, len(part), len(part))
    jpeg(folder / "samsung.jpg", after=part + entries + struct.pack("<I", len(entries)) + b"SEFT")
    return {
        "burst_1.jpg": Metadata(camera_make="Apple", burst_id=BURST),
        "burst_2.jpg": Metadata(camera_make="Apple", burst_id=BURST),
        "pixel_burst.jpg": Metadata(burst_id="c0ffee"),
        "live.heic": Metadata(camera_make="Apple", pair_id=PAIR),
        "live.mov": Metadata(pair_id=PAIR, duration=0.5, fps=30.0, codec="mpeg4", has_audio=False),
        "micro.jpg": Metadata(pair_id=motion),
        "motion.jpg": Metadata(pair_id=motion),
        "motion_lost.jpg": Metadata(),
        "samsung.jpg": Metadata(pair_id=motion),
    }


def formats(folder):
    record = exif({MODEL: "Z"}, {ORIGINAL: "2020:02:20 20:20:20"})
    record_bytes = record.tobytes()
    xmp = packet(alternatives("dc:description", x_default="in XMP"))
    both = dated(2020, 2, 20, 20, 20, 20, camera_model="Z", caption="in XMP", caption_source="xmp")
    info = PngInfo()
    info.add_text("Title", "A drawing")
    info.add_text("Description", "A dot", zip=True)
    picture("text.png").save(folder / "text.png", pnginfo=info)
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
    picture("both.png").save(folder / "both.png", pnginfo=info, exif=record)
    info = PngInfo()
    digits = record_bytes.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    info.add_text("Raw profile type exif", f"\nexif\n{len(record_bytes):8}\n{lines}\n", zip=True)
    picture("magick.png").save(folder / "magick.png", pnginfo=info)
    picture("both.webp").save(folder / "both.webp", exif=record_bytes, xmp=xmp)
    picture("both.avif").save(folder / "both.avif", exif=record_bytes, xmp=xmp)
    picture("both.heic").save(folder / "both.heic", exif=record_bytes, xmp=xmp)
    directory = ImageFileDirectory_v2()
    directory[MODEL], directory[CHANGED] = "Z", "2020:02:20 20:20:20"
    directory.tagtype[0x02BC], directory[0x02BC] = 7, xmp
    directory.tagtype[0x83BB], directory[0x83BB] = 7, iptc((2, 5, b"in IPTC"))
    picture("both.tif").save(folder / "both.tif", tiffinfo=directory)
    picture("big.tif").save(folder / "big.tif", tiffinfo={MODEL: "Z"}, big_tiff=True)
    picture("still.gif").save(folder / "still.gif")
    for name, count in (("moving.png", 2), ("moving.webp", 4), ("moving.gif", 3), ("moving.avif", 2), ("xmp.gif", 3)):
        first, *rest = (picture(f"{name}{number}") for number in range(count))
        first.save(folder / name, save_all=True, append_images=rest, duration=100, loop=0)
    gif = (folder / "xmp.gif").read_bytes()
    at = 13 + (3 << (gif[10] & 7) + 1)
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    with_xmp = gif[:at] + b"!\xff\x0bXMP DataXMP" + xmp + trailer + gif[at:]
    (folder / "xmp.gif").write_bytes(with_xmp)
    return {
        "text.png": captioned("A dot", "png", title="A drawing"),
        "both.png": both,
        "magick.png": dated(2020, 2, 20, 20, 20, 20, camera_model="Z"),
        "both.webp": both,
        "both.avif": both,
        "both.heic": both,
        "both.tif": replace(both, title="in IPTC"),
        "big.tif": Metadata(camera_model="Z"),
        "still.gif": Metadata(),
        "moving.png": Metadata(frames=2),
        "moving.webp": Metadata(frames=4),
        "moving.gif": Metadata(frames=3),
        "moving.avif": Metadata(frames=2),
        "xmp.gif": captioned("in XMP", "xmp", frames=3),
    }


def film(path, tags=None, options=None, codec="mpeg4", rate=8, frames=15, audio=None):
    """A video of moving stripes; `audio`: the codec of a silent track."""
    if path.suffix == ".mov":
        options = {"movflags": "use_metadata_tags"}
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(tags or {})
        video = container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = Fraction(1, rate)
        sound = container.add_stream(audio, rate=48000) if audio else None
        for number in range(frames):
            frame = VideoFrame.from_image(picture(f"{path.name}{number // 8}").rotate(180 * (number % 2)))
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            for number in range(int(frames / rate * 48000) // 960):
                silence = AudioFrame(format=sound.format.name, layout="stereo", samples=960)
                for plane in silence.planes:
                    plane.update(bytes(plane.buffer_size))
                silence.sample_rate, silence.pts = 48000, number * 960
                container.mux(sound.encode(silence))
            container.mux(sound.encode(None))


@cache
def motion_video():
    """An MP4 file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "motion.mp4")
        film(path)
        return path.read_bytes()


def videos(folder):
    measures = {"duration": 1.875, "fps": 8.0, "codec": "mpeg4", "has_audio": False}
    clock = {"creation_time": "2021-01-01T00:00:00Z"}
    apple = {
        "com.apple.quicktime.creationdate": "2021-06-01T12:00:00+0200",
        "com.apple.quicktime.location.ISO6709": "+52.5200-013.4050+034.000/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 12",
        "com.apple.quicktime.title": "Holidays",
        "com.apple.quicktime.description": "At the sea",
        "com.apple.quicktime.keywords": "sea,gulls",
    }
    film(folder / "apple.mov", apple | clock)
    film(folder / "nothing.mp4")
    film(folder / "clock.mp4", clock | {"location": "+52.5200-013.4050/", "comment": "https://example.org/v"})
    film(folder / "zero.mp4", {"creation_time": "1970-01-01T00:00:00Z", "title": "Zero"})
    film(folder / "day.mp4", {"date": "2013-10-05T10:51:38+0200", "description": "Autumn"} | clock)
    film(folder / "release.mp4", {"date": "2010-03-05T08:00:00Z"})
    film(folder / "sound.mp4", audio="aac")
    film(folder / "h264.mp4", codec="libx264")
    film(
        folder / "recorded.mkv",
        {"DATE_RECORDED": "2019-05-06 07:08:09", "title": "A title", "comment": "By hand"} | clock,
    )
    film(folder / "clock.mkv", clock)
    film(folder / "sound.webm", codec="libvpx-vp9", audio="libopus")
    film(folder / "recorded.avi", {"date": "2009-08-07 06:05:04", "comment": "On tape"})
    film(folder / "takeout.mp4", clock)
    takeout(folder / "takeout.mp4.json", "A film", INSTANT + 86_400 * 200)
    film(folder / "beside.mp4", clock)
    (folder / "beside.mp4.xmp").write_bytes(
        packet(alternatives("dc:title", x_default="Beside"), 'photoshop:DateCreated="2001-02-03T04:05:06-01:00"')
    )
    return {
        "apple.mov": dated(
            *(2021, 6, 1, 12),
            offset=120,
            source="quicktime",
            latitude=52.52,
            longitude=-13.405,
            altitude=34.0,
            camera_make="Apple",
            camera_model="iPhone 12",
            title="Holidays",
            caption="At the sea",
            caption_source="mp4",
            keywords=("sea", "gulls"),
            **measures,
        ),
        "nothing.mp4": Metadata(**measures),
        "clock.mp4": Metadata(**local(), **measures, latitude=52.52, longitude=-13.405),
        "zero.mp4": Metadata(title="Zero", **measures),
        "day.mp4": dated(
            *(2013, 10, 5, 10, 51, 38),
            offset=120,
            source="quicktime",
            caption="Autumn",
            caption_source="mp4",
            **measures,
        ),
        "release.mp4": Metadata(**measures),
        "sound.mp4": Metadata(**measures | {"has_audio": True}),
        "h264.mp4": Metadata(**measures | {"codec": "h264"}),
        "recorded.mkv": dated(
            *(2019, 5, 6, 7, 8, 9),
            source="matroska",
            title="A title",
            caption="By hand",
            caption_source="matroska",
            **measures,
        ),
        "clock.mkv": Metadata(**local(source="matroska"), **measures),
        "sound.webm": Metadata(**measures | {"codec": "vp9", "has_audio": True}),
        "recorded.avi": dated(
            *(2009, 8, 7, 6, 5, 4), source="avi", caption="On tape", caption_source="avi", **measures
        ),
        "takeout.mp4": captioned("A film", "takeout", **local(INSTANT + 86_400 * 200, "takeout"), **measures),
        "beside.mp4": dated(2001, 2, 3, 4, 5, 6, offset=-60, source="sidecar", title="Beside", **measures),
    }
