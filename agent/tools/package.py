"""Office files are ZIP packages: the same content gives the same bytes.

The libraries write the time of day into the package and into its properties; here both become a constant. Deterministic
files can be compared and found again by their hash.
"""

import io
import re
import zipfile

# The earliest time that a ZIP entry can have.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DATES = re.compile(rb"<dcterms:(created|modified)\b[^>]*>[^<]*</dcterms:\1>|<cp:lastPrinted>[^<]*</cp:lastPrinted>")


def settle(data: bytes) -> bytes:
    """The package without dates, also in the workbooks that charts bring with them."""
    output = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename == "docProps/core.xml":
                content = _DATES.sub(b"", content)
            elif entry.filename.endswith(".xlsx"):
                content = settle(content)
            info = zipfile.ZipInfo(entry.filename, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            target.writestr(info, content)
    return output.getvalue()
