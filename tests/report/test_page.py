"""Pages from templates: everything is escaped, nothing is imported before a page is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from markupsafe import Markup

import sightline.report
from sightline.errors import UsageError
from sightline.report.page import render, write_page
from sightline.report.tables import figures_table, table

TEMPLATES = sorted((Path(sightline.report.__file__).parent / "templates").glob("*.j2"))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;"),
        (os.fsdecode(b"\xff.jpg"), "�.jpg"),
        ("\ud800", "�"),
        ("a\x00b\x1b[31m\n", "a�b�[31m�"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}gpj", "�gpj"),
        ("照片 é", "照片 é"),
        ("{{ 7 * 7 }} {% raw %}", "{{ 7 * 7 }} {% raw %}"),
        (Markup("<i>"), "<i>"),
        (1.5, "1.5"),
    ],
)
def test_what_is_put_in_is_escaped_once(text, html):
    assert render("note.html.j2", text=text) == f"<p>{html}</p>"
    assert render("note.html.j2", text=render("note.html.j2", text=text)) == f"<p><p>{html}</p></p>"


def test_tables():
    assert table(["", "<a>"], [["&", "1"]]) == (
        '<table class="figures"><thead><tr><th></th><th>&lt;a&gt;</th></tr></thead>'
        "<tbody><tr><th>&amp;</th><td>1</td></tr></tbody></table>\n"
    )
    both = figures_table({"text_to_image_R@1": 0.5, "image_to_text_R@1": 0.25, "mean_recall": 0.375})
    assert "<th></th><th>images by texts</th><th>texts by images</th><th>both</th>" in both
    assert "<th>R@1</th><td>50.00%</td><td>25.00%</td><td></td>" in both


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_turns_escaping_off(template):
    assert "|safe" not in (text := template.read_text().replace(" ", ""))
    assert "autoescape" not in text


def test_a_missing_value_is_an_error_and_no_page(tmp_path):
    with pytest.raises(ValueError, match="'style' is undefined"):
        write_page(tmp_path / "page.html", "page.html.j2", title="x")
    with pytest.raises(UsageError, match="no folder"):
        write_page(tmp_path / "none" / "page.html", "page.html.j2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.system
def test_jinja_is_imported_only_for_a_page(tmp_path):
    modules = "contact_sheet", "page", "plots", "results", "sections", "tables"
    imports = ", ".join(f"sightline.report.{name}" for name in modules)
    program = (
        f"import sys, {imports}\n"
        "print('jinja2' in sys.modules)\n"
        f"sightline.report.contact_sheet.write_sheet({str(tmp_path / 'sheet.html')!r}, 'x', [])\n"
        "print('jinja2' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
