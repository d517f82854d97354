PRAGMA journal_mode = WAL;
CREATE TABLE records (
	number INTEGER PRIMARY KEY AUTOINCREMENT,
	session TEXT NOT NULL,
	kind TEXT NOT NULL,
	at INTEGER NOT NULL,
	delay INTEGER NOT NULL,
	user TEXT NOT NULL,
	nas TEXT NOT NULL,
	port INTEGER NOT NULL,
	framed_ip TEXT NOT NULL,
	framed_ipv6 TEXT NOT NULL,
	bytes_in INTEGER NOT NULL,
	bytes_out INTEGER NOT NULL,
	packets_in INTEGER NOT NULL,
	packets_out INTEGER NOT NULL,
	lasted INTEGER NOT NULL,
	cause TEXT NOT NULL,
	class TEXT NOT NULL,
	copies INTEGER NOT NULL DEFAULT 0,
	UNIQUE (session, kind, at)
);
