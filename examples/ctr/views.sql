CREATE TABLE samples (n BIGINT, label INT, features STRING) WITH (source = 'samples', format = 'csv');
