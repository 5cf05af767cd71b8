//! The departments that the Angular client knows.

/// The departments in the client's form. A row with another department, or without one, makes its chart and table fail.
pub const DEPARTMENTS: [&str; 5] = ["Engineering", "HR", "Sales", "Product", OTHER];
const OTHER: &str = "Other";

/// The department that is sent to clients: one of the five, ignoring letter case and surrounding white space, or `Other`.
#[must_use]
pub fn shown_department(department: &str) -> &'static str {
    let folded = department.trim().to_lowercase();
    DEPARTMENTS.into_iter().find(|known| known.to_lowercase() == folded).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_department_is_mapped_to_one_of_five() {
        for (department, shown) in [
            ("Engineering", "Engineering"),
            ("engineering", "Engineering"),
            (" ENGINEERING\u{a0}", "Engineering"),
            ("hr", "HR"),
            ("Other", "Other"),
            ("other", "Other"),
            ("Finance", "Other"),
            (" Senior", "Other"),
            ("Engineering team", "Other"),
            ("", "Other"),
            (" ", "Other"),
        ] {
            assert_eq!(shown_department(department), shown, "{department:?}");
        }
    }
}
