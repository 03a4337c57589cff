"""`sightline fsck`: checks an index, and keeps what is whole of a damaged one."""

from typing import Annotated

from sightline.cli.options import IndexOption, LibraryOption, index_folder, option
from sightline.cli.output import one_line
from sightline.errors import IndexDamaged


def command(
    repair: Annotated[
        bool,
        option(None, "Keep what is whole and drop what is broken. Default: change nothing.", "--repair"),
    ] = False,
    index: IndexOption = None,
    library: LibraryOption = None,
) -> None:
    """Check the index, reading all of it.

    Exit status 0: the index is sound; 1: it is damaged, or not all of it could be repaired.

    \b
    Examples:
      sightline fsck
      sightline fsck --repair
    """
    from sightline.index import fsck, lance_errors

    folder = index_folder(index, library)
    problems = fsck.repair(folder) if repair else fsck.check(folder)
    for problem in problems:
        print(one_line(f"{problem.where}: {problem.what}"))
    if not problems:
        print("sound")
        return
    left = fsck.check(folder) if repair else problems
    if repair and not left:
        print("repaired; `sightline index` on the same folders brings back what was lost")
        return
    count = "1 problem" if len(left) == 1 else f"{len(left)} problems"
    if repair:
        raise IndexDamaged(f"{folder}: after the repair {count} left; index into a new folder")
    way_out = (
        lance_errors.repair(folder) if any(problem.repairable for problem in left) else "nothing can be kept: delete it"
    )
    raise IndexDamaged(f"{folder}: {count}; {way_out}")
