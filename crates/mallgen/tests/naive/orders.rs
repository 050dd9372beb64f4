//! What the database says, recomputed.

use crate::Documents;
use crate::input::{Input, age_group, cents, cut, datetime, day, decimal, iso, sex};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn recompute(input: &Input, documents: &mut Documents) {
    dimensions(input, documents);
    let mut sales = BTreeMap::<(bool, String, &str, String), Sales>::new();
    for order in input.rows("order_info") {
        let lines: Vec<&Value> = input.rows("order_detail").filter(|line| line["order_id"] == order["id"]).collect();
        assert_sums(order, &lines);
        for (number, line) in lines.iter().enumerate() {
            let wide = wide(input, order, &lines, number);
            count(&wide, &mut sales);
            documents.entry("orders_wide").or_default().push(wide);
            assert_eq!(line["order_id"], order["id"]);
        }
    }
    for ((by_day, time, dimension, value), sales) in sales {
        let (index, name) = if by_day { ("sales_by_day", "day") } else { ("sales_by_minute", "minute") };
        documents.entry(index).or_default().push(json!({
            name: time, "dimension": dimension, "value": value, "orders": sales.orders.len(),
            "buyers": sales.buyers.len(), "units": sales.units, "ordered": decimal(sales.ordered),
            "revenue": decimal(sales.revenue),
        }));
    }
}

fn names<'i>(input: &'i Input, sku: &Value) -> [&'i Value; 4] {
    let third = input.row("base_category3", &sku["category3_id"]);
    let second = input.row("base_category2", &third["category2_id"]);
    let first = input.row("base_category1", &second["category1_id"]);
    [&input.row("base_trademark", &sku["tm_id"])["tm_name"], &first["name"], &second["name"], &third["name"]]
}

fn dimensions(input: &Input, documents: &mut Documents) {
    for row in input.rows("base_province") {
        let region = &input.row("base_region", &row["region_id"])["region_name"];
        documents.entry("dim_province").or_default().push(json!({
            "id": row["id"], "name": row["name"], "region": region, "area_code": row["area_code"],
            "iso_code": row["iso_code"],
        }));
    }
    for row in input.rows("user_info") {
        documents.entry("dim_user").or_default().push(json!({
            "id": row["id"], "sex": sex(row), "birthday": row["birthday"], "user_level": row["user_level"],
        }));
    }
    for row in input.rows("sku_info") {
        let [trademark, first, second, third] = names(input, row);
        documents.entry("dim_product").or_default().push(json!({
            "id": row["id"], "name": row["sku_name"], "price": row["price"], "on_sale": row["is_sale"] == 1,
            "trademark": trademark, "category1": first, "category2": second, "category3": third,
        }));
    }
}

fn original(line: &Value) -> i64 {
    cents(&line["order_price"]) * line["sku_num"].as_i64().unwrap()
}

/// An order is what its lines add up to, less its reductions, with the freight.
fn assert_sums(order: &Value, lines: &[&Value]) {
    let whole: i64 = lines.iter().map(|line| original(line)).sum();
    assert_eq!(whole, cents(&order["original_total_amount"]));
    let reduced = cents(&order["activity_reduce_amount"]) + cents(&order["coupon_reduce_amount"]);
    assert_eq!(whole - reduced + cents(&order["freight_fee"]), cents(&order["total_amount"]));
}

/// What is due up to a line, less what is due up to the one before.
fn share(order: &Value, column: &str, lines: &[&Value], number: usize) -> i64 {
    let sum = |lines: &[&Value]| lines.iter().map(|line| i128::from(original(line))).sum::<i128>();
    let due = |count: usize| i128::from(cents(&order[column])) * sum(&lines[..count]) / sum(lines);
    (due(number + 1) - due(number)) as i64
}

