-- For how many milliseconds a local share may tell attributes again without a look at the file; 0 for never.
ALTER TABLE shares ADD COLUMN attribute_cache_ms INTEGER NOT NULL DEFAULT 0;
