"""Text files in the encodings that people's programs write: UTF-8, UTF-16 and UTF-32 with their mark, GB18030."""

import codecs
import unicodedata
from pathlib import Path

from sightline.data.left_out import LeftOut
from sightline.errors import DataError, DataMissing
from sightline.files import wrong_content

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK = "\ufeff"
_COMMON = 0.8
"""The part of the characters that are not ASCII's which must be common Chinese, for a text to count as GB18030."""
_LAST_HANGUL = 0xC8
"""The first byte of EUC-KR's last Korean characters. In GB18030 those of half of the Chinese ones are above it."""


def read_text(path: Path, left_out: LeftOut) -> str:
    """A file's text, its line ends as "\\n". GB18030 is tried where it is not in UTF-8, and remarked in `left_out`.

    Raises `DataError` for a file that can't be read, for one that stands in place of another (a Git LFS pointer), and
    for one in another encoding, with the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataMissing(f"{path}: no such file or folder") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if content and (instead := wrong_content(path)) is not None:
        raise DataError(f"{path}: {instead}")
    try:
        text = decode(content)
    except ValueError as error:
        if (chinese := _gb18030(content)) is None:
            raise DataError(f"{path}: {error}; save it in UTF-8") from error
        left_out.remark(f"{path.name} is read as GB18030 (GBK), since it is not in UTF-8")
        text = chinese
    return text.replace("\r\n", "\n").replace("\r", "\n")


def words_of(text: str) -> str:
    """What equal texts have in common: the words, capitals, white space and the form of the Unicode (NFC, NFD) aside,
    which the tokenizers of these models do not see either."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def decode(content: bytes) -> str:
    """The text in UTF-8, or in the encoding that its mark (BOM) says, without such marks before it. Raises
    `ValueError`, with the line."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding).lstrip(_MARK)
            except UnicodeDecodeError as error:
                raise ValueError(f"it begins as {encoding.upper()} but is not in it (byte {error.start:,})") from error
    if content.count(0) * 3 > len(content):
        raise ValueError("not in UTF-8 (it looks like UTF-16 without its mark)")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not in UTF-8 (byte 0x{content[error.start]:02x} in line {line:,})") from error


def _gb18030(content: bytes) -> str | None:
    """The text in GB18030, or None where it is not that: bytes of other encodings often make rare characters there.

    Those of Japanese (EUC-JP) make its kana, those of Korean (EUC-KR) none of Chinese's later half.
    """
    if b"\0" in content or any(content.startswith(mark) for mark, _ in _MARKS):
        return None
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return None
    foreign = [character for character in text if character > "\x7f"]
    common = sum(_is_common(character) for character in foreign)
    may_be_korean = all(character.encode("gb18030")[0] <= _LAST_HANGUL for character in foreign)
    if any("\u3040" <= character <= "\u30ff" for character in foreign) or may_be_korean:
        return None
    return text if common >= _COMMON * len(foreign) else None


def _is_common(character: str) -> bool:
    """Whether it is among GB 2312's signs and 3,755 commonest Chinese characters (its rows 1 to 55)."""
    try:
        return character.encode("gb2312")[0] <= 0xD7
    except UnicodeEncodeError:
        return False
