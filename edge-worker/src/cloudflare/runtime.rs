//! Time, background work and the log.

use super::{Workerd, tasks::now_ms};
use crate::ports::{Background, Clock, HttpDates, Log, Severity};
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use wasm_bindgen::JsValue;

impl Clock for Workerd {
    fn now(&self) -> DateTime<Utc> {
        let micros = now_ms() * 1_000.0;
        // In range until the year 262143.
        DateTime::from_timestamp_micros(micros as i64).unwrap_or_default()
    }

    async fn sleep(&self, duration_ms: u32) {
        self.timers.sleep(duration_ms).await;
    }
}

impl HttpDates for Workerd {
    fn read_date(&self, text: &str) -> Option<i64> {
        let ms = js_sys::Date::parse(text);
        ms.is_finite().then_some((ms / 1_000.0) as i64)
    }

    fn write_date(&self, seconds: i64) -> String {
        let date = js_sys::Date::new(&(seconds as f64 * 1_000.0).into());
        date.to_utc_string().into()
    }
}

impl Background for Workerd {
    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.work.begin(work);
    }
}

impl Log for Workerd {
    fn log(&self, severity: Severity, message: &str, fields: &[(&str, Value)]) {
        // Names and JSON values always serialise.
        let line = serde_json::to_string(&Line { message, fields }).unwrap_or_default();
        let line = JsValue::from(line);
        match severity {
            Severity::Info => console::log(&line),
            Severity::Warning => console::warn(&line),
            Severity::Error => console::error(&line),
        }
    }
}

/// A line as one JSON object.
struct Line<'a> {
    message: &'a str,
    fields: &'a [(&'a str, Value)],
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(Some(self.fields.len() + 1))?;
        line.serialize_entry("message", self.message)?;
        for (name, value) in self.fields {
            line.serialize_entry(name, value)?;
        }
        line.end()
    }
}

mod console {
    use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = console)]
        pub fn log(line: &JsValue);
        #[wasm_bindgen(js_namespace = console)]
        pub fn warn(line: &JsValue);
        #[wasm_bindgen(js_namespace = console)]
        pub fn error(line: &JsValue);
    }
}
