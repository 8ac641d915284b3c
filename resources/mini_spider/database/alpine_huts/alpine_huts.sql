-- Mountain huts of the Alps with their wardens, trails and one summer of bookings. All names are invented.
CREATE TABLE region (
  region_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  country TEXT NOT NULL
);
CREATE TABLE hut (
  hut_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  region_id INTEGER NOT NULL REFERENCES region (region_id),
  elevation_m INTEGER NOT NULL,
  beds INTEGER,
  opened_year INTEGER,
  winter_room TEXT
);
-- hut_id: NULL for a relief warden without a hut.
CREATE TABLE warden (
  warden_id INTEGER PRIMARY KEY,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  hut_id INTEGER REFERENCES hut (hut_id),
  since_year INTEGER NOT NULL,
  phone TEXT
);
-- from_hut_id, to_hut_id: NULL where the trail starts or ends away from any hut.
CREATE TABLE trail (
  trail_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  from_hut_id INTEGER REFERENCES hut (hut_id),
  to_hut_id INTEGER REFERENCES hut (hut_id),
  length_km REAL NOT NULL,
  hours REAL NOT NULL,
  difficulty TEXT NOT NULL
);
CREATE TABLE booking (
  booking_id INTEGER PRIMARY KEY,
  hut_id INTEGER NOT NULL REFERENCES hut (hut_id),
  guest_name TEXT NOT NULL,
  nationality TEXT NOT NULL,
  arrival TEXT NOT NULL,
  nights INTEGER NOT NULL,
  guests INTEGER NOT NULL,
  price_per_night REAL
);

INSERT INTO region VALUES
  (1, 'Graubünden', 'Switzerland'),
  (2, 'Wallis', 'Switzerland'),
  (3, 'Tirol', 'Austria'),
  (4, 'Vorarlberg', 'Austria'),
  (5, 'Südtirol', 'Italy'),
  (6, 'Valle d''Aosta', 'Italy'),
  (7, 'Savoie', 'France'),
  (8, 'Gorenjska', 'Slovenia');

INSERT INTO hut VALUES
  (1, 'Murmeltierhütte', 1, 2487, 74, 1898, 'yes'),
  (2, 'Silberhornhütte', 1, 2663, 48, 1926, 'yes'),
  (3, 'Gletscherblickhütte', 2, 2981, 90, 1908, 'yes'),
  (4, 'Cabane des Étoiles', 2, 3274, 56, 1933, 'no'),
  (5, 'Enzianhütte', 3, 2114, 120, 1887, 'no'),
  (6, 'Steinbockhaus', 3, 2500, 64, 1954, 'yes'),
  (7, 'Hochjochhütte', 3, 2748, 82, 1902, 'yes'),
  (8, 'Arnikahütte', 4, 1846, NULL, 1961, 'no'),
  (9, 'Lünerhaus', 4, 2037, 130, 1964, NULL),
  (10, 'Rifugio Tre Larici', 5, 2242, 60, 1922, 'no'),
  (11, 'Schneehuhnhütte', 5, 2596, 72, 1910, 'yes'),
  (12, 'Rifugio Alba Rosa', 5, 1978, 44, 1988, 'no'),
  (13, 'Rifugio Gran Nevé', 6, 2732, 95, 1930, 'yes'),
  (14, 'Rifugio Città Vecchia', 6, 2390, NULL, 1949, NULL),
  (15, 'Refuge du Névé Bleu', 7, 2554, 40, 1978, 'no'),
  (16, 'Refuge des Chamois', 7, 2330, 66, 1995, 'yes'),
  (17, 'Koča pod Lipo', 8, 2151, 82, 1931, 'no'),
  (18, 'Planinski dom Črno jezero', 8, 1688, 38, 1955, 'no');

