"""What the profile says about each measure that is missed: filled in by the one who profiled, printed under the table.

Keys are those of `line.MEASURES`, and `bot_` with those of `bot.ROWS`.
"""

FINDINGS: dict[str, str] = {
    "first_p50": "from the socket's bytes to the reply's it takes 0.11 ms: websockets' parser 14 µs, JSON and session "
    "15, the typed message and its task 15, the task's start 12, building the frame 28, the send system call 23; SDKs "
    "hand on plain dicts. The ratio was 1.02 and 1.20 in two runs on the same quiet machine.",
    "first_p99": "the work is the same as at the median. The third worst of 300 answers moved between 0.6 and 5 ms for "
    "every client from run to run; with Python's garbage collector off it stayed as it was, so it is the machine's "
    "scheduling rather than ours.",
}
