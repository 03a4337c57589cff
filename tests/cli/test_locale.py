"""Names of files under locales that do not know them: in processes, since a locale is that of a process."""

import os
import subprocess
import sys

import pytest

from support.images import draw
from support.tables import contents

pytestmark = [pytest.mark.system, pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")]

POSIX = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def ran(arguments, **more):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, env={**os.environ, **more}, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("中文") / "索引照片"
    for seed in range(2):
        draw(folder / f"图{seed}.png", seed)
    draw(folder / os.fsdecode(b"caf\xe9.png"), 3)
    return folder


def test_commands_and_library_under_a_locale_without_these_characters(photos):
    index = photos.parent / "索引"
    made = ran(["-m", "sightline", "index", photos, "--model", "mini", "--index", index], **POSIX)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(b"3 added")
    assert set(contents(index)) == set(photos.iterdir()), "the same files under this locale"
    code = (
        "import os, sys\n"
        "from sightline.index import Table, fsck, to_path\n"
        "assert sys.getfilesystemencoding() != 'utf-8'\n"
        "assert fsck.check(sys.argv[1]) == []\n"
        "uris = Table.open(sys.argv[1]).columns(['uri']).column('uri').to_pylist()\n"
        "assert len(uris) == 3 and all(os.path.exists(to_path(uri)) for uri in uris)\n"
    )
    used = ran(["-c", code, index], **POSIX)
    assert used.returncode == 0, used.stderr