INSERT INTO warden VALUES
  (1, 'Luzia', 'Caviezel', 1, 2011, '+41 81 555 0101'),
  (2, 'Andri', 'Caduff', 2, 2019, NULL),
  (3, 'Beat', 'Imboden', 3, 2004, '+41 27 555 0103'),
  (4, 'Élodie', 'Rey', 4, 2021, '+41 27 555 0104'),
  (5, 'Josef', 'Gruber', 5, 1998, '+43 5285 555 05'),
  (6, 'Josef', 'Gruber', 6, 2015, '+43 5285 555 06'),
  (7, 'Magdalena', 'Pfister', 7, 2008, NULL),
  (8, 'Jakob', 'Rüf', 8, 2022, '+43 5522 555 08'),
  (9, 'Christine', 'Bösch', 9, 2016, '+43 5522 555 09'),
  (10, 'Paolo', 'Senoner', 10, 2009, '+39 0471 555 010'),
  (11, 'Anna', 'Mair', 11, 2018, NULL),
  (12, 'Chiara', 'Demetz', 12, 2023, '+39 0471 555 012'),
  (13, 'Luca', 'Bionaz', 13, 2006, '+39 0165 555 013'),
  (14, 'Noëlle', 'Favre', 15, 2014, '+33 479 555 014'),
  (15, 'Mathieu', 'Blanc', 16, 2020, '+33 479 555 015'),
  (16, 'Tomaž', 'Žvan', 17, 2003, '+386 4 555 016'),
  (17, 'Špela', 'Kos', 18, 2017, NULL),
  (18, 'Reto', 'Camenisch', NULL, 2024, '+41 81 555 0118'),
  (19, 'Anna', 'Mair', NULL, 2024, NULL);

INSERT INTO trail VALUES
  (1, 'Panoramaweg', NULL, 1, 8.4, 3.5, 'T2'),
  (2, 'Silberweg', 1, 2, 6.2, 3.0, 'T3'),
  (3, 'Sentier des Étoiles', 3, 4, 7.1, 4.5, 'T5'),
  (4, 'Enziansteig', NULL, 5, 5.5, 2.0, 'T1'),
  (5, 'Steinbocksteig', 5, 6, 9.8, 4.0, 'T3'),
  (6, 'Jochweg', 6, 7, 7.6, 4.0, 'T4'),
  (7, 'Arnikaweg', NULL, 8, 4.9, 2.0, 'T1'),
  (8, 'Lünersteig', 8, 9, 6.8, 2.5, 'T2'),
  (9, 'Larici Trail', NULL, 10, 6.0, 2.5, 'T2'),
  (10, 'Schneehuhnweg', 10, 11, 8.9, 4.0, 'T3'),
  (11, 'Alba Rosa Loop', 12, 12, 11.3, 4.5, 'T2'),
  (12, 'Alta Via del Nevé', 14, 13, 12.7, 6.0, 'T4'),
  (13, 'Tour du Névé', 16, 15, 9.8, 4.5, 'T3'),
  (14, 'Pot na Vrh', 17, NULL, 7.3, 5.0, 'T5'),
  (15, 'Jezerska pot', 18, 17, 13.9, 5.5, 'T3'),
  (16, 'Höhenweg Ost', 9, 5, 21.6, 8.5, 'T3'),
  (17, 'Gletscherpfad', 7, 11, 14.2, 7.0, 'T5'),
  (18, 'Bergseeweg', 1, NULL, 5.1, 1.5, 'T1'),
  (19, 'Traversata del Confine', 11, 7, 14.2, 7.5, 'T5'),
  (20, 'Chemin des Chamois', NULL, 16, 6.7, 2.5, 'T2');

