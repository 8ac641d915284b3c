-- One edition of an invented film festival: directors, films, venues, screenings and awards.
CREATE TABLE director (
  director_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  country TEXT NOT NULL,
  birth_year INTEGER
);
-- Two different films may have the same title.
CREATE TABLE film (
  film_id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  director_id INTEGER NOT NULL REFERENCES director (director_id),
  release_year INTEGER NOT NULL,
  runtime_min INTEGER NOT NULL,
  language TEXT NOT NULL,
  budget_eur INTEGER
);
-- seats came from a form with a free text field.
CREATE TABLE venue (
  venue_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  quarter TEXT NOT NULL,
  seats TEXT
);
-- screening_date: DD.MM.YYYY, as printed in the programme. tickets_sold: NULL where the till was down.
CREATE TABLE screening (
  screening_id INTEGER PRIMARY KEY,
  film_id INTEGER NOT NULL REFERENCES film (film_id),
  venue_id INTEGER NOT NULL REFERENCES venue (venue_id),
  screening_date TEXT NOT NULL,
  start_time TEXT NOT NULL,
  tickets_sold INTEGER
);
CREATE TABLE award (
  award_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  film_id INTEGER NOT NULL REFERENCES film (film_id),
  jury TEXT NOT NULL,
  prize_eur INTEGER
);

INSERT INTO director VALUES
  (1, 'Zoë Lindqvist', 'Sweden', 1984),
  (2, 'Óscar Ibáñez', 'Spain', 1971),
  (3, 'Aïcha Benali', 'Morocco', 1990),
  (4, 'Claire Vasseur', 'France', 1966),
  (5, 'Jiří Dvořák', 'Czechia', 1958),
  (6, 'Lucía Ferreira', 'Mexico', 1988),
  (7, 'Matthieu Okoro', 'France', 1993),
  (8, 'Hanna Söderberg', 'Sweden', 1979),
  (9, 'Park Min-jae', 'South Korea', 1975),
  (10, 'Elif Yıldız', 'Turkey', NULL),
  (11, 'Rosa Quispe', 'Peru', 1986),
  (12, 'Tomás Herrera', 'Mexico', 1962),
  (13, 'Anders Holm', 'Denmark', 1969),
  (14, 'Renée Caron', 'Canada', 1981);

INSERT INTO film VALUES
  (1, 'The Salt Road', 3, 2023, 104, 'Arabic', 850000),
  (2, 'Home', 1, 2022, 96, 'Swedish', 1200000),
  (3, 'Home', 9, 2023, 131, 'Korean', 2400000),
  (4, 'La casa de mi tía', 2, 2021, 88, 'Spanish', 640000),
  (5, 'Noche de tormenta', 6, 2023, 112, 'Spanish', 980000),
  (6, 'Le Dernier Été', 4, 2019, 124, 'French', 3100000),
  (7, 'Après la pluie', 4, 2023, 97, 'French', 2700000),
  (8, 'Quartier Nord', 7, 2024, 83, 'French', NULL),
  (9, 'Zimní stadion', 5, 2018, 109, 'Czech', 720000),
  (10, 'Podzim', 5, 2022, 75, 'Czech', 310000),
  (11, 'Ljusår', 8, 2024, 142, 'Swedish', 1900000),
  (12, 'Snow Blind', 8, 2020, 101, 'English', 2200000),
  (13, 'Kum Saati', 10, 2021, 118, 'Turkish', NULL),
  (14, 'Wayra', 11, 2024, 79, 'Quechua', 150000),
  (15, 'El último tren', 12, 2017, 126, 'Spanish', 1450000),
  (16, 'Frontera', 12, 2022, 93, 'Spanish', 1300000),
  (17, 'Mørketid', 13, 2023, 107, 'Danish', 1750000),
  (18, 'Paper Boats', 9, 2020, 99, 'Korean', 1600000),
  (19, 'The Lighthouse Choir', 13, 2016, 90, 'English', 1100000),
  (20, 'Dalga', 10, 2024, 68, 'Turkish', 90000),
  (21, 'Mi barrio', 2, 2024, 72, 'Spanish', NULL),
  (22, 'Les Absents', 7, 2021, 116, 'French', 1250000),
  (23, 'Tide Tables', 14, 2022, 106, 'English', 870000);

