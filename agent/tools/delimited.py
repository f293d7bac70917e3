"""CSV that Excel opens right: UTF-8 with a byte order mark, CRLF, and no text that it would take for a formula."""

import csv
import io

from .cells import shown
from .sheets import Sheet
from .workbook import total_label, total_of

# Excel, WPS and LibreOffice calculate a cell that begins so, also in a CSV file; the full-width ones are for the
# Chinese and Japanese editions, the control characters are skipped before they look.
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


def build_csv(sheet: Sheet) -> bytes:
    """The file. Totals are values here."""
    columns = [[_safe(value) if isinstance(value, str) else shown(value, column.format) for value in column.values]
               for column in sheet.columns]  # fmt: skip
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\r\n")
    writer.writerow(map(_safe, sheet.titles))
    writer.writerows(zip(*columns, strict=True))
    if sheet.has_totals:
        totals = [
            "" if total == "none" else shown(total_of(column, total), "integer" if total == "count" else column.format)
            for column, total in zip(sheet.columns, sheet.totals, strict=True)
        ]
        if "none" in sheet.totals:
            totals[sheet.totals.index("none")] = total_label(sheet)
        writer.writerow(totals)
    return ("\ufeff" + output.getvalue()).encode()


def _safe(text: str) -> str:
    """The text with an apostrophe before it when a spreadsheet would calculate it."""
    return f"'{text}" if text.lstrip(" \u3000").startswith(_FORMULA_STARTS) else text
