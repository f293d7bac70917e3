"""The look of a DOCX: styles, pages, list definitions, with Chinese font names. Knows WordprocessingML alone.

The fonts are named, not embedded: the reader's computer has 微软雅黑 and 宋体.
"""

from typing import cast

from docx.document import Document
from docx.enum.section import WD_ORIENT
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement
from docx.shared import Cm, Mm, Pt, RGBColor

TEXT_FONT, TEXT_EAST = "Calibri", "微软雅黑"
CODE_FONT, CODE_EAST = "Consolas", "宋体"
NAVY, GREY = RGBColor(0x0F, 0x2D, 0x52), RGBColor(0x57, 0x60, 0x6A)
CODE, INLINE_CODE, TABLE_TEXT = "Code", "Inline Code", "Table Text"
CELL_SIZE = 9.5
# The two list definitions.
BULLETS, NUMBERS = 1, 2
# Word's lists have nine levels.
LEVELS = 9
INDENT = Cm(0.74)
_A4 = (210, 297)  # mm
_HEADING_SIZES = (18, 15, 13, 12, 11, 10.5)
# What the schema wants behind the shading in a paragraph's properties.
_AFTER_SHADE = ("w:tabs", "w:spacing", "w:ind", "w:contextualSpacing", "w:jc", "w:outlineLvl", "w:rPr")


def set_styles(document: Document) -> None:
    styles = document.styles
    defaults = styles.element.find(qn("w:docDefaults")).find(qn("w:rPrDefault")).find(qn("w:rPr"))
    _set_fonts(defaults, TEXT_FONT, TEXT_EAST)
    language = defaults.find(qn("w:lang"))
    language.set(qn("w:eastAsia"), "zh-CN")
    normal = styles["Normal"]
    _set_fonts(normal.element.get_or_add_rPr(), TEXT_FONT, TEXT_EAST)
    normal.font.size = Pt(10.5)
    normal.paragraph_format.line_spacing = 1.3
    normal.paragraph_format.space_after = Pt(6)

    title = styles["Title"]
    _set_fonts(title.element.get_or_add_rPr(), TEXT_FONT, TEXT_EAST)
    title.font.size, title.font.bold, title.font.color.rgb = Pt(22), True, NAVY
    title.paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
    title.paragraph_format.space_after = Pt(18)
    properties = title.element.get_or_add_pPr()
    properties.remove(properties.find(qn("w:pBdr")))

    for level, size in enumerate(_HEADING_SIZES, start=1):
        heading = styles[f"Heading {level}"]
        _set_fonts(heading.element.get_or_add_rPr(), TEXT_FONT, TEXT_EAST)
        heading.font.size, heading.font.bold, heading.font.italic = Pt(size), True, False
        heading.font.color.rgb = NAVY
        heading.paragraph_format.space_before, heading.paragraph_format.space_after = Pt(size), Pt(6)

    quote = styles["Quote"]
    quote.font.italic, quote.font.color.rgb = False, GREY
    quote.paragraph_format.left_indent = INDENT
    draw_border(quote.element.get_or_add_pPr(), "left", size=18, space=8)

    code = styles.add_style(CODE, WD_STYLE_TYPE.PARAGRAPH)
    code.base_style = normal
    _set_fonts(code.element.get_or_add_rPr(), CODE_FONT, CODE_EAST)
    code.font.size = Pt(9)
    code.paragraph_format.line_spacing = 1.15
    code.element.get_or_add_pPr().insert_element_before(_shade("F3F5F7"), *_AFTER_SHADE)

    inline = styles.add_style(INLINE_CODE, WD_STYLE_TYPE.CHARACTER)
    _set_fonts(inline.element.get_or_add_rPr(), CODE_FONT, CODE_EAST)
    inline.element.get_or_add_rPr().append(_shade("EFF1F3"))

    sides = ("w:top", "w:left", "w:bottom", "w:right", "w:insideH", "w:insideV")
    for border in styles["Table Grid"].element.iter(*map(qn, sides)):
        border.set(qn("w:color"), "BFC7D1")
    cell = styles.add_style(TABLE_TEXT, WD_STYLE_TYPE.PARAGRAPH)
    cell.base_style = normal
    cell.font.size = Pt(CELL_SIZE)
    cell.paragraph_format.space_before = cell.paragraph_format.space_after = Pt(2)
    cell.paragraph_format.line_spacing = 1.15


def set_page(document: Document, *, is_wide: bool) -> None:
    section = document.sections[0]
    width, height = reversed(_A4) if is_wide else _A4
    section.page_width, section.page_height = Mm(width), Mm(height)
    section.orientation = WD_ORIENT.LANDSCAPE if is_wide else WD_ORIENT.PORTRAIT
    section.left_margin = section.right_margin = Cm(2.5)
    section.top_margin = section.bottom_margin = Cm(2.3)
    paragraph = section.footer.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for text in ("PAGE", " / ", "NUMPAGES"):
        run = paragraph.add_run("" if text.isupper() else text)
        run.font.size, run.font.color.rgb = Pt(9), GREY
        if text.isupper():
            field = element("fldSimple", instr=f" {text} ")
            run._r.addprevious(field)
            run.text = "1"  # what a reader that counts no pages shows
            field.append(run._r)


def set_numbering(document: Document) -> None:
    """Replaces the template's list definitions by two of ours, which must stand before every use."""
    numbering = document.part.numbering_part.element
    for child in list(numbering):
        numbering.remove(child)
    for number in (BULLETS, NUMBERS):
        levels = [_list_level(level, is_bullet=number == BULLETS) for level in range(LEVELS)]
        kind = element("multiLevelType", val="hybridMultilevel")
        numbering.append(element("abstractNum", kind, *levels, abstractNumId=str(number)))
    for number in (BULLETS, NUMBERS):
        numbering.append(element("num", element("abstractNumId", val=str(number)), numId=str(number)))


def _list_level(level: int, *, is_bullet: bool) -> BaseOxmlElement:
    return element(
        "lvl",
        element("start", val="1"),
        element("numFmt", val="bullet" if is_bullet else "decimal"),
        element("lvlText", val="•◦▪"[level % 3] if is_bullet else f"%{level + 1}."),
        element("lvlJc", val="left"),
        element("pPr", element("ind", left=str(INDENT.twips * (level + 1)), hanging=str(INDENT.twips))),
        ilvl=str(level),
    )


def _set_fonts(properties: BaseOxmlElement, latin: str, east: str) -> None:
    """Names the fonts of a style; the theme's fonts, which would win, go."""
    found = properties.find(qn("w:rFonts"))
    if found is not None:
        properties.remove(found)
    properties.insert(0, element("rFonts", ascii=latin, hAnsi=latin, eastAsia=east, cs=latin))


def draw_border(properties: BaseOxmlElement, side: str, *, size: int, space: int) -> None:
    """A line beside the paragraphs of these properties; `size` in eighths of a point."""
    borders = element("pBdr", element(side, val="single", sz=str(size), space=str(space), color="D0D7DE"))
    properties.insert_element_before(borders, "w:shd", *_AFTER_SHADE)


def _shade(fill: str) -> BaseOxmlElement:
    return element("shd", val="clear", color="auto", fill=fill)


def element(name: str, *children: BaseOxmlElement, **attributes: str) -> BaseOxmlElement:
    made = cast(BaseOxmlElement, OxmlElement(f"w:{name}", {qn(f"w:{key}"): text for key, text in attributes.items()}))
    made.extend(children)
    return made
