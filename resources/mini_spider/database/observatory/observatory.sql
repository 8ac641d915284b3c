-- Observing log of an invented observatory with two sites. The targets are real objects.
CREATE TABLE telescope (
  telescope_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  site TEXT NOT NULL,
  aperture_m REAL NOT NULL,
  built_year INTEGER NOT NULL,
  status TEXT NOT NULL
);
CREATE TABLE observer (
  observer_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  institute TEXT,
  country TEXT NOT NULL
);
-- magnitude: smaller is brighter; NULL for a dark nebula. distance_ly: light years.
CREATE TABLE target (
  target_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  constellation TEXT NOT NULL,
  magnitude REAL,
  distance_ly REAL
);
-- seeing: arc seconds, NULL where the monitor was off. quality: A (best) to C.
CREATE TABLE observation (
  observation_id INTEGER PRIMARY KEY,
  telescope_id INTEGER NOT NULL REFERENCES telescope (telescope_id),
  observer_id INTEGER NOT NULL REFERENCES observer (observer_id),
  target_id INTEGER NOT NULL REFERENCES target (target_id),
  night TEXT NOT NULL,
  exposure_s INTEGER NOT NULL,
  seeing REAL,
  quality TEXT NOT NULL
);

INSERT INTO telescope VALUES
  (1, 'Tycho', 'Cerro Blanco', 3.6, 1998, 'active'),
  (2, 'Hypatia', 'Cerro Blanco', 8.1, 2007, 'active'),
  (3, 'Herschel', 'Sierra Alta', 1.2, 1974, 'active'),
  (4, 'Al-Sufi', 'Sierra Alta', 2.0, 1989, 'under repair'),
  (5, 'Leavitt', 'Cerro Blanco', 1.2, 2015, 'active'),
  (6, 'Galileo', 'Sierra Alta', 0.6, 1961, 'retired');

INSERT INTO observer VALUES
  (1, 'Inés Muñoz', 'Universidad del Norte', 'Chile'),
  (2, 'Björn Þórsson', 'University of Akureyri', 'Iceland'),
  (3, 'Wei Zhang', 'Nanjing Institute', 'China'),
  (4, 'Amélie Rousseau', 'Institut du Midi', 'France'),
  (5, 'Kwame Mensah', 'Accra Observatory', 'Ghana'),
  (6, 'Łucja Wójcik', 'Uniwersytet Zachodni', 'Poland'),
  (7, 'Priya Raman', 'Madurai College', 'India'),
  (8, 'Ignacio Peña', 'Universidad del Norte', 'Chile'),
  (9, 'Sarah Whitfield', NULL, 'Canada'),
  (10, 'Jürgen Krauß', 'Institut für Sternkunde', 'Germany');

INSERT INTO target VALUES
  (1, 'Andromeda Galaxy', 'galaxy', 'Andromeda', 3.4, 2500000),
  (2, 'Betelgeuse', 'star', 'Orion', 0.5, 548),
  (3, 'Arcturus', 'star', 'Boötes', -0.05, 36.7),
  (4, 'Orion Nebula', 'nebula', 'Orion', 4.0, 1344),
  (5, 'Crab Nebula', 'nebula', 'Taurus', 8.4, 6500),
  (6, 'Vega', 'star', 'Lyra', 0.03, 25),
  (7, 'Ring Nebula', 'nebula', 'Lyra', 8.8, 2567),
  (8, 'Whirlpool Galaxy', 'galaxy', 'Canes Venatici', 8.4, 31000000),
  (9, 'Pleiades', 'cluster', 'Taurus', 1.6, 444),
  (10, 'Sombrero Galaxy', 'galaxy', 'Virgo', 8.0, 31100000),
  (11, 'NGC 5466', 'cluster', 'Boötes', 9.0, 51900),
  (12, 'Izar', 'star', 'Boötes', 2.4, 203),
  (13, 'Sirius', 'star', 'Canis Major', -1.46, 8.6),
  (14, 'Aldebaran', 'star', 'Taurus', 0.86, 65),
  (15, 'NGC 253', 'galaxy', 'Sculptor', 8.0, 11400000),
  (16, 'NGC 2158', 'cluster', 'Gemini', 8.6, 11000),
  (17, 'Rigel', 'star', 'Orion', 0.13, 860),
  (18, 'Barnard 33', 'nebula', 'Orion', NULL, 1375),
  (19, 'NGC 4567', 'galaxy', 'Virgo', 12.1, 59400000),
  (20, 'Spica', 'star', 'Virgo', 0.97, 250),
  (21, 'NGC 7293', 'nebula', 'Aquarius', 7.6, 655);

