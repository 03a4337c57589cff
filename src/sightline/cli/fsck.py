"""`sightline fsck`: checks an index, and keeps what is whole of a damaged one."""

from typing import Annotated

import typer

from sightline.cli.output import IndexOption, index_folder, one_line
from sightline.errors import IndexDamaged


def command(
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be; keep what is whole.")] = False,
    index: IndexOption = None,
) -> None:
    """Check the index. Exit status 0: it is sound; 1: it is not, or not all could be repaired.

    \b
    Examples:
      sightline fsck
      sightline fsck --repair
    """
    from sightline.index.fsck import check, repair as keep_whole
    from sightline.index.lance_errors import repair as repair_hint

    folder = index_folder(index)
    problems = keep_whole(folder) if repair else check(folder)
    for problem in problems:
        print(one_line(f"{problem.where}: {problem.what}"))
    if not problems:
        print("sound")
        return
    left = check(folder) if repair else problems
    if repair and not left:
        print("repaired; `sightline index` on the same folders brings back what was lost")
        return
    count = "1 problem" if len(left) == 1 else f"{len(left)} problems"
    if repair:
        raise IndexDamaged(f"{folder}: after the repair {count} left; index into a new folder")
    whole = any(problem.repairable for problem in left)
    raise IndexDamaged(f"{folder}: {count}; " + (repair_hint(folder) if whole else "nothing can be kept: delete it"))
