//! Documents that are made from the program. `UPDATE_FILES=1 cargo test --test docs` writes them anew.

use soc_connector::Code;
use std::fmt::Write;
use std::fs;
use std::path::Path;

#[test]
fn the_page_of_error_codes_is_the_catalogue() {
    let mut page = String::from(
        "# Error codes\n\nMade from `src/error/catalogue.rs`; `soc-connector explain E123` says the same on the console.\n\
         A code, once released, keeps its meaning.\n\n| code | cause | remedy |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(page, "| {code} | {} | {} |", cell(code.cause()), cell(code.remedy())).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    if std::env::var_os("UPDATE_FILES").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "UPDATE_FILES=1 writes {} anew",
        path.display()
    );
}

#[test]
fn the_table_of_dependencies_names_each_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let page = fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().unwrap().keys() {
            assert!(page.contains(&format!("| `{name}` |")), "docs/dependencies.md says nothing of {name}");
        }
    }
}
