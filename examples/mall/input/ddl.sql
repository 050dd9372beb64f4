CREATE DATABASE IF NOT EXISTS mall CHARACTER SET utf8mb4;
USE mall;

CREATE TABLE base_region (
  id BIGINT NOT NULL PRIMARY KEY,
  region_name VARCHAR(20) NOT NULL
);

CREATE TABLE base_province (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(30) NOT NULL,
  region_id BIGINT NOT NULL,
  area_code VARCHAR(10) NOT NULL,
  iso_code VARCHAR(10)
);

CREATE TABLE base_trademark (
  id BIGINT NOT NULL PRIMARY KEY,
  tm_name VARCHAR(60) NOT NULL
);

CREATE TABLE base_category1 (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(60) NOT NULL
);

CREATE TABLE base_category2 (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(60) NOT NULL,
  category1_id BIGINT NOT NULL
);

CREATE TABLE base_category3 (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(60) NOT NULL,
  category2_id BIGINT NOT NULL
);

CREATE TABLE sku_info (
  id BIGINT NOT NULL PRIMARY KEY,
  price DECIMAL(10,2) NOT NULL,
  sku_name VARCHAR(200) NOT NULL,
  tm_id BIGINT NOT NULL,
  category3_id BIGINT NOT NULL,
  is_sale TINYINT NOT NULL,
  create_time DATETIME NOT NULL,
  operate_time DATETIME
);

CREATE TABLE user_info (
  id BIGINT NOT NULL PRIMARY KEY,
  login_name VARCHAR(60) NOT NULL,
  nick_name VARCHAR(60),
  birthday DATE,
  gender VARCHAR(1),
  user_level VARCHAR(10) NOT NULL,
  create_time DATETIME NOT NULL,
  operate_time DATETIME
);

CREATE TABLE user_address (
  id BIGINT NOT NULL PRIMARY KEY,
  user_id BIGINT NOT NULL,
  province_id BIGINT NOT NULL,
  user_address VARCHAR(200) NOT NULL,
  is_default TINYINT NOT NULL
);

CREATE TABLE cart_info (
  id BIGINT NOT NULL PRIMARY KEY,
  user_id BIGINT NOT NULL,
  sku_id BIGINT NOT NULL,
  cart_price DECIMAL(10,2) NOT NULL,
  sku_num INT NOT NULL,
  is_ordered TINYINT NOT NULL,
  create_time DATETIME NOT NULL,
  operate_time DATETIME
);

CREATE TABLE order_info (
  id BIGINT NOT NULL PRIMARY KEY,
  consignee VARCHAR(60),
  total_amount DECIMAL(16,2) NOT NULL,
  order_status VARCHAR(10) NOT NULL,
  user_id BIGINT NOT NULL,
  payment_way VARCHAR(10),
  out_trade_no VARCHAR(50) NOT NULL,
  create_time DATETIME NOT NULL,
  operate_time DATETIME,
  expire_time DATETIME NOT NULL,
  province_id BIGINT NOT NULL,
  activity_reduce_amount DECIMAL(16,2) NOT NULL,
  coupon_reduce_amount DECIMAL(16,2) NOT NULL,
  original_total_amount DECIMAL(16,2) NOT NULL,
  freight_fee DECIMAL(16,2) NOT NULL
);

CREATE TABLE order_detail (
  id BIGINT NOT NULL PRIMARY KEY,
  order_id BIGINT NOT NULL,
  sku_id BIGINT NOT NULL,
  sku_name VARCHAR(200) NOT NULL,
  order_price DECIMAL(10,2) NOT NULL,
  sku_num BIGINT NOT NULL,
  create_time DATETIME NOT NULL,
  source_type VARCHAR(20) NOT NULL
);

CREATE TABLE order_status_log (
  id BIGINT NOT NULL PRIMARY KEY,
  order_id BIGINT NOT NULL,
  order_status VARCHAR(10) NOT NULL,
  operate_time DATETIME NOT NULL
);

CREATE TABLE payment_info (
  id BIGINT NOT NULL PRIMARY KEY,
  out_trade_no VARCHAR(50) NOT NULL,
  order_id BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  payment_type VARCHAR(20) NOT NULL,
  total_amount DECIMAL(16,2) NOT NULL,
  subject VARCHAR(200) NOT NULL,
  payment_status VARCHAR(10) NOT NULL,
  create_time DATETIME NOT NULL,
  callback_time DATETIME
);

CREATE TABLE order_refund_info (
  id BIGINT NOT NULL PRIMARY KEY,
  user_id BIGINT NOT NULL,
  order_id BIGINT NOT NULL,
  sku_id BIGINT NOT NULL,
  refund_type VARCHAR(20) NOT NULL,
  refund_num BIGINT NOT NULL,
  refund_amount DECIMAL(16,2) NOT NULL,
  refund_status VARCHAR(10) NOT NULL,
  create_time DATETIME NOT NULL,
  operate_time DATETIME
);