fn wide(input: &Input, order: &Value, lines: &[&Value], number: usize) -> Value {
    let line = lines[number];
    let (at, user) = (datetime(&order["create_time"]), input.row("user_info", &order["user_id"]));
    let province = input.row("base_province", &order["province_id"]);
    let sku = input.row("sku_info", &line["sku_id"]);
    let [trademark, first, second, third] = names(input, sku);
    let (activity, coupon) =
        (share(order, "activity_reduce_amount", lines, number), share(order, "coupon_reduce_amount", lines, number));
    let earlier = |other: &Value| {
        let rank = |order: &Value| (datetime(&order["create_time"]), order["id"].as_i64());
        other["user_id"] == order["user_id"] && rank(other) < rank(order)
    };
    let payment = input.rows("payment_info").find(|payment| payment["order_id"] == order["id"]);
    let paid_at = payment.filter(|payment| payment["payment_status"] == "1602");
    let of_line = |refund: &&Value| refund["order_id"] == order["id"] && refund["sku_id"] == line["sku_id"];
    let refund = input.rows("order_refund_info").find(of_line);
    let back = refund.filter(|refund| refund["refund_status"] == "0705");
    json!({
        "detail_id": line["id"], "order_id": order["id"], "day": day(at),
        "hour": at.format("%H").to_string().parse::<i64>().unwrap(), "ordered_at": iso(at),
        "status": order["order_status"], "user_id": order["user_id"], "sex": sex(user),
        "age_group": age_group(user, &day(at)), "user_level": user["user_level"],
        "first_order": !input.rows("order_info").any(earlier), "province": province["name"],
        "region": input.row("base_region", &province["region_id"])["region_name"], "iso_code": province["iso_code"],
        "sku_id": line["sku_id"], "sku_name": sku["sku_name"], "trademark": trademark, "category1": first,
        "category2": second, "category3": third, "price": line["order_price"], "units": line["sku_num"],
        "original_amount": decimal(original(line)), "activity_share": decimal(activity),
        "coupon_share": decimal(coupon), "amount": decimal(original(line) - activity - coupon),
        "order_amount": order["total_amount"], "payment_type": payment.map(|payment| &payment["payment_type"]),
        "paid_at": paid_at.map(|payment| iso(datetime(&payment["callback_time"]))),
        "refund_status": refund.map(|refund| &refund["refund_status"]),
        "refund_units": back.map_or(json!(0), |refund| refund["refund_num"].clone()),
        "refund_amount": decimal(back.map_or(0, |refund| cents(&refund["refund_amount"]))),
    })
}

#[derive(Default)]
struct Sales {
    orders: BTreeSet<i64>,
    buyers: BTreeSet<i64>,
    units: i64,
    ordered: i64,
    revenue: i64,
}

fn count(wide: &Value, sales: &mut BTreeMap<(bool, String, &'static str, String), Sales>) {
    if wide["status"] == "1003" {
        return;
    }
    let text = |name: &str| wide[name].as_str().unwrap().to_owned();
    let at = chrono::NaiveDateTime::parse_from_str(&text("ordered_at"), "%Y-%m-%dT%H:%M:%S%.3f").unwrap();
    let mut values = vec![("all", "all".to_owned())];
    let named = [("province", "province"), ("trademark", "trademark"), ("category", "category3"), ("sex", "sex")];
    values.extend(named.into_iter().chain([("age_group", "age_group")]).map(|(name, field)| (name, text(field))));
    for (dimension, value) in values {
        for key in [(true, text("day"), dimension, value.clone()), (false, iso(cut(at, 1)), dimension, value)] {
            let sales = sales.entry(key).or_default();
            sales.orders.insert(wide["order_id"].as_i64().unwrap());
            sales.buyers.insert(wide["user_id"].as_i64().unwrap());
            sales.units += wide["units"].as_i64().unwrap();
            sales.ordered += cents(&wide["amount"]);
            if !wide["paid_at"].is_null() {
                sales.revenue += cents(&wide["amount"]) - cents(&wide["refund_amount"]);
            }
        }
    }
}
