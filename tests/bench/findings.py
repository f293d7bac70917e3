"""What the profile says about each measure that is missed: filled in by the one who profiled, printed under the table.

Keys are those of `line.MEASURES`, and `bot_` with those of `bot.ROWS`.
"""

FINDINGS: dict[str, str] = {}
