-- a dump; with a semicolon
BEGIN;
CREATE TABLE prices (id INTEGER PRIMARY KEY, name TEXT, price REAL, ok BOOLEAN);
INSERT INTO prices (id, name, price, ok) VALUES (1, 'Müller', 1.5, TRUE);
INSERT INTO prices VALUES (2, '=1+1', -2.25, 0), (3, NULL, NULL, NULL);
CREATE VIEW dear AS SELECT * FROM prices WHERE price > 1;
COMMIT;