INSERT INTO observation VALUES
  (1, 3, 10, 19, '2024-01-10', 5400, 1.3, 'B'),
  (2, 1, 6, 1, '2024-01-10', 2400, 1.8, 'C'),
  (3, 2, 4, 1, '2024-01-11', 5400, 0.8, 'A'),
  (4, 5, 6, 9, '2024-01-14', 1800, NULL, 'B'),
  (5, 1, 1, 7, '2024-01-17', 3600, 2.2, 'C'),
  (6, 3, 10, 1, '2024-01-18', 2400, NULL, 'B'),
  (7, 1, 2, 5, '2024-01-19', 900, 2.1, 'C'),
  (8, 2, 1, 7, '2024-01-22', 3600, 1.9, 'C'),
  (9, 3, 6, 4, '2024-01-23', 1800, 1.4, 'B'),
  (10, 1, 10, 15, '2024-01-28', 2400, 0.8, 'A'),
  (11, 2, 7, 5, '2024-02-01', 900, 2.1, 'C'),
  (12, 3, 4, 4, '2024-02-05', 1800, 1.8, 'C'),
  (13, 2, 4, 21, '2024-02-10', 1200, 1.5, 'B'),
  (14, 2, 8, 10, '2024-02-11', 3600, 2.0, 'C'),
  (15, 5, 1, 4, '2024-02-11', 3600, 0.9, 'A'),
  (16, 5, 10, 3, '2024-02-13', 60, 0.9, 'A'),
  (17, 1, 7, 5, '2024-02-16', 3600, 0.6, 'A'),
  (18, 3, 10, 2, '2024-02-20', 60, 1.6, 'B'),
  (19, 2, 1, 6, '2024-02-22', 60, 1.5, 'B'),
  (20, 5, 6, 9, '2024-02-22', 300, 0.7, 'A'),
  (21, 5, 1, 5, '2024-02-26', 900, NULL, 'C'),
  (22, 3, 2, 12, '2024-02-26', 60, 1.2, 'B'),
  (23, 1, 1, 12, '2024-03-01', 120, 1.3, 'B'),
  (24, 2, 5, 16, '2024-03-01', 600, 1.5, 'B'),
  (25, 3, 2, 4, '2024-03-03', 3600, 1.3, 'B'),
  (26, 5, 7, 9, '2024-03-03', 900, 1.2, 'B'),
  (27, 2, 4, 19, '2024-03-05', 5400, NULL, 'B'),
  (28, 5, 10, 6, '2024-03-07', 60, 1.2, 'B'),
  (29, 1, 3, 4, '2024-03-12', 1800, 1.1, 'B'),
  (30, 2, 7, 11, '2024-03-13', 300, 2.0, 'C'),
  (31, 3, 6, 8, '2024-03-13', 1800, 1.1, 'B'),
  (32, 5, 2, 4, '2024-03-14', 900, 2.0, 'C'),
  (33, 2, 3, 6, '2024-03-18', 60, 2.1, 'C'),
  (34, 1, 2, 1, '2024-03-19', 1800, NULL, 'C'),
  (35, 5, 1, 9, '2024-03-21', 300, 1.0, 'A'),
  (36, 3, 8, 16, '2024-03-22', 1800, 2.1, 'C'),
  (37, 5, 2, 16, '2024-03-27', 900, 0.7, 'A'),
  (38, 3, 6, 4, '2024-03-29', 1200, 1.2, 'B'),
  (39, 1, 8, 21, '2024-03-30', 1800, NULL, 'B'),
  (40, 2, 3, 21, '2024-04-02', 1800, 0.9, 'A'),
  (41, 1, 6, 16, '2024-04-03', 600, NULL, 'B'),
  (42, 1, 6, 8, '2024-04-06', 1800, 1.7, 'C'),
  (43, 2, 6, 4, '2024-04-07', 900, 0.8, 'A'),
  (44, 5, 8, 15, '2024-04-08', 3600, 0.9, 'A'),
  (45, 2, 6, 21, '2024-04-11', 900, 1.0, 'A'),
  (46, 3, 3, 1, '2024-04-16', 7200, 0.8, 'A'),
  (47, 1, 3, 12, '2024-04-17', 60, 2.0, 'C'),
  (48, 2, 1, 17, '2024-04-21', 60, 0.8, 'A'),
  (49, 1, 7, 2, '2024-04-22', 120, 1.5, 'B'),
  (50, 1, 6, 10, '2024-04-24', 5400, 1.2, 'B'),
  (51, 5, 3, 3, '2024-04-25', 300, 1.4, 'B'),
  (52, 5, 7, 21, '2024-04-27', 1800, 1.1, 'B');
