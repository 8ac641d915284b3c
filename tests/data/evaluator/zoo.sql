-- The database of the hand-written evaluator cases: small, with ties, NULL, and a number stored as text.
CREATE TABLE Keeper (Id INTEGER PRIMARY KEY, Name TEXT, Salary REAL);
CREATE TABLE Animal (Id INTEGER PRIMARY KEY, Name TEXT, Age INTEGER, Kind TEXT);
CREATE TABLE Feeds (KeeperId INTEGER, AnimalId INTEGER, Hour INTEGER,
  FOREIGN KEY (KeeperId) REFERENCES Keeper (Id), FOREIGN KEY (AnimalId) REFERENCES Animal (Id));
INSERT INTO Keeper VALUES (1, 'Ada', 10.0), (2, 'Ben', 12.5), (3, 'Cyd', 10.0);
INSERT INTO Animal VALUES (1, 'Rex', 3, 'lion'), (2, 'Tia', 3, 'lion'), (3, 'Uno', 15, 'owl'), (4, 'Rex', NULL, 'owl');
INSERT INTO Feeds VALUES (1, 1, 8), (1, 2, 8), (2, 3, 9), (2, 1, 17), (1, 1, 18);
