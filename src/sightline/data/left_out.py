"""What a data set names and does not have, and how its files were read where that is not self-evident."""


class LeftOut:
    """Samples, rows and files that are left out, counted by reason, of each reason a few by name; and remarks.

    It is true if there is anything to say; its length is the number of what is left out.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.remarks: list[str] = []
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        if len(names) < 3:
            names.append(name if len(name) <= 100 else f"{name[:100]}...")

    def remark(self, text: str) -> None:
        """Notes how a file was read: nothing is left out, but the user has to know."""
        if text not in self.remarks:
            self.remarks.append(text)

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __bool__(self) -> bool:
        return bool(self.counts or self.remarks)

    def __str__(self) -> str:
        """For people: "12 without a caption: a.jpg, b.jpg, c.jpg, ...; 1 ...; REMARK"."""
        parts = []
        for reason, count in self.counts.items():
            names = self._names[reason]
            parts.append(f"{count:,} {reason}: {', '.join(names)}{', ...' if count > len(names) else ''}")
        return "; ".join([*(parts or ["nothing"]), *self.remarks])
