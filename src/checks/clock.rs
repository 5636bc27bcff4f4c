//! Whether this host's clock is right: compared with the incubator's, by the `Date` header of its answer.
//!
//! Times of reception, of messages without a timestamp and of certificates all come from this clock. The header has a
//! resolution of one second (RFC 9110 section 6.6.1), and the answer was on its way for a while; differences below the
//! sum of both are none.

use super::{Context, Outcome};
use crate::clock::UnixMicros;
use crate::error::{Code, Error};
use crate::tls::Connection;
use bytes::Bytes;
use chrono::DateTime;
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{DATE, HOST};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::time::timeout;

/// A difference from here on is warned of: events of several hosts can no longer be put in order by the second.
pub const WARN_AFTER: Duration = Duration::from_secs(5);

/// A difference from here on stops setup: it is what Kerberos refuses, and timestamps so wrong mislead an analysis.
pub const FAIL_AFTER: Duration = Duration::from_secs(300);

/// The clock's check, over the connection to the incubator's confirmations where there is one.
pub(super) async fn check(context: &Context<'_>, incubator: Option<Connection>) -> Outcome {
    let Some(connection) = incubator else {
        return Outcome::Skipped(
            "there is no connection to the incubator, whose clock it is compared with".to_owned(),
        );
    };
    let bound = context.settings.uplink.connect_timeout;
    let unchecked = |why: &str| {
        let what = format!("the clock could not be compared with the incubator's: {why}");
        Outcome::Warning(Error::new(Code::ClockUnchecked, what))
    };
    let asked = context.clock.now();
    let answer = timeout(bound, date_header(connection, &context.settings.uplink.incubator.host)).await;
    let answered = context.clock.now();
    match answer {
        Ok(Ok(theirs)) => judge(asked, theirs, answered),
        Ok(Err(why)) => unchecked(&why),
        Err(_) => unchecked("it did not answer in time"),
    }
}

/// Judges the difference. `theirs` is a whole second between our two readings, or should be.
pub fn judge(asked: UnixMicros, theirs: UnixMicros, answered: UnixMicros) -> Outcome {
    // Their clock read something within this second; ours something between the two.
    let (their_first, their_last) = (theirs.0, theirs.0.saturating_add(999_999));
    let ahead = asked.0.saturating_sub(their_last).max(0);
    let behind = their_first.saturating_sub(answered.0).max(0);
    let difference = Duration::from_micros(ahead.max(behind).unsigned_abs());
    let text = format!(
        "this host's clock is {:.0} s {} the incubator's",
        difference.as_secs_f64(),
        if ahead > 0 { "ahead of" } else { "behind" }
    );
    if difference >= FAIL_AFTER {
        Outcome::Failed(Error::new(Code::ClockOff, text))
    } else if difference >= WARN_AFTER {
        Outcome::Warning(Error::new(Code::ClockOff, text))
    } else {
        Outcome::Ok(format!("The clock agrees with the incubator's within {} s.", WARN_AFTER.as_secs()))
    }
}

/// Asks `GET /v1/health`; whatever the answer, its date counts.
async fn date_header(connection: Connection, host: &str) -> Result<UnixMicros, String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection.stream))
        .await
        .map_err(|error| error.to_string())?;
    let request = Request::get("/v1/health")
        .header(HOST, host)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async { sender.send_request(request).await.map_err(|error| error.to_string()) };
    let response = tokio::select! {
        response = exchange => response?,
        // It ends before the answer only where the other side has gone.
        ended = connection => {
            return Err(ended.err().map_or_else(|| "it closed the connection".to_owned(), |error| error.to_string()));
        }
    };
    let date = response.headers().get(DATE).ok_or("its answer has no date")?;
    let date = date.to_str().map_err(|error| error.to_string())?;
    let time = DateTime::parse_from_rfc2822(date).map_err(|_| format!("its date is {date:?}"))?;
    Ok(UnixMicros(time.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_header_and_the_way_do_not_explain_is_a_difference() {
        const NOON: i64 = 1_800_000_000;
        let at = |seconds: f64| UnixMicros(((NOON as f64 + seconds) * 1e6).round() as i64);
        // Our clock before and after, theirs, and what comes of it.
        for (asked, answered, expected) in [
            (0.0, 0.1, "ok"),
            (0.9, 0.99, "ok"),
            (5.9, 6.0, "ok"),
            (6.1, 6.2, "5 s ahead of"),
            (-5.2, -5.1, "5 s behind"),
            (-4.9, -4.8, "ok"),
            (-60.0, 60.0, "ok"),
            (300.0, 300.1, "299 s ahead of"),
            (300.999_999, 301.0, "E421 300 s ahead of"),
            (301.1, 301.2, "E421 300 s ahead of"),
            (-300.2, -300.1, "E421 300 s behind"),
        ] {
            let outcome = judge(at(asked), UnixMicros(NOON * 1_000_000), at(answered));
            let said = match &outcome {
                Outcome::Ok(_) => "ok".to_owned(),
                Outcome::Warning(error) => error.what(),
                Outcome::Failed(error) => {
                    format!("{} {}", error.code(), error.what().replace("this host's clock is ", ""))
                }
                Outcome::Skipped(why) => why.clone(),
            };
            assert!(said.contains(expected), "{asked} {answered}: {said}");
            assert_eq!(expected.starts_with("E421"), matches!(outcome, Outcome::Failed(_)), "{said}");
        }
    }
}
