//! The departments that the Angular client knows.

/// The departments of the client's form. Its chart fails on a row of any other, or of none, and stops the table, too.
pub const DEPARTMENTS: [&str; 5] = ["Engineering", "HR", "Sales", "Product", OTHER];
const OTHER: &str = "Other";

/// The department that a client is told: the one of the five that equals it apart from case and white space around it, or
/// `Other`.
#[must_use]
pub fn shown_department(department: &str) -> &'static str {
    let folded = department.trim().to_lowercase();
    DEPARTMENTS.into_iter().find(|known| known.to_lowercase() == folded).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_department_is_shown_as_one_of_five() {
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
