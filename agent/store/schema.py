"""The tables, as migrations: each function is one step, applied once and in this order.

Never change a step that was released; append one. The database remembers the steps by their names, which is also how
a file that a newer version wrote is told from an older one. Plain SQL, kept to what SQLite 3.24 (2018) understands,
because Python is often linked against the system's library.
"""

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils.db import Database

# The name of our set in sqlite-utils' table of applied migrations.
MIGRATION_SET = "agent"


def m001_chats(db: "Database") -> None:
    db.execute(
        """
        CREATE TABLE chats (
            key TEXT PRIMARY KEY,
            bot_id TEXT NOT NULL,
            chat_type TEXT NOT NULL CHECK (chat_type IN ('single', 'group')),
            chat_id TEXT NOT NULL,
            user_id TEXT,                               -- only where each person of a group has a chat
            created_at TEXT NOT NULL,
            last_at TEXT NOT NULL,
            history_from INTEGER NOT NULL DEFAULT 0,    -- turns up to this id are forgotten
            model TEXT                                  -- chosen for this chat
        )
        """
    )
    db.execute("CREATE INDEX chats_last_at ON chats (last_at)")


def m002_turns(db: "Database") -> None:
    db.execute(
        """
        CREATE TABLE turns (
            id INTEGER PRIMARY KEY,
            chat TEXT NOT NULL REFERENCES chats (key),
            bot_id TEXT NOT NULL,
            msgid TEXT NOT NULL,
            req_id TEXT NOT NULL,
            user_id TEXT NOT NULL,
            kind TEXT NOT NULL,                         -- the callback's msgtype
            text TEXT NOT NULL,
            command TEXT,                               -- 'new', 'stop', ... where the text was one
            body TEXT NOT NULL,                         -- JSON, the callback's body
            state TEXT NOT NULL
                CHECK (state IN ('received', 'answering', 'answered', 'delivered', 'failed', 'cancelled')),
            attempts INTEGER NOT NULL DEFAULT 0,        -- how often answering began
            received_at TEXT NOT NULL,
            answering_at TEXT,
            answered_at TEXT,
            delivered_at TEXT,
            ended_at TEXT,                              -- failed or cancelled
            answer TEXT,
            reasoning TEXT,
            error TEXT,                                 -- short code
            model TEXT,
            prompt_tokens INTEGER,
            completion_tokens INTEGER,
            feedback_id TEXT,
            joined_to INTEGER REFERENCES turns (id),
            UNIQUE (bot_id, msgid)
        )
        """
    )
    db.execute("CREATE INDEX turns_chat ON turns (chat, id)")
    db.execute("CREATE INDEX turns_received_at ON turns (received_at)")
    db.execute("CREATE INDEX turns_user_id ON turns (user_id, received_at)")
    db.execute("CREATE INDEX turns_open ON turns (state) WHERE state IN ('received', 'answering', 'answered')")
    db.execute("CREATE INDEX turns_feedback_id ON turns (feedback_id) WHERE feedback_id IS NOT NULL")


def m003_deliveries(db: "Database") -> None:
    db.execute(
        """
        CREATE TABLE deliveries (
            id INTEGER PRIMARY KEY,
            turn INTEGER REFERENCES turns (id),         -- null for what `send` pushes
            kind TEXT NOT NULL CHECK (kind IN ('stream', 'push', 'media')),
            stream_id TEXT,
            req_id TEXT,
            state TEXT NOT NULL CHECK (state IN ('open', 'written', 'acked', 'unknown', 'failed')),
            content_bytes INTEGER,
            created_at TEXT NOT NULL,
            settled_at TEXT,
            errcode INTEGER
        )
        """
    )
    db.execute("CREATE INDEX deliveries_turn ON deliveries (turn)")
    db.execute("CREATE INDEX deliveries_created_at ON deliveries (created_at)")
    db.execute("CREATE INDEX deliveries_open ON deliveries (state) WHERE state IN ('open', 'written')")


def m004_sends(db: "Database") -> None:
    db.execute(
        """
        CREATE TABLE sends (
            id INTEGER PRIMARY KEY,
            chat TEXT NOT NULL,                         -- as typed: a chat's key, a group's id or a user's id
            text TEXT,
            file TEXT,                                  -- absolute path
            state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'acked', 'refused', 'expired', 'unknown')),
            error TEXT,
            created_at TEXT NOT NULL,
            expires_at TEXT NOT NULL,                   -- not taken up after this
            settled_at TEXT
        )
        """
    )
    db.execute("CREATE INDEX sends_state ON sends (state)")


