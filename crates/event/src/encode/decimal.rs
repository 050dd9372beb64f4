//! Decimals as text: every digit, so that what SQL computed is what a reader sees.

/// Writes `units · 10^-scale` with exactly `scale` digits behind the point.
#[must_use]
pub fn format(units: i128, scale: i8) -> String {
    if scale <= 0 {
        let zeros = if units == 0 { 0 } else { usize::from(scale.unsigned_abs()) };
        return format!("{units}{}", "0".repeat(zeros));
    }
    let scale = usize::from(scale.unsigned_abs());
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_all_digits() {
        assert_eq!(format(58_960_790, 3), "58960.790");
        assert_eq!(format(-5, 3), "-0.005");
        assert_eq!(format(0, 2), "0.00");
        assert_eq!(format(7, 0), "7");
        assert_eq!(format(7, -2), "700");
        assert_eq!(format(i128::MIN, 38), "-1.70141183460469231731687303715884105728");
    }
}