INSERT INTO venue VALUES
  (1, 'Kino Lumen', 'Old Town', '412'),
  (2, 'Teatro Águila', 'Harbour', '860'),
  (3, 'Studio 9', 'Harbour', '96'),
  (4, 'Palace', 'Old Town', '540'),
  (5, 'Open Air Citadel', 'Citadel', NULL),
  (6, 'Café Cinéma', 'University', '64');

INSERT INTO screening VALUES
  (1, 20, 2, '10.05.2024', '11:00', 251),
  (2, 2, 2, '10.05.2024', '14:30', 546),
  (3, 16, 4, '10.05.2024', '14:30', 357),
  (4, 11, 4, '10.05.2024', '22:45', 303),
  (5, 11, 1, '11.05.2024', '11:00', 257),
  (6, 5, 3, '11.05.2024', '14:30', 55),
  (7, 16, 4, '11.05.2024', '14:30', 326),
  (8, 22, 4, '11.05.2024', '17:15', 357),
  (9, 14, 6, '11.05.2024', '17:15', NULL),
  (10, 10, 1, '11.05.2024', '20:30', 127),
  (11, 2, 3, '11.05.2024', '20:30', 48),
  (12, 9, 6, '11.05.2024', '22:45', 23),
  (13, 14, 1, '12.05.2024', '11:00', 165),
  (14, 1, 6, '12.05.2024', '11:00', 42),
  (15, 8, 1, '12.05.2024', '14:30', 110),
  (16, 10, 6, '12.05.2024', '14:30', 17),
  (17, 7, 1, '12.05.2024', '20:30', 224),
  (18, 21, 2, '13.05.2024', '17:15', 243),
  (19, 6, 4, '13.05.2024', '17:15', 506),
  (20, 11, 2, '13.05.2024', '20:30', 860),
  (21, 13, 3, '14.05.2024', '11:00', 37),
  (22, 6, 1, '14.05.2024', '20:30', 217),
  (23, 1, 1, '14.05.2024', '22:45', 340),
  (24, 4, 4, '14.05.2024', '22:45', 196),
  (25, 22, 2, '15.05.2024', '11:00', 486),
  (26, 1, 3, '15.05.2024', '11:00', 61),
  (27, 21, 1, '15.05.2024', '14:30', 157),
  (28, 18, 2, '15.05.2024', '14:30', NULL),
  (29, 13, 1, '15.05.2024', '17:15', 119),
  (30, 2, 2, '15.05.2024', '17:15', 388),
  (31, 6, 4, '15.05.2024', '20:30', 267),
  (32, 7, 2, '15.05.2024', '22:45', 363),
  (33, 15, 4, '15.05.2024', '22:45', 235),
  (34, 1, 6, '16.05.2024', '11:00', 46),
  (35, 11, 3, '16.05.2024', '17:15', 50),
  (36, 17, 6, '16.05.2024', '20:30', 44),
  (37, 5, 3, '16.05.2024', '22:45', 75),
  (38, 5, 1, '17.05.2024', '14:30', 357),
  (39, 7, 3, '17.05.2024', '14:30', NULL),
  (40, 16, 3, '17.05.2024', '20:30', 29),
  (41, 17, 4, '17.05.2024', '20:30', 410),
  (42, 4, 1, '18.05.2024', '11:00', 204),
  (43, 23, 6, '18.05.2024', '14:30', 39),
  (44, 8, 1, '18.05.2024', '20:30', 111),
  (45, 1, 2, '18.05.2024', '20:30', 402),
  (46, 7, 2, '18.05.2024', '22:45', 560);

INSERT INTO award VALUES
  (1, 'Golden Heron', 1, 'Grand Jury', 30000),
  (2, 'Silver Heron', 11, 'Grand Jury', 15000),
  (3, 'Best Director', 7, 'Grand Jury', 10000),
  (4, 'Best Actress', 5, 'Grand Jury', NULL),
  (5, 'Best Actor', 16, 'Grand Jury', NULL),
  (6, 'Audience Award', 5, 'Audience', 5000),
  (7, 'Best Debut', 14, 'Critics', 5000),
  (8, 'Critics Prize', 1, 'Critics', 8000),
  (9, 'Youth Award', 21, 'Youth Jury', 2500),
  (10, 'Special Mention', 17, 'Critics', NULL);
