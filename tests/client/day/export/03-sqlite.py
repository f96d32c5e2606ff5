"""A database with a rollback journal, and one more reader: 200 transactions."""

import sqlite3

import caches

TRANSACTIONS = 200

writer = sqlite3.connect("data.db", isolation_level=None)
reader = sqlite3.connect("data.db", isolation_level=None)
writer.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
for number in range(TRANSACTIONS):
    writer.execute("BEGIN IMMEDIATE")
    for part in range(5):
        writer.execute("INSERT INTO entries (text) VALUES (?)", (f"{number} {part} " + "x" * 100,))
    if number % 20 == 19:
        writer.execute("ROLLBACK")
    else:
        writer.execute("COMMIT")
    if number % 20 == 0:
        (seen,) = reader.execute("SELECT count(*) FROM entries").fetchone()
        expected = 5 * (number + 1 - number // 20)
        assert seen == expected, f"the reader sees {seen}, not {expected}"
writer.close()
reader.close()

caches.drop()
database = sqlite3.connect("data.db")
assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
(rows,) = database.execute("SELECT count(*) FROM entries").fetchone()
assert rows == 5 * (TRANSACTIONS - TRANSACTIONS // 20), rows
database.close()
