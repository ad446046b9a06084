//! `explain`: where each setting comes from.

use std::process::ExitCode;

use redis_steward::ExplainedSetting;
use serde_json::{Value, json};

use crate::{arguments::ExplainArguments, failure::Failure, output::Output, target};

pub(crate) fn run(arguments: &ExplainArguments, output: &Output) -> Result<ExitCode, Failure> {
    let config = target::read(&arguments.file)?;
    let explanation = config.explain();
    let checked = config.check();
    if output.is_json && checked.is_ok() {
        let settings = explanation.settings().iter().map(setting);
        let document = json!({
            "ok": true,
            "settings": settings.collect::<Vec<_>>(),
            "notes": target::notes(&config),
        });
        output.json(&document)?;
    } else if !output.is_json {
        // It helps to see where values come from that do not fit each other.
        output.line(&explanation)?;
    }
    checked?;
    Ok(ExitCode::SUCCESS)
}

fn setting(setting: &ExplainedSetting) -> Value {
    json!({
        "database": setting.database(),
        "setting": setting.setting(),
        "value": setting.value(),
        "origin": setting.origin(),
    })
}
