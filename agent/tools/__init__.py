"""What the model may do, one file a family of tools."""

# Every tool's name, those included that a deployment may lack.
NAMES = (
    "create_document",
    "create_spreadsheet",
    "create_slides",
    "create_chart",
    "create_image",
    "read_file",
    "search_file",
)
