-- A small shop: what it sells, to whom, and what was ordered in one spring. Everything is invented.
CREATE TABLE product (
  product_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  price REAL NOT NULL,
  stock INTEGER NOT NULL
);
CREATE TABLE customer (
  customer_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  city TEXT
);
-- quantity: pieces. returned: 1 where the order came back.
CREATE TABLE orders (
  order_id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customer (customer_id),
  product_id INTEGER NOT NULL REFERENCES product (product_id),
  ordered_on TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  returned INTEGER NOT NULL
);

INSERT INTO product VALUES
  (1, 'Green tea', 'tea', 4.5, 120),
  (2, 'Earl Grey', 'tea', 5.2, 0),
  (3, 'Oolong', 'tea', 9.8, 35),
  (4, 'Teapot', 'ware', 24.0, 12),
  (5, 'Glass cup', 'ware', 6.5, 0),
  (6, 'Tea towel', 'ware', 7.9, 40);
INSERT INTO customer VALUES
  (1, 'Amara Okafor', 'Leeds'),
  (2, 'Björn Lind', 'Malmö'),
  (3, 'Chloé Martin', 'Lyon'),
  (4, 'Dario Rossi', NULL),
  (5, 'Emma Novak', 'Leeds');
INSERT INTO orders VALUES
  (1, 1, 1, '2024-03-02', 3, 0),
  (2, 1, 4, '2024-03-02', 1, 0),
  (3, 2, 3, '2024-03-09', 2, 1),
  (4, 3, 1, '2024-03-15', 1, 0),
  (5, 3, 6, '2024-04-01', 2, 0),
  (6, 5, 3, '2024-04-07', 1, 0),
  (7, 1, 1, '2024-04-20', 4, 0),
  (8, 2, 5, '2024-05-03', 6, 1);
