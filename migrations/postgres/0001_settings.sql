-- One row per adapter that was ever found: whether it is wanted.
CREATE TABLE adapters (
    name    TEXT PRIMARY KEY NOT NULL,
    enabled BIGINT NOT NULL
);

-- What an operator has set, as a JSON object of the fields that differ from "not set".
CREATE TABLE adapter_settings (
    adapter    TEXT PRIMARY KEY NOT NULL,
    version    BIGINT NOT NULL,
    settings   TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Every version that was ever in force, for audit and rollback.
CREATE TABLE adapter_settings_history (
    adapter    TEXT NOT NULL,
    version    BIGINT NOT NULL,
    settings   TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (adapter, version)
);

CREATE TABLE shares (
    id            TEXT PRIMARY KEY NOT NULL,
    name          TEXT UNIQUE NOT NULL,
    backend       TEXT NOT NULL,
    path          TEXT,
    read_only     BIGINT NOT NULL,
    squash        TEXT NOT NULL,
    anonymous_uid BIGINT NOT NULL,
    anonymous_gid BIGINT NOT NULL,
    clients       TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);

-- Ids of directories exported for one run only: file handles outlive the run.
CREATE TABLE run_share_ids (
    source TEXT PRIMARY KEY NOT NULL,
    id     TEXT NOT NULL
);

CREATE TABLE kv (
    adapter TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   BYTEA NOT NULL,
    PRIMARY KEY (adapter, key)
);
