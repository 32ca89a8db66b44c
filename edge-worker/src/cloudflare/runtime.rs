//! Time, background work and the log.

use super::Workerd;
use crate::ports::{Background, Clock, HttpDates, Log, Severity};
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

impl Clock for Workerd {
    fn now(&self) -> DateTime<Utc> {
        let micros = js_sys::Date::now() * 1_000.0;
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
        self.context.wait_until(work);
    }
}

impl Log for Workerd {
    fn log(&self, severity: Severity, message: &str, fields: &[(&str, Value)]) {
        let mut line = Map::new();
        line.insert("message".to_owned(), message.into());
        for (name, value) in fields {
            line.insert((*name).to_owned(), value.clone());
        }
        let line = Value::Object(line);
        match severity {
            Severity::Info => worker::console_log!("{line}"),
            Severity::Warning => worker::console_warn!("{line}"),
            Severity::Error => worker::console_error!("{line}"),
        }
    }
}
