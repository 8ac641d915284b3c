-- An archive of sound recordings and what it lends. Performers, labels and titles are invented.
CREATE TABLE performer (
  `Performer ID` INTEGER PRIMARY KEY,
  Name TEXT NOT NULL,
  Instrument TEXT,
  Country TEXT NOT NULL
);
-- Format: SP shellac, LP long-playing, MC cassette. Grade, the best first: M, NM, VG, G, P. Length: minutes:seconds.
CREATE TABLE recording (
  `Catalogue No.` TEXT PRIMARY KEY,
  Title TEXT NOT NULL,
  `Year Issued` INTEGER NOT NULL,
  Format TEXT NOT NULL,
  Grade TEXT NOT NULL,
  Length TEXT NOT NULL,
  Label TEXT
);
CREATE TABLE credit (
  `Catalogue No.` TEXT NOT NULL REFERENCES recording (`Catalogue No.`),
  `Performer ID` INTEGER NOT NULL REFERENCES performer (`Performer ID`),
  PRIMARY KEY (`Catalogue No.`, `Performer ID`)
);
-- `Borrower Class`: U university, R radio, E exhibition. `Date In`: NULL while it is out.
CREATE TABLE `loan slip` (
  `Slip No.` INTEGER PRIMARY KEY,
  `Catalogue No.` TEXT NOT NULL REFERENCES recording (`Catalogue No.`),
  `Borrower Class` TEXT NOT NULL,
  `Date Out` TEXT NOT NULL,
  `Date In` TEXT
);

INSERT INTO performer VALUES
  (1, 'Ilse Brandt', 'soprano', 'AT'),
  (2, 'Trio Mareograph', NULL, 'NL'),
  (3, 'Sándor Vas', 'violin', 'HU'),
  (4, 'The Quayside Five', NULL, 'GB'),
  (5, 'Odile Ferrand', 'piano', 'FR'),
  (6, 'Coro Serrano', NULL, 'ES'),
  (7, 'Piotr Lis', 'cello', 'PL'),
  (8, 'Maud Ellery', 'contralto', 'GB');

INSERT INTO recording VALUES
  ('A-107', 'Evening Barcarole', 1937, 'SP', 'NM', '4:27', NULL),
  ('A-114', 'Three Winter Songs', 1948, 'SP', 'VG', '3:49', 'Meridian'),
  ('A-121', 'Quay Street Rag', 1959, 'LP', 'VG', '3:51', 'Kestrel'),
  ('A-128', 'Sonata in G', 1970, 'LP', 'G', '37:13', 'Meridian'),
  ('A-135', 'Harvest Chorus', 1981, 'LP', 'M', '28:28', NULL),
  ('A-142', 'Lullaby for Two', 1934, 'SP', 'NM', '4:31', 'Meridian'),
  ('A-149', 'Tide Tables', 1945, 'SP', 'G', '3:10', 'Kestrel'),
  ('A-156', 'Nocturne No. 2', 1956, 'LP', 'VG', '23:18', 'Meridian'),
  ('A-163', 'Miner''s Reel', 1967, 'LP', 'VG', '18:25', 'Halcyon'),
  ('A-170', 'Letters Home', 1978, 'LP', 'VG', '32:35', 'Kestrel'),
  ('A-177', 'Suite for Strings', 1931, 'SP', 'M', '3:41', 'Halcyon'),
  ('A-184', 'Lamplighter Blues', 1942, 'SP', 'M', '3:32', 'Kestrel'),
  ('A-191', 'Andante', 1953, 'LP', 'G', '16:28', 'Meridian'),
  ('A-198', 'Market Day', 1964, 'LP', 'VG', '29:08', NULL),
  ('A-205', 'The Grey Goose', 1975, 'LP', 'NM', '17:05', 'Halcyon'),
  ('A-212', 'Partita', 1928, 'SP', 'VG', '6:05', 'Meridian'),
  ('A-219', 'Snow on the Line', 1939, 'SP', 'NM', '4:16', NULL),
  ('A-226', 'Psalm 23', 1950, 'SP', 'NM', '2:47', 'Kestrel'),
  ('A-233', 'Waltz of the Clerks', 1961, 'LP', 'VG', '28:47', NULL),
  ('A-240', 'Last Ferry', 1972, 'LP', 'NM', '26:17', 'Meridian'),
  ('A-247', 'Études, Book I', 1983, 'MC', 'M', '33:17', NULL),
  ('A-254', 'Hornpipe', 1936, 'SP', 'VG', '3:43', NULL),
  ('A-261', 'Elegy', 1947, 'SP', 'G', '3:05', 'Meridian'),
  ('A-268', 'The Long Field', 1958, 'LP', 'NM', '26:25', 'Kestrel'),
  ('A-275', 'Cradle Hymn', 1969, 'LP', 'VG', '21:54', 'Meridian'),
  ('A-282', 'Polka Royal', 1980, 'LP', 'NM', '4:27', 'Kestrel');

INSERT INTO credit VALUES
  ('A-107', 1),
  ('A-107', 5),
  ('A-114', 2),
  ('A-121', 7),
  ('A-128', 8),
  ('A-135', 2),
  ('A-135', 5),
  ('A-142', 2),
  ('A-149', 4),
  ('A-156', 3),
  ('A-163', 3),
  ('A-163', 5),
  ('A-170', 2),
  ('A-177', 8),
  ('A-184', 2),
  ('A-191', 1),
  ('A-191', 8),
  ('A-198', 3),
  ('A-205', 4),
  ('A-212', 1),
  ('A-219', 2),
  ('A-219', 5),
  ('A-226', 5),
  ('A-233', 7),
  ('A-240', 2),
  ('A-247', 1),
  ('A-247', 2),
  ('A-254', 5),
  ('A-261', 4),
  ('A-268', 7),
  ('A-275', 2),
  ('A-275', 5),
  ('A-282', 1);

INSERT INTO `loan slip` VALUES
  (1, 'A-170', 'E', '2022-01-07', '2022-02-03'),
  (2, 'A-247', 'U', '2022-05-24', '2022-06-07'),
  (3, 'A-156', 'U', '2022-09-02', '2022-09-29'),
  (4, 'A-261', 'R', '2022-01-16', '2022-02-05'),
  (5, 'A-149', 'E', '2022-01-30', '2022-02-02'),
  (6, 'A-121', 'R', '2022-08-05', NULL),
  (7, 'A-198', 'R', '2022-04-28', '2022-06-02'),
  (8, 'A-114', 'R', '2022-04-28', '2022-05-18'),
  (9, 'A-254', 'E', '2022-08-05', '2022-08-19'),
  (10, 'A-282', 'R', '2022-04-13', '2022-04-16'),
  (11, 'A-149', 'E', '2022-09-17', '2022-09-20'),
  (12, 'A-170', 'U', '2022-04-14', NULL),
  (13, 'A-156', 'R', '2022-04-30', '2022-05-20'),
  (14, 'A-240', 'E', '2022-06-02', '2022-06-05'),
  (15, 'A-212', 'E', '2022-04-07', '2022-04-16'),
  (16, 'A-135', 'E', '2022-01-30', '2022-02-26'),
  (17, 'A-107', 'U', '2022-01-29', '2022-02-07'),
  (18, 'A-114', 'U', '2022-08-02', NULL),
  (19, 'A-205', 'R', '2022-04-06', '2022-04-26'),
  (20, 'A-142', 'R', '2022-02-28', '2022-03-03'),
  (21, 'A-247', 'E', '2022-04-09', '2022-04-18'),
  (22, 'A-254', 'E', '2022-01-18', '2022-02-01');