INSERT INTO booking VALUES
  (1, 7, 'Müller', 'Swiss', '2024-06-24', 1, 12, 39.0),
  (2, 11, 'van Dijk', 'Dutch', '2024-06-25', 2, 4, 37.0),
  (3, 12, 'Steiner', 'Austrian', '2024-06-26', 1, 6, 33.0),
  (4, 6, 'Smith', 'British', '2024-06-26', 1, 2, 34.0),
  (5, 5, 'Nowak', 'Polish', '2024-06-26', 2, 1, 32.0),
  (6, 17, 'Jørgensen', 'Danish', '2024-06-28', 1, 1, 27.0),
  (7, 2, 'Schmidt', 'German', '2024-06-29', 3, 2, NULL),
  (8, 5, 'Schmidt', 'German', '2024-07-01', 2, 4, 32.0),
  (9, 7, 'Zupančič', 'Slovenian', '2024-07-03', 2, 2, 39.0),
  (10, 13, 'Huber', 'Austrian', '2024-07-07', 3, 6, 42.0),
  (11, 11, 'Huber', 'Austrian', '2024-07-09', 1, 2, 37.0),
  (12, 9, 'Weiß', 'German', '2024-07-11', 1, 12, 35.0),
  (13, 3, 'Rossi', 'Italian', '2024-07-11', 2, 1, 45.0),
  (14, 7, 'Lefèvre', 'French', '2024-07-13', 2, 4, 39.0),
  (15, 9, 'Novak', 'Slovenian', '2024-07-13', 2, 3, 35.0),
  (16, 11, 'Ferrari', 'Italian', '2024-07-17', 1, 3, 37.0),
  (17, 3, 'Rossi', 'Italian', '2024-07-18', 3, 6, 45.0),
  (18, 9, 'Ferrari', 'Italian', '2024-07-19', 1, 12, 35.0),
  (19, 10, 'Huber', 'Austrian', '2024-07-19', 2, 1, 40.0),
  (20, 17, 'Jørgensen', 'Danish', '2024-07-19', 2, 1, NULL),
  (21, 6, 'Keller', 'Swiss', '2024-07-20', 1, 1, 34.0),
  (22, 11, 'Müller', 'Swiss', '2024-07-22', 1, 1, 37.0),
  (23, 10, 'Nowak', 'Polish', '2024-07-26', 1, 1, 40.0),
  (24, 7, 'Smith', 'British', '2024-07-26', 2, 2, 39.0),
  (25, 11, 'Novak', 'Slovenian', '2024-07-30', 1, 2, 37.0),
  (26, 15, 'Weiß', 'German', '2024-07-30', 3, 2, 30.0),
  (27, 15, 'Ferrari', 'Italian', '2024-08-02', 1, 3, 30.0),
  (28, 11, 'Huber', 'Austrian', '2024-08-02', 1, 6, 37.0),
  (29, 9, 'Jørgensen', 'Danish', '2024-08-06', 1, 12, 35.0),
  (30, 11, 'Müller', 'Swiss', '2024-08-09', 3, 2, 37.0),
  (31, 7, 'Jørgensen', 'Danish', '2024-08-11', 2, 3, 39.0),
  (32, 15, 'Ferrari', 'Italian', '2024-08-15', 1, 3, 30.0),
  (33, 1, 'Bianchi', 'Italian', '2024-08-15', 1, 8, NULL),
  (34, 11, 'Dubois', 'French', '2024-08-18', 1, 2, 37.0),
  (35, 15, 'Ferrari', 'Italian', '2024-08-19', 1, 2, 30.0),
  (36, 13, 'Smith', 'British', '2024-08-21', 3, 3, 42.0),
  (37, 9, 'van Dijk', 'Dutch', '2024-08-21', 1, 2, 35.0),
  (38, 10, 'Steiner', 'Austrian', '2024-08-24', 3, 1, 40.0),
  (39, 17, 'Smith', 'British', '2024-08-25', 3, 4, 27.0),
  (40, 11, 'Lefèvre', 'French', '2024-08-25', 2, 10, 37.0),
  (41, 15, 'Ferrari', 'Italian', '2024-08-28', 1, 8, 30.0),
  (42, 7, 'Lefèvre', 'French', '2024-08-30', 1, 2, 39.0),
  (43, 13, 'van Dijk', 'Dutch', '2024-08-30', 1, 6, 42.0),
  (44, 11, 'Novak', 'Slovenian', '2024-09-01', 3, 4, 37.0),
  (45, 9, 'Novak', 'Slovenian', '2024-09-03', 1, 4, 35.0),
  (46, 10, 'Müller', 'German', '2024-09-04', 2, 6, 40.0),
  (47, 15, 'Lefèvre', 'French', '2024-09-08', 2, 3, 30.0),
  (48, 3, 'van Dijk', 'Dutch', '2024-09-11', 1, 3, 45.0);
