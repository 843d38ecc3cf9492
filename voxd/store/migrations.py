"""The steps that bring the database from any older layout to the current one."""

# One tuple of statements per version; `PRAGMA user_version` counts how many were applied.
#
# Steps are only ever appended: a released step never changes, because devices in the field have run it.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE turns (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            turn TEXT NOT NULL,
            time REAL NOT NULL,
            source TEXT NOT NULL,
            agent TEXT NOT NULL,
            transcript TEXT NOT NULL,
            reply TEXT NOT NULL,
            outcome TEXT NOT NULL,
            stages_ms BLOB NOT NULL,
            lived_s REAL NOT NULL
        )
        """,
        "CREATE INDEX turns_by_age ON turns (lived_s)",
        """
        CREATE TABLE age (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            lived_s REAL NOT NULL,
            monotonic_s REAL NOT NULL,
            wall_s REAL NOT NULL,
            boot TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE timers (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            record BLOB NOT NULL
        )
        """,
    ),
    (
        """
        CREATE TABLE usage (
            day TEXT NOT NULL,
            provider TEXT NOT NULL,
            sessions INTEGER NOT NULL,
            responses INTEGER NOT NULL,
            audio_s REAL NOT NULL,
            text_tokens INTEGER NOT NULL,
            audio_tokens INTEGER NOT NULL,
            cost_usd REAL,
            prices_of TEXT NOT NULL,
            PRIMARY KEY (day, provider)
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE utterances (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            agent TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('waiting', 'answered', 'delivered')),
            taken INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            faults INTEGER NOT NULL DEFAULT 0,
            problem TEXT NOT NULL DEFAULT '',
            wall_s REAL NOT NULL,
            lived_s REAL NOT NULL,
            due_lived_s REAL NOT NULL DEFAULT 0,
            duration_ms INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            provider TEXT NOT NULL DEFAULT '',
            transcript TEXT NOT NULL DEFAULT '',
            reply TEXT NOT NULL DEFAULT '',
            text TEXT NOT NULL
        )
        """,
        # Apart, or every change of the row would write the sound anew.
        """
        CREATE TABLE sounds (
            id TEXT PRIMARY KEY REFERENCES utterances (id) ON DELETE CASCADE,
            flac BLOB NOT NULL
        )
        """,
        "CREATE INDEX utterances_by_state ON utterances (state, number)",
    ),
    (
        """
        CREATE TABLE usage_by_key (
            day TEXT NOT NULL,
            provider TEXT NOT NULL,
            stage TEXT NOT NULL,
            key INTEGER NOT NULL,
            sessions INTEGER NOT NULL,
            responses INTEGER NOT NULL,
            audio_s REAL NOT NULL,
            text_tokens INTEGER NOT NULL,
            audio_tokens INTEGER NOT NULL,
            characters INTEGER NOT NULL,
            cost_usd REAL,
            prices_of TEXT NOT NULL,
            PRIMARY KEY (day, provider, stage, key)
        ) WITHOUT ROWID
        """,
        """
        INSERT INTO usage_by_key
        SELECT day, provider, 'realtime', 1, sessions, responses, audio_s, text_tokens, audio_tokens, 0,
               cost_usd, prices_of
        FROM usage
        """,
        "DROP TABLE usage",
        "ALTER TABLE usage_by_key RENAME TO usage",
    ),
    ("ALTER TABLE usage ADD COLUMN upper_usd REAL NOT NULL DEFAULT 0",),
)