def m005_status(db: "Database") -> None:
    db.execute("CREATE TABLE status (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT NOT NULL)")


def m006_feedback(db: "Database") -> None:
    db.execute(
        """
        CREATE TABLE feedback (
            id INTEGER PRIMARY KEY,
            turn INTEGER REFERENCES turns (id),
            msgid TEXT NOT NULL UNIQUE,                 -- of the event, which may come twice
            feedback_id TEXT NOT NULL,
            user_id TEXT NOT NULL,
            type INTEGER NOT NULL,                      -- 1 like, 2 dislike, 3 withdrawn
            content TEXT,
            reasons TEXT,                               -- JSON list of numbers
            at TEXT NOT NULL
        )
        """
    )
    db.execute("CREATE INDEX feedback_turn ON feedback (turn)")


def m007_summaries(db: "Database") -> None:
    db.execute(
        """
        CREATE TABLE summaries (
            chat TEXT PRIMARY KEY REFERENCES chats (key),
            text TEXT NOT NULL,
            from_turn INTEGER NOT NULL,                 -- the history began after this turn when it was written
            to_turn INTEGER NOT NULL,                   -- it stands for everything up to this turn
            at TEXT NOT NULL
        )
        """
    )


def m008_files(db: "Database") -> None:
    db.execute(
        """
        CREATE TABLE files (
            id INTEGER PRIMARY KEY,
            chat TEXT NOT NULL REFERENCES chats (key),
            turn INTEGER NOT NULL REFERENCES turns (id),    -- the question that it belongs to, or whose answer made it
            origin TEXT NOT NULL CHECK (origin IN ('received', 'made')),
            kind TEXT NOT NULL CHECK (kind IN ('image', 'file', 'video')),
            name TEXT NOT NULL,
            version INTEGER NOT NULL,                       -- of the files of one name and origin in the chat
            mime TEXT NOT NULL,
            size INTEGER NOT NULL,
            sha256 TEXT NOT NULL,                           -- empty: it could not be had, see error
            path TEXT NOT NULL,                             -- relative to the data folder
            facts TEXT NOT NULL,                            -- JSON: pages, sheets, pixels, ...
            source TEXT,                                    -- the link by which it came, or the call that made it
            state TEXT NOT NULL
                CHECK (state IN ('ready', 'unreadable', 'made', 'sending', 'sent', 'unknown', 'failed')),
            error TEXT,                                     -- short code
            waiting INTEGER NOT NULL DEFAULT 0,             -- 1: sent alone, the question is still to come
            created_at TEXT NOT NULL,
            settled_at TEXT
        )
        """
    )
    db.execute("CREATE INDEX files_chat ON files (chat, id)")
    db.execute("CREATE INDEX files_turn ON files (turn)")
    db.execute("CREATE INDEX files_owed ON files (state) WHERE state IN ('made', 'sending')")


def m009_turns_joined(db: "Database") -> None:
    db.execute("CREATE INDEX turns_joined_to ON turns (joined_to) WHERE joined_to IS NOT NULL")


STEPS = (
    m001_chats,
    m002_turns,
    m003_deliveries,
    m004_sends,
    m005_status,
    m006_feedback,
    m007_summaries,
    m008_files,
    m009_turns_joined,
)
NAMES = tuple(step.__name__ for step in STEPS)


def applied(db: sqlite3.Connection) -> set[str]:
    """The names of our steps that this database has seen; empty for a file that is not ours."""
    exists = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlite_migrations'"
    if db.execute(exists).fetchone() is None:
        return set()
    rows = db.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (MIGRATION_SET,))
    return {name for (name,) in rows}


def migrate(db: sqlite3.Connection) -> None:
    """Applies the steps that are missing, each in a transaction of its own."""
    # 0.1 s to import, which the commands that only look need not spend.
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    migrations = Migrations(MIGRATION_SET)
    for step in STEPS:
        migrations()(step)
    # No plug-ins: whatever else is installed has no business in this file.
    migrations.apply(Database(db, execute_plugins=False))
