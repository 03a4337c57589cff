"""Images and videos with all kinds of metadata, and what is right for each: `made(folder)`."""

import hashlib
import struct
from dataclasses import replace

from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2
from pillow_heif import register_heif_opener

from sightline.processing.metadata import Metadata
from support.headers import (
    CHANGED,
    DESCRIPTION,
    DIGITIZED,
    MAKE,
    MODEL,
    ORIENTATION,
    ORIGINAL,
    alternatives,
    apple_note,
    bag,
    captioned,
    chunk,
    dated,
    exif,
    gps,
    iptc,
    jpeg,
    local,
    packet,
    picture,
    takeout,
    with_description,
)
from support.tagged_videos import film, motion_video, videos

BURST, PAIR = "9B6E2D5A-3F0C-4E0E-9A65-8F5A2C1B7D10", "1F0B7C0E-58B5-4D8C-B4B0-0A8F6C1D2E3F"


def made(folder):
    """The files, written into `folder`, each with its Metadata. What is in UTC is turned by the machine's zone."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = (exif_dates, exif_fields, texts, xmp_packets, sidecars, takeouts, bursts_and_pairs, formats, videos)
    return [(folder / name, metadata) for make in makers for name, metadata in make(folder).items()]


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
    picture("motion.heic").save(folder / "motion.heic")
    with (folder / "motion.heic").open("ab") as file:
        file.write(struct.pack(">I4s", 8 + len(video), b"mpvd") + video)
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
        "motion.heic": Metadata(pair_id=motion),
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
    picture("late.png").save(folder / "late.png")
    png = (folder / "late.png").read_bytes()
    (folder / "late.png").write_bytes(png[:-12] + chunk(b"eXIf", record_bytes[6:]) + png[-12:])
    picture("both.webp").save(folder / "both.webp", exif=record_bytes, xmp=xmp)
    picture("both.avif").save(folder / "both.avif", exif=record_bytes, xmp=xmp)
    picture("turned.heic").save(folder / "turned.heic", exif=exif({ORIENTATION: 6}))
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
        "late.png": dated(2020, 2, 20, 20, 20, 20, camera_model="Z"),
        "both.webp": both,
        "both.avif": both,
        "both.heic": both,
        "turned.heic": Metadata(orientation=6),
        "both.tif": replace(both, title="in IPTC"),
        "big.tif": Metadata(camera_model="Z"),
        "still.gif": Metadata(),
        "moving.png": Metadata(frames=2),
        "moving.webp": Metadata(frames=4),
        "moving.gif": Metadata(frames=3),
        "moving.avif": Metadata(frames=2),
        "xmp.gif": captioned("in XMP", "xmp", frames=3),
    }
