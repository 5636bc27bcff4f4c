//! `explain E123`: cause and remedy of an error code.

use crate::console::Console;
use crate::error::{Code, Error, Result};
use serde_json::json;

/// Prints one code, or all of them.
pub fn exec(console: Console, code: Option<&str>) -> Result<()> {
    let Some(text) = code else {
        for &code in Code::ALL {
            print(console, code);
        }
        return Ok(());
    };
    let code = Code::parse(text)
        .ok_or_else(|| Error::new(Code::UnknownCode, format!("there is no error code \"{text}\"")))?;
    print(console, code);
    Ok(())
}

fn print(console: Console, code: Code) {
    if console.is_json() {
        console.value(&json!({ "code": code.to_string(), "cause": code.cause(), "remedy": code.remedy() }));
    } else {
        console.info(format_args!(
            "{code}\n       cause: {}\n       remedy: {}",
            code.cause(),
            code.remedy()
        ));
    }
}
