"""Random texts in many scripts, with what tokenizers trip over."""

import random

SCRIPTS = {
    "ascii": (0x20, 0x7E),
    "latin": (0xC0, 0x24F),
    "accents": (0x300, 0x36F),
    "greek": (0x370, 0x3FF),
    "cyrillic": (0x400, 0x4FF),
    "hebrew": (0x590, 0x5FF),
    "arabic": (0x600, 0x6FF),
    "devanagari": (0x900, 0x97F),
    "thai": (0xE00, 0xE7F),
    "kana": (0x3040, 0x30FF),
    "han": (0x4E00, 0x9FFF),
    "hangul": (0xAC00, 0xD7A3),
    "emoji": (0x1F300, 0x1FAFF),
    "format": (0x2000, 0x206F),
    "wide": (0xFF00, 0xFFEF),
    "control": (0, 0x1F),
    "mathematical": (0x1D400, 0x1D7FF),
    "private": (0xE000, 0xE010),
}
PIECES = ["<|endoftext|>", "<|startoftext|>", "<|ENDOFTEXT|>", "<|startoftext|≯", "</w>", "\u200d", "\ufe0f", "\t"]
PIECES += ["\n", "  ", "'s", "'LL", "\u00a0", "\u3000", "\x85", "\u2028", "İ", "ß", "ﬁ", "e\u0301"]
PIECES += ["👩\u200d👩\u200d👧", "!", ""]


def strings(count):
    """So many texts of up to six words; the same each time."""
    rng = random.Random(5)

    def word():
        low, high = rng.choice(list(SCRIPTS.values()))
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(0, 12))) + rng.choice(PIECES)

    return ["".join(word() for _ in range(rng.randint(0, 6))) for _ in range(count)]
