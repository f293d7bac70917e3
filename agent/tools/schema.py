"""JSON schemas of tools' arguments, in the few forms that all models take."""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]


def an_object(required: Sequence[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def a_text(description: str = "", choices: Sequence[str] = ()) -> Schema:
    return (
        {"type": "string"}
        | ({"description": description} if description else {})
        | ({"enum": list(choices)} if choices else {})
    )


def a_list(items: Mapping[str, Any], description: str = "") -> Schema:
    return {"type": "array", "items": items} | ({"description": description} if description else {})
